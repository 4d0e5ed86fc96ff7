"""The pages of a night, for Dagster and the command line alike."""

from __future__ import annotations

from pathlib import Path

from dyadlog.assets.intake.files import scan
from dyadlog.assets.quality.report import (
    NightNotes,
    StepSeconds,
    night_of,
    write_night_sheet,
    write_site_reports,
)
from dyadlog.assets.warehouse.published import current
from dyadlog.orchestration.watch import Watcher
from dyadlog.schemas.errors import UserError
from dyadlog.schemas.study import Study


def write_reports(study: Study, watcher: Watcher) -> list[Path]:
    """Write the page of every site and the night sheet over all sites, from the published file alone.

    Raises:
        UserError: nothing is published.
    """
    build = current(study)
    if build is None:
        raise UserError(f"{study.folder}: no marts yet; run `dyadlog night -s {study.folder}` first")
    night = night_of(build)
    landing = scan(study)
    notes = NightNotes(
        unfinished=landing.unfinished,
        strangers=landing.strangers,
        steps=[StepSeconds(step.model, step.seconds) for step in watcher.steps],
    )
    pages = [*write_site_reports(study, build, night), write_night_sheet(study, build, night, notes=notes)]
    for page in pages:
        watcher.reported(page)
    return pages
