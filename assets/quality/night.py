"""The night sheet: one line per site for whoever runs the study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from dyadlog.assets.quality.facts import Account, Habit, Origin
from dyadlog.assets.quality.notice import missed_words
from dyadlog.assets.quality.site import SiteReport
from dyadlog.assets.quality.verdict import Level
from dyadlog.assets.quality.words import counted, day, listing, number, plain, sentence
from dyadlog.schemas.study import Study

FORMAT = "dyadlog.night-sheet/1"
FILES_NAMED = 5
MODELS_LISTED = 12

Kind = Literal[
    "missed_night",
    "failed_night",
    "hook_failed",
    "does_not_balance",
    "not_checked",
    "never_delivered",
    "unreadable",
    "all_held_back",
    "late",
    "unfinished",
    "stranger",
]


@dataclass(frozen=True)
class Took:
    """What one step of the night took.

    Args:
        step: the step.
        seconds: how long it took.
        peak_megabytes: peak memory of the process up to its end, in MB; null if it was not looked at.
    """

    step: str
    seconds: float
    peak_megabytes: float | None = None


@dataclass(frozen=True)
class Unfinished:
    """A file that is still being copied."""

    site_id: str
    file_name: str


@dataclass(frozen=True)
class NightNotes:
    """What the marts do not know about a night.

    Args:
        unfinished: site and name of files that are still being copied.
        strangers: names in `landing/` that are no site of the study.
        steps: what each step took, in order.
        models: what each model took.
        missed: days of nights that should have run since the last one, and did not.
        failed: nights that failed since one completed.
        hooks: sentences about notifications that could not be sent, without any value of a record.
    """

    unfinished: Sequence[tuple[str, str]] = ()
    strangers: Sequence[str] = ()
    steps: Sequence[Took] = ()
    models: Sequence[Took] = ()
    missed: Sequence[date] = ()
    failed: int = 0
    hooks: Sequence[str] = ()


@dataclass(frozen=True)
class Line:
    """One site in the night sheet.

    Args:
        site_id: the site.
        site_name: its name, if study.yaml gives one.
        level: verdict of the night as a code.
        words: the night in a few words.
        tonight: account of the files of the night.
        total: account of all files.
        habit: how the site delivers.
        is_late: silent for longer than usual for this site.
        to_correct: reason codes to correct.
        to_look_at: reason codes to look at.
        crashed: reason codes that could not be checked.
        expected: forms expected.
        received: forms in use.
        unfinished: files that are still being copied.
    """

    site_id: str
    site_name: str | None
    level: Level
    words: str
    tonight: Account
    total: Account
    habit: Habit
    is_late: bool
    to_correct: int
    to_look_at: int
    crashed: int
    expected: int
    received: int
    unfinished: int


@dataclass(frozen=True)
class Need:
    """Something a human has to see to.

    Args:
        kind: what it is about, as a code.
        site_id: the site; null if it is about none.
        text: what it is.
    """

    kind: Kind
    site_id: str | None
    text: str


@dataclass(frozen=True)
class NightSheet:
    """Everything the night sheet says.

    Args:
        format: name and version of this structure.
        study: id of the study.
        title: its title.
        origin: where the figures come from.
        headline: the night in one sentence.
        lines: one per site, in the order of study.yaml.
        needs: what needs a human, most urgent first.
        unfinished: files that are still being copied.
        strangers: names in landing/ that are no site of the study.
        missed: days of nights that should have run since the one before, and did not.
        steps: what each step took.
        models: the models that took longest.
    """

    format: str
    study: str
    title: str
    origin: Origin
    headline: str
    lines: list[Line]
    needs: list[Need]
    unfinished: list[Unfinished]
    strangers: list[str]
    missed: list[str]
    steps: list[Took]
    models: list[Took]


def night_sheet(study: Study, origin: Origin, reports: Sequence[SiteReport], notes: NightNotes) -> NightSheet:
    """Arrange a night sheet from the sites' reports."""
    unfinished = [Unfinished(site, plain(name)) for site, name in sorted(notes.unfinished)]
    strangers = [plain(name) for name in sorted(notes.strangers)]
    lines = [_line(report, sum(u.site_id == report.site_id for u in unfinished)) for report in reports]
    return NightSheet(
        format=FORMAT,
        study=study.protocol.study,
        title=study.protocol.title,
        origin=origin,
        headline=_headline(lines, origin),
        lines=lines,
        needs=_needs(lines, unfinished, strangers, notes),
        unfinished=unfinished,
        strangers=strangers,
        missed=[night.isoformat() for night in notes.missed],
        steps=list(notes.steps),
        models=sorted(notes.models, key=lambda took: -took.seconds)[:MODELS_LISTED],
    )


def _line(report: SiteReport, unfinished: int) -> Line:
    outcomes = [card.outcome for card in report.todo]
    return Line(
        site_id=report.site_id,
        site_name=report.site_name,
        level=report.verdict.level,
        words=_words(report),
        tonight=report.tonight,
        total=report.total,
        habit=report.habit,
        is_late=report.habit.is_late,
        to_correct=outcomes.count("fail"),
        to_look_at=outcomes.count("warn"),
        crashed=outcomes.count("crashed"),
        expected=report.completeness.expected,
        received=report.completeness.received,
        unfinished=unfinished,
    )


def _words(report: SiteReport) -> str:
    """A site's night in a few words."""
    if not report.total.files:
        return "has never delivered"
    done = _done(report)
    if not report.tonight.files:
        return ", ".join(["nothing new tonight", *done])
    parts = [counted(report.tonight.files, "file")]
    if report.tonight.rejected_files:
        parts.append(f"{number(report.tonight.rejected_files)} unreadable")
    if report.tonight.held_back:
        parts.append(f"{counted(report.tonight.held_back, 'line')} held back")
    if len(parts) == 1:
        parts.append("accepted in full" if report.tonight.accepted else "nothing new in it")
    return ", ".join(parts + done)


def _done(report: SiteReport) -> list[str]:
    """What was done tonight to deliveries of before."""
    acts = [act for act in report.acts if act.tonight]
    lines, voids = sum(act.lines for act in acts), sum(act.act == "void" for act in acts)
    return ([f"{counted(lines, 'line')} released"] if lines else []) + (
        [f"{counted(voids, 'delivery', 'deliveries')} voided"] if voids else []
    )


def _headline(lines: Sequence[Line], origin: Origin) -> str:
    if origin.as_of is None:
        return "No site has delivered anything yet."
    came = sum(line.tonight.files > 0 for line in lines)
    never = sum(line.total.files == 0 for line in lines)
    silent = len(lines) - came - never
    parts = [f"{number(came) if came else 'none'} of {counted(len(lines), 'site')} delivered"]
    if silent:
        parts.append(f"{number(silent)} had nothing new")
    if never:
        parts.append(f"{number(never)} {'has' if never == 1 else 'have'} never delivered")
    return sentence(listing(parts))


def _needs(
    lines: Sequence[Line], unfinished: Sequence[Unfinished], strangers: list[str], notes: NightNotes
) -> list[Need]:
    """What needs a human, most urgent first."""
    needs = [Need("missed_night", None, missed_words(notes.missed))] if notes.missed else []
    if notes.failed:
        told = counted(notes.failed, "night")
        needs.append(Need("failed_night", None, f"{told} failed since the last good one."))
    needs += [Need("hook_failed", None, plain(text)) for text in notes.hooks]
    needs += [
        Need(
            "does_not_balance",
            line.site_id,
            "The receipt does not balance; do not release data of this site.",
        )
        for line in lines
        if not line.total.balances
    ]
    needs += [
        Need(
            "not_checked",
            line.site_id,
            sentence(f"{counted(line.crashed, 'reason')} for which a check could not be run"),
        )
        for line in lines
        if line.crashed
    ]
    for line in lines:
        needs += [Need(kind, line.site_id, text) for kind, text in _about(line)]
    for site in sorted({file.site_id for file in unfinished}):
        told = _named([file.file_name for file in unfinished if file.site_id == site])
        needs.append(Need("unfinished", site, f"Not finished copying, left for the next night: {told}."))
    if strangers:
        told = _named(strangers)
        needs.append(Need("stranger", None, f"In landing/, but no site of study.yaml, so not read: {told}."))
    return needs


def _named(names: Sequence[str]) -> str:
    more = [f"{number(len(names) - FILES_NAMED)} more"] if len(names) > FILES_NAMED else []
    return listing([f"“{name}”" for name in names[:FILES_NAMED]] + more)


def _about(line: Line) -> list[tuple[Kind, str]]:
    told: list[tuple[Kind, str]] = []
    if not line.total.files:
        told.append(("never_delivered", "Has never delivered: ask whether the export is set up."))
    elif line.total.rejected_files == line.total.files:
        told.append(("unreadable", "Has delivered, but no file could be read so far."))
    elif line.tonight.rejected_files:
        unread = counted(line.tonight.rejected_files, "file")
        told.append(("unreadable", sentence(f"{unread} could not be read tonight")))
    if line.tonight.sent and line.tonight.held_back == line.tonight.sent:
        told.append(
            ("all_held_back", "Every line of tonight was held back: the export has probably changed.")
        )
    if line.is_late and line.habit.last_received_at:
        silent = f"Late: last delivery on {day(line.habit.last_received_at)}, {counted(line.habit.days_since or 0, 'day')} ago"
        usual = line.habit.usual_days
        told.append(
            (
                "late",
                f"{silent}; until then about every {counted(round(usual), 'day')}."
                if usual
                else f"{silent}.",
            )
        )
    return told
