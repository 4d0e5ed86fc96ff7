"""What people see in the terminal."""

from __future__ import annotations

import sys
from collections import Counter
from types import TracebackType
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from dyadlog.assets.event_log.records import Commit
from dyadlog.assets.intake.files import Landed
from dyadlog.orchestration.watch import Watcher
from dyadlog.schemas.catalogue import Field, catalogue
from dyadlog.schemas.codes import codes
from dyadlog.schemas.errors import UserError
from dyadlog.schemas.study import Study

if TYPE_CHECKING:
    from pathlib import Path

    from dyadlog.assets.warehouse.build import Step


# Where nobody watches (a pipe, a log file), lines are not wrapped to a terminal's width.
_WIDTH_OF_A_FILE = 160


def console(*, stderr: bool = False) -> Console:
    """Where people read."""
    stream = sys.stderr if stderr else sys.stdout
    return Console(highlight=False, stderr=stderr, width=None if stream.isatty() else _WIDTH_OF_A_FILE)


def moving_line(*before: ProgressColumn, unit: str = "") -> Progress:
    """A line that moves while a person watches; nothing elsewhere.

    Args:
        before: columns on the left.
        unit: what is counted, where something is.
    """
    counted = (MofNCompleteColumn(), TextColumn(unit)) if unit else ()
    return Progress(
        *before,
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        *counted,
        TimeElapsedColumn(),
        console=console(stderr=True),
        transient=True,
        disable=not sys.stderr.isatty(),
    )


class Screen(Watcher):
    """Shows a night: a moving line while a person watches, and a summary at the end.

    Args:
        study: the study.
    """

    def __init__(self, study: Study) -> None:
        super().__init__()
        self._study = study
        self._console = console()
        self._progress = moving_line(SpinnerColumn())
        self._task = self._progress.add_task("looking for new deliveries", total=None)

    def __enter__(self) -> Screen:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def _now(self, text: str, done: float | None = None, whole: float | None = None) -> None:
        self._progress.update(self._task, description=text, completed=done or 0, total=whole)

    def reading(self, landed: Landed, size: int) -> None:
        """See `Watcher.reading`."""
        self._now(f"reading {landed.site_id}/{landed.name}", size, landed.size)

    def received(self, landed: Landed, commit: Commit | None) -> None:
        """See `Watcher.received`."""
        super().received(landed, commit)
        self._now(f"received {landed.site_id}/{landed.name}")

    def built(self, step: Step) -> None:
        """See `Watcher.built`."""
        super().built(step)
        self._now(f"built {step.model}")

    def published(self, target: Path) -> None:
        """See `Watcher.published`."""
        super().published(target)
        self._now("writing reports")

    def summary(self, *, worked: bool) -> None:
        """Say what the night did."""
        self._progress.stop()
        say = self._console.print
        folder = self._study.folder
        if not worked:
            say("Nothing new: marts and reports are up to date.")
        elif self.commits:
            say(_receipts(self.commits, self._study))
            for line in _reasons(self.commits):
                say(line)
        if worked and not self.commits:
            say(
                "No new delivery; marts and reports were rebuilt because something else has changed: the code, study.yaml, "
                "or the log by an act such as a void, a release or an erasure."
            )
        for sentence in self.unsent:
            say(f"[yellow]{sentence}[/]")
        say(f"marts    {folder / 'marts' / 'current.duckdb'}")
        say(f"reports  {folder / 'reports' / 'index.html'}")

    def failed(self, why: str, still: str) -> None:
        """Say that the night failed and what still stands."""
        self._progress.stop()
        print(f"error: The night did not complete. {why}", file=sys.stderr)
        print(
            f"{still} What was accepted into the log is safe; the next night goes on from there.",
            file=sys.stderr,
        )


def _receipts(commits: list[Commit], study: Study) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_footer=len(study.site_ids) > 1)
    columns = [_figures([c for c in commits if c.receipt.site_id == site]) for site in study.site_ids]
    table.add_column("site", footer="all")
    names = ("files", "lines", "= accepted", "+ already had", "+ held back", "rejected files")
    for name, whole in zip(names, _figures(commits), strict=True):
        table.add_column(name, justify="right", footer=f"{whole:,}")
    for site, figures in zip(study.site_ids, columns, strict=True):
        files, lines, accepted, duplicate, held, rejected = figures
        if not files:
            table.add_row(site, "0", *("[dim]-[/]" for _ in range(5)))
            continue
        table.add_row(
            site,
            *(f"{figure:,}" for figure in (files, lines, accepted, duplicate)),
            f"[yellow]{held:,}[/]" if held else "0",
            f"[red]{rejected:,}[/]" if rejected else "0",
        )
    return table


def _figures(commits: list[Commit]) -> list[int]:
    told = [c.receipt for c in commits]
    return [
        len(commits),
        sum(r.lines for r in told),
        sum(r.accepted for r in told),
        sum(r.duplicate for r in told),
        sum(r.held_back for r in told),
        sum(c.kind == "rejected_file" for c in commits),
    ]


def _reasons(commits: list[Commit]) -> list[str]:
    """Why lines were held back and files rejected, most frequent first."""
    counted: Counter[str] = Counter()
    for commit in commits:
        counted.update(
            {code: n for code, n in commit.receipt.codes.items() if codes()[code].severity == "error"}
        )
    return [f"{n:>6,}  {code}: {codes()[code].says}" for code, n in counted.most_common()]


def show_history(study: Study, site_id: str, event_id: str) -> None:
    """Print all that a site has said of one fact.

    Raises:
        UserError: the study has no such site, or the site said nothing under this id.
    """
    from dyadlog.assets.event_log.history import history
    from dyadlog.assets.intake.receive import open_log

    if site_id not in study.site_ids:
        raise UserError(f"{site_id}: no site of this study; its sites are {', '.join(study.site_ids)}")
    told = history(open_log(study), site_id, event_id)
    if not told:
        raise UserError(
            f"{site_id} has said nothing under this event id; held-back lines are not kept in the log"
        )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("commit", "received", "file", "line", "revision", "said", "reason", "payload"):
        table.add_column(name, overflow="fold")
    for one in told:
        said = f"{one.op} {one.event_type}" if one.op else one.status
        said += f" (voided in commit {one.voided_in})" if one.voided_in else ""
        cells = (one.commit_seq, one.received_at[:16], one.file_name, one.line_number, one.revision, said)
        table.add_row(*map(str, cells), one.reason_code or "", one.payload or "")
    console().print(table)


def show_catalogue(event_type: str | None) -> None:
    """Print kinds of event, or the fields of one."""
    out = console()
    known = catalogue()
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    if event_type is None:
        for name in ("event_type", "what it says", "needs"):
            table.add_column(name)
        for name, event in known.events.items():
            table.add_row(name, event.label, ", ".join(event.needs))
        out.print(table)
        return
    if event_type not in known.events:
        raise UserError(f"{event_type} is not in the catalogue; `dyadlog catalogue` lists all kinds of event")
    event = known.events[event_type]
    older = (
        f"; version{'s 1 to' if event.newest > 2 else ''} {event.newest - 1} is read too"
        if event.newest > 1
        else ""
    )
    out.print(f"{event_type}, version {event.newest}: {event.label}{older}")
    for name in ("field", "type", "needed", "meaning"):
        table.add_column(name)
    for name, field in known.envelope.items():
        table.add_row(name, _type(field), "yes" if field.required or name in event.needs else "", field.label)
    for name, field in event.versions[event.newest].items():
        table.add_row(f"payload.{name}", _type(field), "yes" if field.required else "", field.label)
    if event.instrument:
        table.add_row("payload.items", "numbers by item", "yes", "answers; null where missing")
        table.add_row("payload.missing", "codes by item", "", f"why: {', '.join(known.missing_codes)}")
    out.print(table)


def _type(field: Field) -> str:
    if field.values:
        return " | ".join(field.values)
    if field.min is not None:
        return f"{field.type} {field.min:g} to {field.max:g}"
    return field.type
