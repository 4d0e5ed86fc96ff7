"""Writes the reports of a night: a page and its twin per site, the study page, and the night sheet.

Everything comes from the published DuckDB file, which is read and never written, from study.yaml and from what the
sites were told on earlier nights. There is no clock, so that the same marts always give the same bytes. A page is written
under another name first and then renamed, so that a reader never sees half of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from dyadlog.assets.quality.facts import NightId, Origin, night_of, opened, read_origin
from dyadlog.assets.quality.night import NightNotes, NightSheet, Took, night_sheet
from dyadlog.assets.quality.page import (
    checks_page,
    night_page,
    nights_page,
    site_page,
    study_nights_page,
    study_page,
    to_json,
)
from dyadlog.assets.quality.record import FILE, to_text
from dyadlog.assets.quality.site import SiteFiles, site_report
from dyadlog.assets.quality.study import PastNight, past_night, study_report
from dyadlog.assets.warehouse.published import pictures_folder
from dyadlog.schemas.study import Study

CORRECTIONS = "corrections.csv"
# Folder of the study team's pages in `reports/`; no site can have this id (schemas/protocol.py).
STUDY_FOLDER = "study"

__all__ = [
    "NightId",
    "NightNotes",
    "Took",
    "gather",
    "night_of",
    "write_night_sheet",
    "write_site_reports",
    "write_study_page",
]


@dataclass(frozen=True)
class Gathered:
    """What the reports of a night are written from; gathered once for all of them.

    Args:
        study: the protocol.
        origin: where the figures come from.
        sites: what is written for each site, in the order that was asked for.
    """

    study: Study
    origin: Origin
    sites: list[SiteFiles]

    @property
    def folder(self) -> Path:
        """Where the reports lie."""
        return self.study.folder / "reports"

    @property
    def linked(self) -> set[str]:
        """Sites whose page of the night exists."""
        night = self.origin.night.name
        return {site for site in self.study.site_ids if (self.folder / site / night / "index.html").exists()}


def gather(study: Study, build: Path, night: NightId, *, sites: Sequence[str] | None = None) -> Gathered:
    """Gather what a night says about sites.

    Args:
        study: the protocol.
        build: the published DuckDB file.
        night: the night, as `night_of(build)` says.
        sites: sites to gather; all of study.yaml, which the study page and the night sheet need, if None.

    Raises:
        ValueError: the file holds another night, or a site is not in study.yaml.
    """
    chosen = list(study.site_ids if sites is None else sites)
    if unknown := sorted(set(chosen) - set(study.site_ids)):
        raise ValueError(f"no sites of the study: {', '.join(unknown)}")
    with opened(build) as duck:
        origin = read_origin(duck)
        if origin.night != night:
            raise ValueError(f"the published file holds night {origin.night.name}, not {night.name}")
        return Gathered(study, origin, [site_report(duck, study, origin, site_id) for site_id in chosen])


def write_check(study: Study, build: Path, site_id: str, folder: Path) -> Path:
    """Write the page of files that were not sent yet, with what lies beside it, into a folder of its own.

    Args:
        study: the protocol.
        build: marts of these files alone.
        site_id: the site.
        folder: where.

    Returns:
        the page.
    """
    with opened(build) as duck:
        made = site_report(duck, study, read_origin(duck), site_id, before_sending=True)
    _put(folder / CORRECTIONS, made.corrections)
    _put(folder / "report.json", to_json(made.report))
    _put(folder / "checks.html", checks_page(study, made.report))
    return _put(folder / "index.html", site_page(made.report, study.protocol.thresholds))


def write_site_reports(gathered: Gathered) -> list[Path]:
    """Write `reports/<site>/<night>/` with page, twin, record and corrections, the list of each site's nights, and the checks.

    Returns:
        the pages of the night, in the order of the sites.
    """
    return [_write_site(gathered.study, made) for made in gathered.sites]


def sheet_of(gathered: Gathered, notes: NightNotes) -> NightSheet:
    """The night sheet over all sites."""
    return night_sheet(gathered.study, gathered.origin, [made.report for made in gathered.sites], notes)


def write_study_page(gathered: Gathered, notes: NightNotes) -> Path:
    """Write `reports/study/<night>/index.html` with its twin `study.json`, and the list of the study's nights.

    Args:
        gathered: all sites.
        notes: what the marts do not know.

    Returns:
        the page.
    """
    report = study_report(gathered.study, sheet_of(gathered, notes), gathered.sites)
    night, everything = report.origin.night.name, gathered.folder / STUDY_FOLDER
    folder = everything / night
    _put(folder / "study.json", to_json(report))
    pictures = (pictures_folder(gathered.study) / "study.html").exists()
    page = _put(folder / "index.html", study_page(report, gathered.linked, pictures))
    past = [one for one in _past_nights(everything) if one.night != night]
    nights = sorted([*past, past_night(report)], key=lambda one: (one.commit_seq, one.night), reverse=True)
    _put(everything / "nights.json", _written(nights))
    _put(everything / "index.html", study_nights_page(report, nights))
    return page


def write_night_sheet(gathered: Gathered, notes: NightNotes) -> Path:
    """Write `reports/index.html` and `reports/night.json`: one line per site, and what needs a human.

    Args:
        gathered: all sites.
        notes: what the marts do not know.

    Returns:
        the page.
    """
    sheet = sheet_of(gathered, notes)
    night = sheet.origin.night.name
    overview = f"{STUDY_FOLDER}/{night}/index.html"
    _put(gathered.folder / "night.json", to_json(sheet))
    there = overview if (gathered.folder / overview).exists() else None
    return _put(gathered.folder / "index.html", night_page(sheet, gathered.linked, there))


_NIGHTS = TypeAdapter(list[PastNight])


def _written(nights: Sequence[PastNight]) -> str:
    lines = ",\n".join(json.dumps(asdict(one), ensure_ascii=False) for one in nights)
    return f"[\n{lines}\n]\n"


def _past_nights(folder: Path) -> list[PastNight]:
    """The nights of before. The list is for people: where it was lost it begins anew."""
    try:
        return _NIGHTS.validate_json((folder / "nights.json").read_bytes())
    except (OSError, ValidationError):
        return []


def _write_site(study: Study, made: SiteFiles) -> Path:
    report = made.report
    site = study.folder / "reports" / report.site_id
    folder = site / report.origin.night.name
    _put(folder / FILE, to_text(made.record))
    _put(folder / CORRECTIONS, made.corrections)
    _put(folder / "report.json", to_json(report))
    page = _put(folder / "index.html", site_page(report, study.protocol.thresholds))
    _put(site / "index.html", nights_page(report, made.nights))
    _put(site / "checks.html", checks_page(study, report))
    return page


def _put(target: Path, text: str) -> Path:
    """Let a file appear, or change, in one step."""
    target.parent.mkdir(parents=True, exist_ok=True)
    waiting = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        waiting.write_bytes(text.encode())
        waiting.replace(target)
    finally:
        waiting.unlink(missing_ok=True)
    return target
