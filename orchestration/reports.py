"""The pages of a night, for Dagster and the command line alike."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

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
