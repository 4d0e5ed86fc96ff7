"""`dyadlog status`: the night sheet in the terminal, and what has happened since by the clock."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dyadlog.assets.erasure.unfinished import to_finish, unfinished
from dyadlog.assets.event_log.log import EventLog
from dyadlog.assets.event_log.records import KINDS
from dyadlog.assets.intake.files import Landed, Landing
from dyadlog.assets.intake.receive import open_log, utc_now, waiting_files
from dyadlog.assets.quality.notice import missed_words
from dyadlog.assets.quality.words import counted, number
from dyadlog.assets.warehouse.silence import silence
from dyadlog.orchestration.heartbeat import read_heartbeat
from dyadlog.orchestration.runs import missed, read_runs
from dyadlog.orchestration.screen import console
from dyadlog.schemas.study import Study

_HOUR = 3600


def show_status(study: Study) -> bool:
    """Print the state of the study.

    Returns:
        whether the last night was good and is young enough.
    """
    out, now = console(), utc_now()
    good = _night(study, out, now)
    log = open_log(study)
    landing, waiting = waiting_files(study, log)
    sheet = _sheet(study)
    if sheet:
        out.print(f"Newest marts: {escape(sheet['headline'])}")
    out.print(_sites(study, log, waiting, sheet, now))
    _needs(study, out, landing, sheet, now, log)
    if sheet and sheet["steps"]:
        _took(out, sheet["steps"])
    return good


def _night(study: Study, out: Console, now: datetime) -> bool:
    """How the last nights went."""
    beat = read_heartbeat(study)
    limit = study.protocol.thresholds.last_night_hours
    hours = (now - beat.finished_at).total_seconds() / _HOUR if beat.finished_at else None
    if hours is None:
        out.print("[red]No night has completed yet.[/]")
    else:
        verdict = "[green]good[/]" if hours <= limit else f"[red]too old[/] (limit {limit:g} hours)"
        out.print(f"Last good night: {hours:.1f} hours ago, {verdict}")
    if beat.failure:
        out.print(f"[red]The newest night failed:[/] {escape(beat.failure)}")
    return hours is not None and hours <= limit and beat.failure is None


def _sheet(study: Study) -> dict[str, Any] | None:
    """The newest night sheet; None if there is none that can be read."""
    try:
        told = json.loads((study.folder / "reports" / "night.json").read_bytes())
        names = ("headline", "lines", "needs", "steps", "unfinished", "strangers")
        return {name: told[name] for name in names}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _sites(
    study: Study, log: EventLog, waiting: Sequence[Landed], sheet: dict[str, Any] | None, now: datetime
) -> Table:
    """One line per site: what the newest marts say of it, and what came, or did not come, by now."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("site", "newest marts", "correct", "look at", "last file (UTC)", "waiting"):
        figures = name in ("correct", "look at", "waiting")
        table.add_column(name, justify="right" if figures else "left", no_wrap=name != "newest marts")
    lines = {line["site_id"]: line for line in sheet["lines"]} if sheet else {}
    for site in study.site_ids:
        files = [c for c in log.of_site(site) if KINDS[c.kind].is_file]
        readable = [c.received_at for c in files if c.kind == "delivery"]
        late = silence(readable, now.isoformat(), study.protocol.thresholds.quiet_days)
        last = files[-1].received_at[:16].replace("T", " ") if files else "[yellow]never[/]"
        if late.is_late:
            last += f"  [yellow]late, {counted(late.days_since or 0, 'day')}[/]"
        line = lines.get(site)
        table.add_row(
            site,
            _words(line) if line else "-",
            *(
                _figure(line, name, colour)
                for name, colour in (("to_correct", "red"), ("to_look_at", "yellow"))
            ),
            last,
            str(sum(landed.site_id == site for landed in waiting)),
        )
    return table


def _words(line: dict[str, Any]) -> str:
    crashed = f", [red]{counted(line['crashed'], 'reason')} not checked[/]" if line["crashed"] else ""
    return escape(line["words"]) + crashed


def _figure(line: dict[str, Any] | None, name: str, colour: str) -> str:
    if line is None:
        return "-"
    return f"[{colour}]{line[name]}[/]" if line[name] else "0"


def _needs(
    study: Study, out: Console, landing: Landing, sheet: dict[str, Any] | None, now: datetime, log: EventLog
) -> None:
    """What needs a human: of the night sheet, and of now."""
    told = [(need["site_id"], need["text"]) for need in sheet["needs"]] if sheet else []
    if unrun := missed(read_runs(study), study.protocol.nightly_at, now):
        told.insert(0, (None, f"{missed_words(unrun)} Has the schedule stopped?"))
    known = set(sheet["strangers"]) if sheet else set()
    told += [
        (None, f"landing/{name} is no site of study.yaml; nothing in it is read.")
        for name in landing.strangers
        if name not in known
    ]
    listed = {(one["site_id"], one["file_name"]) for one in sheet["unfinished"]} if sheet else set()
    told += [
        (site, f"landing/{site}/{name} looks unfinished by its ending; it is not read.")
        for site, name in landing.unfinished
        if (site, name) not in listed
    ]
    told += [(commit.receipt.site_id, to_finish(commit)) for commit in unfinished(study, log)]
    if not told:
        out.print("Nothing needs a human.")
        return
    out.print(f"[yellow]{counted(len(told), 'thing needs', 'things need')} a human:[/]")
    for site, text in told:
        out.print(f"  {f'{site}  ' if site else ''}{escape(text)}")


def _took(out: Console, steps: Sequence[dict[str, Any]]) -> None:
    seconds = sum(step["seconds"] for step in steps)
    peaks = [step["peak_megabytes"] for step in steps if step.get("peak_megabytes")]
    memory = f", at most {number(round(max(peaks)))} MB" if peaks else ""
    parts = ", ".join(f"{step['step']} {step['seconds']:.1f}" for step in steps)
    out.print(f"[dim]Took {seconds:.1f} seconds{memory}: {parts}[/]")
