"""The page over all sites as one plain object, for the study team: sites side by side, with their names.

Made from the sites' own reports, so that a site and the study team never read two verdicts about the same night. Only the
funnel is its own: a site's page knows the others as a band in whole percents, the study team sees the exact shares.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

from dyadlog.assets.quality.changes import Ages
from dyadlog.assets.quality.facts import Account, Habit, Origin, Outcome, Timeliness
from dyadlog.assets.quality.life import OPEN
from dyadlog.assets.quality.night import Line, Need, NightSheet
from dyadlog.assets.quality.site import SiteFiles
from dyadlog.assets.quality.todo import CATEGORIES, OUTCOMES, KahnRow
from dyadlog.schemas.codes import codes
from dyadlog.schemas.indicators import indicators
from dyadlog.schemas.study import Study

FORMAT = "dyadlog.study-report/1"
LIMIT = 3.09

Where = Literal["nothing", "too_few", "inside", "high", "low"]


@dataclass(frozen=True)
class SiteRow:
    """One site.

    Args:
        site_id: the site.
        site_name: its name, if study.yaml gives one.
        words: the night in a few words.
        is_late: whether a delivery is overdue.
        habit: how the site delivers.
        total: account of all its files.
        checks: its checks by category and outcome.
        expected: forms expected.
        received: forms in use.
        open: its open findings by age.
        timeliness: days between what happened and its record.
    """

    site_id: str
    site_name: str | None
    words: str
    is_late: bool
    habit: Habit
    total: Account
    checks: list[KahnRow]
    expected: int
    received: int
    open: Ages
    timeliness: Timeliness


@dataclass(frozen=True)
class Across:
    """One reason code over all sites: a site counts once, by the worst outcome of the code there.

    Args:
        code: the reason code.
        says: what is wrong.
        sites: number of sites by outcome.
        named: sites that have something to correct, to look at, or not checked, worst first.
    """

    code: str
    says: str
    sites: dict[Outcome, int]
    named: list[str]


@dataclass(frozen=True)
class Point:
    """A site's share.

    Args:
        site_id: the site.
        n: how many.
        of: of how many; zero if there is nothing to look at.
        place: where the site stands: `high` and `low` are outside the limits of all sites (99.8 %).
    """

    site_id: str
    n: int
    of: int
    place: Where


@dataclass(frozen=True)
class Funnel:
    """One share of all sites side by side.

    Args:
        indicator: what is counted.
        says: the same in words.
        unit: among what.
        n: how many at all sites together.
        of: of how many.
        points: one per site, in the order of study.yaml.
    """

    indicator: str
    says: str
    unit: str
    n: int
    of: int
    points: list[Point]


@dataclass(frozen=True)
class StudyReport:
    """Everything the study page says.

    Args:
        format: name and version of this structure.
        study: id of the study.
        title: its title.
        origin: where the figures come from.
        headline: the night in one sentence.
        needs: what needs a human, most urgent first.
        tonight: account of the files of the night, all sites together.
        total: account of all files.
        sites: one row per site, in the order of study.yaml.
        checks: checks of all sites by category and outcome.
        expected: forms expected at all sites.
        received: forms in use.
        open: open findings of all sites by age.
        codes: reason codes that are open at some site, those of most sites first.
        funnels: shares of the sites, in the order of the registry.
    """

    format: str
    study: str
    title: str
    origin: Origin
    headline: str
    needs: list[Need]
    tonight: Account
    total: Account
    sites: list[SiteRow]
    checks: list[KahnRow]
    expected: int
    received: int
    open: Ages
    codes: list[Across]
    funnels: list[Funnel]


@dataclass(frozen=True)
class PastNight:
    """One night in the list of the study's nights.

    Args:
        night: its name.
        commit_seq: its newest commit.
        headline: the night in one sentence.
        files: files received on the day of the night.
        sent: their lines.
        held_back: those that were held back.
        waiting: open findings that wait for somebody.
        needs: things that needed a human.
    """

    night: str
    commit_seq: int
    headline: str
    files: int
    sent: int
    held_back: int
    waiting: int
    needs: int


def past_night(report: StudyReport) -> PastNight:
    """Tonight, as later nights will list it."""
    return PastNight(
        night=report.origin.night.name,
        commit_seq=report.origin.night.commit_seq,
        headline=report.headline,
        files=report.tonight.files,
        sent=report.tonight.sent,
        held_back=report.tonight.held_back,
        waiting=report.open.waiting,
        needs=len(report.needs),
    )


def study_report(study: Study, sheet: NightSheet, made: Sequence[SiteFiles]) -> StudyReport:
    """Put the sites' reports side by side.

    Args:
        study: the protocol.
        sheet: the night sheet.
        made: what is written for each site, in the order of study.yaml.
    """
    rows = [_row(one, line) for one, line in zip(made, sheet.lines, strict=True)]
    return StudyReport(
        format=FORMAT,
        study=study.protocol.study,
        title=study.protocol.title,
        origin=sheet.origin,
        headline=sheet.headline,
        needs=sheet.needs,
        tonight=_together([one.report.tonight for one in made]),
        total=_together([row.total for row in rows]),
        sites=rows,
        checks=_kahn(rows),
        expected=sum(row.expected for row in rows),
        received=sum(row.received for row in rows),
        open=_ages([row.open for row in rows]),
        codes=_across(made),
        funnels=_funnels(made, study.protocol.thresholds.peers_min),
    )


def _row(made: SiteFiles, line: Line) -> SiteRow:
    report = made.report
    return SiteRow(
        site_id=report.site_id,
        site_name=report.site_name,
        words=line.words,
        is_late=line.is_late,
        habit=report.habit,
        total=report.total,
        checks=report.checks,
        expected=report.completeness.expected,
        received=report.completeness.received,
        open=report.changes.ages,
        timeliness=report.timeliness,
    )


def _together(accounts: Sequence[Account]) -> Account:
    names = [field.name for field in fields(Account) if field.name != "balances"]
    sums = {name: sum(getattr(one, name) for one in accounts) for name in names}
    return Account(**sums, balances=all(one.balances for one in accounts))


def _ages(found: Sequence[Ages]) -> Ages:
    names = [field.name for field in fields(Ages) if field.name != "oldest_days"]
    oldest = [one.oldest_days for one in found if one.oldest_days is not None]
    sums = {name: sum(getattr(one, name) for one in found) for name in names}
    return Ages(**sums, oldest_days=max(oldest, default=None))


def _kahn(rows: Sequence[SiteRow]) -> list[KahnRow]:
    found = []
    for place, category in enumerate(CATEGORIES):
        own = [row.checks[place] for row in rows]
        sums = {outcome: sum(one.outcomes[outcome] for one in own) for outcome in OUTCOMES}
        found.append(KahnRow(category, sum(one.checks for one in own), sums))
    return found


def _across(made: Sequence[SiteFiles]) -> list[Across]:
    found = []
    for code, told in codes().items():
        outcomes = {one.report.site_id: one.codes[code] for one in made if code in one.codes}
        # Worst first, then in the order of study.yaml.
        named = [site for worst in OPEN for site, outcome in outcomes.items() if outcome == worst]
        if named:
            counts = Counter(outcomes.values())
            # A check that says nothing about a site had nothing to look at there.
            counts["not_applicable"] += len(made) - len(outcomes)
            found.append(Across(code, told.says, {outcome: counts[outcome] for outcome in OUTCOMES}, named))
    return sorted(found, key=lambda one: (*(-one.sites[outcome] for outcome in OPEN), one.code))


def _funnels(made: Sequence[SiteFiles], least: int) -> list[Funnel]:
    found = []
    for place, (name, about) in enumerate(indicators().items()):
        own = [(one.report.site_id, one.report.shares[place]) for one in made]
        n, of = sum(share.n for _, share in own), sum(share.of for _, share in own)
        points = [
            Point(site, share.n, share.of, where_stands(share.n, share.of, n, of, least))
            for site, share in own
        ]
        found.append(Funnel(name, about.says, about.of, n, of, points))
    return found


def where_stands(n: int, of: int, all_n: int, all_of: int, least: int) -> Where:
    """Where a share stands against the limits of all sites; below `least` nothing is said."""
    if of < least:
        return "too_few" if of else "nothing"
    middle = all_n / all_of
    half = LIMIT * math.sqrt(middle * (1 - middle) / of)
    if abs(n / of - middle) <= half:
        return "inside"
    return "high" if n / of > middle else "low"
