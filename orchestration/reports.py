"""The pages of a night, and who is told of it, for Dagster and the command line alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

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
