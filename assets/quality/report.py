"""Writes the reports of a night: a page and its JSON twin per site, and the night sheet over all sites.

Everything comes from the published DuckDB file, which is read and never written, from study.yaml and from what the
sites were told on earlier nights. There is no clock, so that the same marts always give the same bytes. A page is written under another name first and then renamed, so that
a reader never sees half of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb

from dyadlog.assets.quality.facts import NightId, Origin, night_of, opened, read_origin
from dyadlog.assets.quality.night import NightNotes, StepSeconds, night_sheet
from dyadlog.assets.quality.page import PastNight, checks_page, night_page, nights_page, site_page, to_json
from dyadlog.assets.quality.record import FILE, NIGHT, to_text
from dyadlog.assets.quality.site import SiteFiles, site_report
from dyadlog.schemas.study import Study

CORRECTIONS = "corrections.csv"

__all__ = [
    "NightId",
    "NightNotes",
    "StepSeconds",
    "night_of",
    "write_night_sheet",
    "write_site_reports",
]


def write_site_reports(
    study: Study, build: Path, night: NightId, *, sites: Sequence[str] | None = None
) -> list[Path]:
    """Write `reports/<site>/<night>/index.html`, `report.json`, `findings.json`, `corrections.csv`, and the list of each site's nights.

    Args:
        study: the protocol.
        build: the published DuckDB file.
        night: the night, as `night_of(build)` says.
        sites: sites to write; all of study.yaml if None.

    Returns:
        the pages of the night, in the order of the sites.

    Raises:
        ValueError: the file holds another night, or a site is not in study.yaml.
    """
    chosen = list(study.site_ids if sites is None else sites)
    if unknown := sorted(set(chosen) - set(study.site_ids)):
        raise ValueError(f"no sites of the study: {', '.join(unknown)}")
    with opened(build) as duck:
        origin = _origin(duck, night)
        return [_write_site(study, site_report(duck, study, origin, site_id)) for site_id in chosen]


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
    return _put(folder / "index.html", site_page(made.report, study.protocol.thresholds.peers_sites))


def write_night_sheet(study: Study, build: Path, night: NightId, *, notes: NightNotes) -> Path:
    """Write `reports/index.html` and `reports/night.json`: one line per site, and what needs a human.

    Args:
        study: the protocol.
        build: the published DuckDB file.
        night: the night, as `night_of(build)` says.
        notes: what the marts do not know.

    Returns:
        the page.

    Raises:
        ValueError: the file holds another night.
    """
    with opened(build) as duck:
        origin = _origin(duck, night)
        reports = [site_report(duck, study, origin, site_id).report for site_id in study.site_ids]
    sheet = night_sheet(study, origin, reports, notes)
    folder = study.folder / "reports"
    linked = [name for name in study.site_ids if (folder / name / night.name / "index.html").exists()]
    _put(folder / "night.json", to_json(sheet))
    return _put(folder / "index.html", night_page(sheet, linked))


def _origin(duck: duckdb.DuckDBPyConnection, night: NightId) -> Origin:
    origin = read_origin(duck)
    if origin.night != night:
        raise ValueError(f"the published file holds night {origin.night.name}, not {night.name}")
    return origin


def _write_site(study: Study, made: SiteFiles) -> Path:
    report = made.report
    site = study.folder / "reports" / report.site_id
    folder = site / report.origin.night.name
    _put(folder / FILE, to_text(made.record))
    _put(folder / CORRECTIONS, made.corrections)
    _put(folder / "report.json", to_json(report))
    page = _put(folder / "index.html", site_page(report, study.protocol.thresholds.peers_sites))
    _put(site / "index.html", nights_page(report, _nights(site)))
    _put(site / "checks.html", checks_page(study, report))
    return page


def _nights(site: Path) -> list[PastNight]:
    """A site's nights, newest first. A night whose twin is not readable any more is listed without words."""
    names = [entry.name for entry in site.iterdir() if NIGHT.match(entry.name) and entry.is_dir()]
    return list(_read_nights(site, sorted(names, key=lambda name: (int(name.rsplit("-", 1)[1]), name))[::-1]))


def _read_nights(site: Path, names: Sequence[str]) -> Iterator[PastNight]:
    for name in names:
        try:
            told = json.loads((site / name / "report.json").read_bytes())["verdict"]
            yield PastNight(name, str(told["headline"]), str(told["todo"]))
        except (OSError, ValueError, KeyError, TypeError):
            yield PastNight(name, "", "")


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
