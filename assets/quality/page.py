"""From report objects to HTML and JSON text."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from dyadlog.assets.event_log.records import RECEIPT_DIGITS
from dyadlog.assets.quality import words
from dyadlog.assets.quality.changes import note_words, spark, standing, why
from dyadlog.assets.quality.chart import chart
from dyadlog.assets.quality.completeness import in_words
from dyadlog.assets.quality.facts import File
from dyadlog.assets.quality.funnel import draw, standing_out
from dyadlog.assets.quality.night import NightSheet
from dyadlog.assets.quality.peers import Standing
from dyadlog.assets.quality.record import Said
from dyadlog.assets.quality.registry import asked, checks
from dyadlog.assets.quality.site import SiteReport
from dyadlog.assets.quality.study import PastNight, StudyReport
from dyadlog.assets.quality.verdict import act_words, file_words
from dyadlog.schemas.protocol import Thresholds
from dyadlog.schemas.study import Study

# What fits on two printed pages; report.json holds more.
FILES_ON_PAGE = 20
CARDS_IN_FULL = 8
CARDS_ON_PAPER = 6
FURTHER_ON_PAPER = 6
FIELDS_ON_PAGE = 6
FINDINGS_ON_PAGE = 80
DIFFERING_ON_PAGE = 20
LIVES_ON_PAGE = 60
ACTS_ON_PAGE = 10
CODES_ON_PAGE = 40
SPARK_NIGHTS = 60
# A year in full; older nights as links only.
NIGHTS_ON_PAGE = 366


def coded(text: str) -> Markup:
    """Text of ours with `names` between backticks set as code."""
    pieces = [
        Markup("<code>{}</code>").format(part) if odd % 2 else escape(part)
        for odd, part in enumerate(text.split("`"))
    ]
    return Markup("").join(pieces)


def strip(standing: Standing) -> Markup:
    """The site, the others and chance on one line from nothing to a little more than the largest of them."""
    band, limits, share = standing.band, standing.limits, standing.share
    if band is None or limits is None or share is None:
        return Markup("")
    whole = max(band.high, limits[1], share) * 1.04 or 1.0

    def part(kind: str, low: float, high: float) -> Markup:
        where = f"left:{100 * low / whole:.1f}%;width:{100 * (high - low) / whole:.1f}%"
        return Markup('<i class="{}" style="{}"></i>').format(kind, where)

    drawn = [
        part("chance", *limits),
        part("band", band.low, band.high),
        part("middle", band.middle, band.middle),
        part("own", share, share),
    ]
    return Markup('<span class="strip" aria-hidden="true">{}</span>').format(Markup("").join(drawn))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": words.number,
        "counted": words.counted,
        "bytes": words.size,
        "day": words.day,
        "moment": words.moment,
        "act_words": act_words,
        "file_words": file_words,
        "coded": coded,
        "spark": spark,
        "standing": standing,
        "why": why,
        "note_words": note_words,
        "percent": words.percent,
        "days": words.days,
        "strip": strip,
    }
    environment.globals["receipt_digits"] = RECEIPT_DIGITS
    return environment


def to_json(report: SiteReport | NightSheet | StudyReport) -> str:
    """The twin of the page for machines."""
    return json.dumps(asdict(report), ensure_ascii=False, indent=1) + "\n"


def site_page(report: SiteReport, thresholds: Thresholds) -> str:
    """A site's page; `thresholds` are those of study.yaml."""
    tonight = [file for file in report.files if file.tonight]
    earlier = [file for file in report.files if not file.tonight]
    drawing = None if report.before_sending else chart(report.rhythm)
    differing = [one for one in report.changes.findings if one.cause or one.status == "unknown"]
    unchanged = [one for one in report.changes.findings if one not in differing]
    return render(
        "site.html.j2",
        report=report,
        origin=report.origin,
        tonight=_troubled_first(tonight)[:FILES_ON_PAGE],
        earlier=earlier[:FILES_ON_PAGE],
        earlier_total=report.files_total - report.tonight.files,
        acts=report.acts[:ACTS_ON_PAGE],
        cards=report.todo[:CARDS_IN_FULL],
        more_cards=report.todo[CARDS_IN_FULL:],
        cards_on_paper=CARDS_ON_PAPER,
        further_on_paper=FURTHER_ON_PAPER,
        fields_shown=FIELDS_ON_PAGE,
        findings=report.findings[:FINDINGS_ON_PAGE],
        differing=differing[:DIFFERING_ON_PAGE],
        differing_total=len(differing),
        unchanged=unchanged[:LIVES_ON_PAGE],
        unchanged_total=report.changes.findings_total - len(differing),
        planned=any(row.planned for row in report.completeness.rows),
        ages=sorted(
            (one.days_open for one in report.changes.findings if one.resolved_on is None), reverse=True
        ),
        thresholds=thresholds,
        complete=in_words(report.completeness),
        drawing=drawing,
        svg=Markup(drawing.svg) if drawing else None,  # noqa: S704 - drawn by us from numbers and dates only
    )


def _troubled_first(files: Sequence[File]) -> list[File]:
    return sorted(files, key=lambda f: (f.outcome != "rejected_file", -f.held_back, -f.commit_seq))


def nights_page(report: SiteReport, nights: Mapping[str, Said | None]) -> str:
    """The list of a site's nights.

    Args:
        report: tonight's report.
        nights: all nights in short, by name; those whose record cannot be read are listed without words.
    """
    listed = sorted(nights.items(), key=lambda one: (int(one[0].rsplit("-", 1)[1]), one[0]), reverse=True)
    return render(
        "nights.html.j2",
        report=report,
        origin=report.origin,
        nights=listed[:NIGHTS_ON_PAGE],
        older=[name for name, _ in listed[NIGHTS_ON_PAGE:]],
        waiting=[_waiting(said) for _, said in listed[:SPARK_NIGHTS]][::-1],
    )


def _waiting(said: Said | None) -> int | None:
    """Reason codes that waited for somebody; None where it is not known."""
    return said.to_correct + said.to_look_at + said.not_checked if said else None


def checks_page(study: Study, report: SiteReport) -> str:
    """What each check means, with the figures of the study."""
    return render(
        "checks.html.j2",
        report=report,
        origin=report.origin,
        checks=checks(study.protocol.thresholds),
        asked=asked(),
    )


def night_page(sheet: NightSheet, linked: Collection[str], study_page: str | None) -> str:
    """The night sheet; `linked` names the sites whose page of this night exists, `study_page` where the study's is."""
    return render("night.html.j2", sheet=sheet, origin=sheet.origin, linked=linked, study_page=study_page)


def study_page(report: StudyReport, linked: Collection[str], pictures: bool) -> str:
    """The page over all sites; `pictures` says whether `dyadlog plot study` has drawn it."""
    drawings = [(one, draw(one)) for one in report.funnels]
    return render(
        "study.html.j2",
        report=report,
        origin=report.origin,
        linked=linked,
        pictures=pictures,
        codes=report.codes[:CODES_ON_PAGE],
        late=[row for row in report.sites if row.is_late or row.habit.last_received_at is None],
        funnels=[(one, Markup(drawn), standing_out(one.points)) for one, drawn in drawings if drawn],  # noqa: S704 - drawn by us from numbers, dates and ids of sites
        undrawn=[one for one, drawn in drawings if not drawn],
    )


def study_nights_page(report: StudyReport, nights: Sequence[PastNight]) -> str:
    """The list of the study's nights, newest first."""
    return render(
        "study_nights.html.j2",
        report=report,
        origin=report.origin,
        nights=nights[:NIGHTS_ON_PAGE],
        older=[one.night for one in nights[NIGHTS_ON_PAGE:]],
    )


def render(template: str, **values: Any) -> str:
    """A page from a template of `templates/`."""
    return _environment().get_template(template).render(values).rstrip() + "\n"
