"""The command `score`: what the checks find of the faults planted in a simulated study."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from rich import box
from rich.table import Table

from dyadlog.assets.simulation.score import Score, run_nights, score
from dyadlog.orchestration.screen import console, moving_line

# What a study with `realistic` faults is held to: share of clean sessions with a false alarm, and recall by kind.
MOST_FALSE = 0.01
MOST_OFF = 3.0
LEAST = {"conformance": 1.0, "plausibility": 0.95, "handled": 1.0}


def score_study(folder: Path) -> bool:
    """Run the nights of a simulated study with faults, show recall and false alarms, and list the misses.

    Args:
        folder: the simulated study.

    Returns:
        whether everything is as good as promised.
    """
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
    }
    (report / "score.json").write_text(json.dumps(told, indent=1) + "\n", "utf-8")
    _show(found, report)
    return good(found)


def good(found: Score) -> bool:
    """Whether a score is as good as promised."""
    enough = all(r.found >= LEAST[r.kind] * r.planted for r in found.recall)
    quiet = found.alarmed_sessions <= MOST_FALSE * found.clean_sessions
    return enough and quiet and not found.unaccounted and all(r.off <= MOST_OFF for r in found.recovered)


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
    for name in ("from the truth", "from the marts", "SE", "SEs apart", "n"):
        table.add_column(name, justify="right")
    for figure in found.recovered:
        style = "yellow" if figure.off > MOST_OFF else ""
        figures = (f"{figure.true:.3f}", f"{figure.found:.3f}", f"{figure.se:.3f}", f"{figure.off:.1f}")
        table.add_row(figure.name, *figures, f"{figure.n:,}", style=style)
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
            else f"{found.unaccounted} files do not balance."
        )
    )
    out.print(f"Misses and false alarms: {report}", soft_wrap=True)
