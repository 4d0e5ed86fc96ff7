"""The pages of a night, for Dagster and the command line alike."""

from __future__ import annotations

from pathlib import Path

from dyadlog.assets.intake.files import scan
from dyadlog.assets.quality.report import (
    NightNotes,
    Took,
    gather,
    night_of,
    write_night_sheet,
    write_site_reports,
    write_study_page,
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
        models=[Took(step.model, step.seconds, step.peak_megabytes) for step in watcher.steps],
    )
    gathered = gather(study, build, night)
    pages = [
        *write_site_reports(gathered),
        write_study_page(gathered, notes),
        write_night_sheet(gathered, notes),
    ]
    for page in pages:
        watcher.reported(page)
    return pages
