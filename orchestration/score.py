"""The command `score`: what the checks find of the faults planted in a simulated study."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import polars as pl
from rich import box
from rich.table import Table

from dyadlog.assets.quality.words import counted
from dyadlog.assets.simulation.score import Score, run_nights, score
from dyadlog.assets.simulation.truth import truth_table
from dyadlog.orchestration.screen import console, moving_line

# What a study with `realistic` faults is held to: share of clean sessions with a false alarm, and recall by kind.
MOST_FALSE = 0.01
MOST_OFF = 3.0
MOST_LISTED = 20
LEAST = {"conformance": 1.0, "plausibility": 0.95, "handled": 1.0}


def score_study(folder: Path) -> bool:
    """Run the nights of a simulated study with faults, show recall and false alarms, and list the misses.

    Args:
        folder: the simulated study.

    Returns:
        whether everything is as good as promised.

    Raises:
        UserError: the study was made without faults, or not by `dyadlog simulate`; nothing was written.
    """
    truth_table(folder, "fault")
    with moving_line(unit="nights") as progress:
        task = progress.add_task("running the nights", total=None)
        study, log = run_nights(folder, lambda night, of: progress.update(task, completed=night, total=of))
        progress.update(task, description="comparing with the key")
        found = score(folder, study, log)
    report = folder / "score"
    report.mkdir(exist_ok=True)
    found.missed.write_csv(report / "missed.csv")
    found.unexplained.write_csv(report / "false_alarms.csv")
    told = {
        "recall": [asdict(one) for one in found.recall],
        "alarms": [asdict(one) for one in found.alarms],
        "recovered": [asdict(one) for one in found.recovered],
        **{name: value for name, value in vars(found).items() if isinstance(value, int)},
        "refused_sound": found.refused_sound,
        "simulated": True,
    }
    (report / "score.json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    _show(found, report)
    return not shortfalls(found)


def shortfalls(found: Score) -> list[str]:
    """Where a score is not as good as promised, in words."""
    told = [
        f"{one.fault}: {one.found:,} of {one.planted:,} found"
        for one in found.recall
        if one.found < LEAST[one.kind] * one.planted
    ]
    if found.alarmed_sessions > MOST_FALSE * found.clean_sessions:
        told.append(f"more than {MOST_FALSE:.0%} of the sessions without a fault have a remark")
    if found.refused_sound:
        told.append(
            f"{counted(found.refused_sound, 'remark')} on lines or files in which nothing was planted"
        )
    if found.unaccounted:
        told.append(f"{counted(found.unaccounted, 'file')} without an account of every line")
    told += [
        f"{one.name}: {one.off:.1f} standard errors apart" for one in found.recovered if one.off > MOST_OFF
    ]
    return told


def _list_misses(missed: pl.DataFrame) -> None:
    out = console()
    for row in missed.head(MOST_LISTED).iter_rows(named=True):
        line = f" line {row['line_number']}" if row["line_number"] else ""
        where = f"{row['file_name']}{line}" if row["file_name"] else row["subject"] or row["event_id"]
        out.print(f"not found: {row['fault']}, {row['site_id']}, {where}", soft_wrap=True)
    if len(missed) > MOST_LISTED:
        out.print(f"and {counted(len(missed) - MOST_LISTED, 'more', 'more')}")


def _show(found: Score, report: Path) -> None:
    out = console()
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("fault", "kind", "shows as"):
        shown.add_column(name)
    for name in ("planted", "found", "recall"):
        shown.add_column(name, justify="right")
    for one in found.recall:
        recall = f"{one.found / one.planted:.1%}" if one.planted else "none planted"
        style = "yellow" if one.found < LEAST[one.kind] * one.planted else ""
        shown.add_row(
            one.fault, one.kind, one.code, f"{one.planted:,}", f"{one.found:,}", recall, style=style
        )
    out.print(shown)
    alarms = [one for one in found.alarms if one.false]
    if alarms:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("remarks that no fault explains")
        table.add_column("false", justify="right")
        table.add_column("of all", justify="right")
        for alarm in alarms:
            table.add_row(alarm.code, f"{alarm.false:,}", f"{alarm.all:,}")
        out.print(table)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("found again")
    for name in ("in the model", "from the truth", "from the marts", "SE", "SEs apart", "n"):
        table.add_column(name, justify="right")
    for figure in found.recovered:
        style = "yellow" if figure.off > MOST_OFF else ""
        figures = (f"{figure.true:.3f}", f"{figure.found:.3f}", f"{figure.se:.3f}", f"{figure.off:.1f}")
        given = "" if figure.parameter is None else f"{figure.parameter:.3f}"
        table.add_row(figure.name, given, *figures, f"{figure.n:,}", style=style)
    out.print(table)
    share = found.alarmed_sessions / found.clean_sessions if found.clean_sessions else 0.0
    out.print(
        f"{found.alarmed_sessions:,} of {found.clean_sessions:,} sessions without a fault have a remark ({share:.2%})."
    )
    out.print(
        f"{found.lines:,} lines were delivered; "
        + (
            "every one is accounted for."
            if not found.unaccounted
            else f"{counted(found.unaccounted, 'file')} without an account of every line."
        )
    )
    _list_misses(found.missed)
    if told := shortfalls(found):
        out.print("Not as good as promised:", style="yellow")
        for sentence in told:
            out.print(f"  {sentence}", soft_wrap=True)
    else:
        out.print("As good as promised.")
    out.print(f"Misses and false alarms: {report}", soft_wrap=True)
