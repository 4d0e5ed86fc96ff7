"""The report of one site as one plain object: the page shows it, `report.json` is it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import duckdb

from dyadlog.assets.quality.changes import Changes, changes
from dyadlog.assets.quality.chart import Period, periods
from dyadlog.assets.quality.completeness import Matrix, matrix
from dyadlog.assets.quality.corrections import corrections
from dyadlog.assets.quality.facts import (
    Account,
    Act,
    File,
    Finding,
    Habit,
    Origin,
    Outcome,
    Timeliness,
    account,
    habit,
    read_acts,
    read_files,
    read_findings,
    read_forms,
    read_timeliness,
)
from dyadlog.assets.quality.groups import Line, doubts, group
from dyadlog.assets.quality.life import lives
from dyadlog.assets.quality.peers import Standing, read_bands, read_shares, standings
from dyadlog.assets.quality.record import Record, Said, read_answers, read_earlier, record, site_commit
from dyadlog.assets.quality.scores import Scores, read_scores
from dyadlog.assets.quality.todo import Card, KahnRow, by_code, cards, kahn
from dyadlog.assets.quality.verdict import Verdict, verdict
from dyadlog.schemas.expectations import expected
from dyadlog.schemas.study import Study

FORMAT = "dyadlog.site-report/1"

# Both are far above what a site delivers in a year; they keep the page and its twin small whatever comes.
FILES_LISTED = 200
FINDINGS_LISTED = 500
ACTS_LISTED = 100


@dataclass(frozen=True)
class SiteReport:
    """Everything a site's page says.

    Args:
        format: name and version of this structure.
        study: id of the study.
        title: its title.
        site_id: the site.
        site_name: its name, if study.yaml gives one.
        before_sending: whether this is the site's own check of files that were not sent yet: checks of files and lines only.
        origin: where the figures come from.
        verdict: the first line.
        tonight: account of the files received on the day of the night.
        total: account of all files.
        habit: how the site delivers.
        files: newest files.
        files_total: number of files.
        acts: what was done to deliveries later, newest first.
        todo: reason codes that ask for something, worst first.
        changes: what is different since the night before, and the life of every finding.
        checks: checks by category and outcome.
        findings: all findings.
        findings_total: number of findings.
        completeness: expected and received forms.
        rhythm: lines received by day or week.
        process: checks of the process, and expectations about it that do not hold.
        privacy: checks of what must not leave the site.
        drift: checks of the agreed form of files and lines.
        shares: the site beside the others and beside its own past.
        scores: first scores, likewise.
        timeliness: days between what happened and its record.
        corrections: rows of corrections.csv.
    """

    format: str
    study: str
    title: str
    site_id: str
    site_name: str | None
    before_sending: bool
    origin: Origin
    verdict: Verdict
    tonight: Account
    total: Account
    habit: Habit
    files: list[File]
    files_total: int
    acts: list[Act]
    todo: list[Card]
    changes: Changes
    checks: list[KahnRow]
    findings: list[Finding]
    findings_total: int
    completeness: Matrix
    rhythm: list[Period]
    process: list[Line]
    privacy: list[Line]
    drift: list[Line]
    shares: list[Standing]
    scores: list[Scores]
    timeliness: Timeliness
    corrections: int


@dataclass(frozen=True)
class SiteFiles:
    """What is written for a site.

    Args:
        report: its report.
        record: what is kept of it.
        corrections: the table of what to correct.
        nights: all nights up to this one in short, by name; null where the record cannot be read.
        codes: worst outcome of each reason code, for the study page.
    """

    report: SiteReport
    record: Record
    corrections: str
    nights: dict[str, Said | None]
    codes: dict[str, Outcome]


def site_report(
    duck: duckdb.DuckDBPyConnection,
    study: Study,
    origin: Origin,
    site_id: str,
    *,
    before_sending: bool = False,
) -> SiteFiles:
    """Gather one site's report, and what lies beside it, from the published file and the records of before.

    Args:
        duck: the published file.
        study: the protocol.
        origin: where the figures come from.
        site_id: the site.
        before_sending: tell only what can be said of files without those that came before.
    """
    files = read_files(duck, site_id, origin.as_of)
    findings = read_findings(duck, site_id)
    if before_sending:
        findings = [finding for finding in findings if finding.scope in ("file", "line")]
    says = {name: each.says for name, each in expected(study).items()}
    earlier, lost = read_earlier(study.folder / "reports" / site_id, origin.night.commit_seq)
    shares = read_shares(duck, site_id)
    told = record(origin, site_id, site_commit(duck, site_id), findings, read_answers(duck, site_id), shares)
    found = lives(told, earlier)
    changed = changes(found, earlier, lost)
    todo = cards(findings, found, files, origin.as_of, says)
    tonight, total = account([f for f in files if f.tonight]), account(files)
    habits = habit(files, origin.as_of, study.protocol.thresholds.quiet_days)
    table = corrections(duck, site_id, lines_only=before_sending)
    report = SiteReport(
        format=FORMAT,
        study=study.protocol.study,
        title=study.protocol.title,
        site_id=site_id,
        site_name=next(site.name for site in study.protocol.sites if site.id == site_id),
        before_sending=before_sending,
        origin=origin,
        verdict=verdict(tonight, total, habits, todo, changed, origin.as_of),
        tonight=tonight,
        total=total,
        habit=habits,
        files=files[:FILES_LISTED],
        files_total=len(files),
        acts=read_acts(duck, site_id, origin.as_of)[:ACTS_LISTED],
        todo=todo,
        changes=changed,
        checks=kahn(findings, files),
        findings=_open_first(findings)[:FINDINGS_LISTED],
        findings_total=len(findings),
        completeness=matrix(study, read_forms(duck, site_id)),
        rhythm=periods(files, origin.as_of),
        process=group("process", findings, total) + doubts(findings, says),
        privacy=group("privacy", findings, total),
        drift=group("drift", findings, total),
        shares=standings(shares, read_bands(duck, site_id), earlier, study.protocol.thresholds.peers_min),
        scores=read_scores(duck, study.protocol, site_id),
        timeliness=read_timeliness(duck, site_id),
        corrections=table.rows,
    )
    kept = replace(told, said=_said(report))
    nights = dict.fromkeys(lost) | {night.night: night.said for night in [*earlier, kept]}
    return SiteFiles(report, kept, table.text, nights, by_code(findings, files))


def _said(report: SiteReport) -> Said:
    """The night in short, for the list of the site's nights."""
    open_cards = [card for card in report.todo if card.status != "acknowledged"]
    return Said(
        level=report.verdict.level,
        headline=report.verdict.headline,
        files=report.tonight.files,
        sent=report.tonight.sent,
        accepted=report.tonight.accepted,
        already_had=report.tonight.already_had,
        held_back=report.tonight.held_back,
        to_correct=sum(card.outcome == "fail" for card in open_cards),
        to_look_at=sum(card.outcome == "warn" for card in open_cards),
        not_checked=sum(card.outcome == "crashed" for card in open_cards),
        answered=len(report.todo) - len(open_cards),
    )


def _open_first(findings: Sequence[Finding]) -> list[Finding]:
    order = ("fail", "warn", "crashed", "pass", "not_applicable")
    return sorted(findings, key=lambda f: (order.index(f.outcome), f.code, -f.n_violated, f.subject))
