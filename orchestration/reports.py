"""The pages of a night, and who is told of it, for Dagster and the command line alike."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from dyadlog.assets.intake.files import scan
from dyadlog.assets.intake.receive import utc_now
from dyadlog.assets.quality.notice import of_sheet
from dyadlog.assets.quality.report import (
    NightNotes,
    Took,
    gather,
    night_of,
    sheet_of,
    write_night_sheet,
    write_site_reports,
    write_study_page,
)
from dyadlog.assets.warehouse.published import current
from dyadlog.orchestration.notify import notify
from dyadlog.orchestration.runs import failed_since, missed, read_runs
from dyadlog.orchestration.watch import BUILT, Watcher
from dyadlog.schemas.errors import UserError
from dyadlog.schemas.study import Study

_JUDGED = "checks.expectation"


def write_reports(study: Study, watcher: Watcher, *, tell: bool = False) -> list[Path]:
    """Write the page of every site, the study page and the night sheet, from the published file alone.

    Args:
        study: the study.
        watcher: knows what the night took, and is told of each page.
        tell: send messages to those who asked for them.

    Raises:
        UserError: nothing is published.
    """
    build = current(study)
    if build is None:
        raise UserError(f"{study.folder}: no marts yet; run `dyadlog night -s {study.folder}` first")
    landing, runs = scan(study), read_runs(study)
    with watcher.lap("pages of the sites"):
        gathered = gather(study, build, night_of(build))
        pages = write_site_reports(gathered)
    notes = NightNotes(
        unfinished=landing.unfinished,
        strangers=landing.strangers,
        steps=_steps(watcher),
        models=[Took(s.model, s.seconds, s.peak_megabytes) for s in watcher.steps if s.model != _JUDGED],
        missed=missed(runs, study.protocol.nightly_at, utc_now()),
        failed=failed_since(runs),
    )
    if tell:
        watcher.unsent += notify(study, of_sheet(study, sheet_of(gathered, notes)))
        notes = replace(notes, hooks=watcher.unsent)
    pages += [write_study_page(gathered, notes), write_night_sheet(gathered, notes)]
    for page in pages:
        watcher.reported(page)
    return pages


def _steps(watcher: Watcher) -> list[Took]:
    """Parts of the night in order; the expectations apart from the models they wait for."""
    judged = sum(step.seconds for step in watcher.steps if step.model == _JUDGED)
    found = []
    for lap in watcher.laps:
        if lap.name != BUILT:
            found.append(Took(lap.name, lap.seconds, lap.peak_megabytes))
            continue
        found.append(Took("marts built and checked", lap.seconds - judged, lap.peak_megabytes))
        if judged:
            found.append(Took("expectations judged", judged, lap.peak_megabytes))
    return found


@dataclass(frozen=True)
class Summary:
    """A site's page in short, as it is shown beside the run.

    Args:
        site_id: the site.
        standing: the worst that is open and not answered.
        headline: the verdict.
        todo: how much there is to do.
        accepted: lines of the night that were accepted.
        held_back: lines of the night that were held back.
        page: the page.
    """

    site_id: str
    standing: Literal["to correct", "to look at", "nothing open"]
    headline: str
    todo: str
    accepted: int
    held_back: int
    page: Path


def summaries(pages: Iterable[Path]) -> list[Summary]:
    """The pages of sites among some pages, in short; from the twin beside each."""
    twins = [(page, page.with_name("report.json")) for page in pages]
    return [_summary(page, json.loads(twin.read_bytes())) for page, twin in twins if twin.exists()]


def _summary(page: Path, told: dict[str, Any]) -> Summary:
    open_now = {card["outcome"] for card in told["todo"] if card["status"] != "acknowledged"}
    return Summary(
        site_id=told["site_id"],
        standing="to correct" if "fail" in open_now else "to look at" if open_now else "nothing open",
        headline=told["verdict"]["headline"],
        todo=told["verdict"]["todo"],
        accepted=told["tonight"]["accepted"],
        held_back=told["tonight"]["held_back"],
        page=page.resolve(),
    )
