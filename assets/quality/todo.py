"""From findings to what somebody should do, and to the table of all checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import get_args

from dyadlog.assets.quality.changes import of_code, standing
from dyadlog.assets.quality.expectations import CRASHED, FAILED
from dyadlog.assets.quality.facts import Category, File, Finding, Outcome
from dyadlog.assets.quality.life import OPEN, Life, Status
from dyadlog.assets.quality.record import finding_id
from dyadlog.assets.quality.words import counted, day, number, sentence
from dyadlog.schemas.codes import codes

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
CATEGORIES: tuple[Category, ...] = get_args(Category)

# A page is for people and stays small: a code with thousands of fields shows the worst, and says how many there are.
FIELDS_LISTED = 100

SILENT = "SITE_SILENT"
_WORST_FIRST: tuple[Outcome, ...] = (*OPEN, "pass", "not_applicable")
_SCOPES = ("site", "file", "line", "fact", "session", "design", "mart")


@dataclass(frozen=True)
class Field:
    """One field, measure or expectation that a code is about.

    Args:
        name: its name.
        n: how many violate there.
        of: how many were looked at; null if unknown.
        says: what is wrong there, for an expectation of the study.
        finding_id: the finding, for the site's answer.
        status: its standing.
        note: the site's answer, if it holds.
    """

    name: str
    n: int
    of: int | None
    says: str | None
    finding_id: str
    status: Status
    note: str | None


@dataclass(frozen=True)
class Card:
    """One reason code that asks for something.

    Args:
        code: the reason code.
        finding_id: name under which the site answers to the code as a whole.
        status: standing: `acknowledged` if all its findings are answered, `new` if all others are new, and so on.
        note: the site's answer, if there is one for all.
        outcome: `fail`, `warn` or `crashed`.
        kahn: category.
        says: what is wrong.
        why: why it matters.
        fix: how to mend it at the source.
        n: how many violate.
        of: how many were looked at.
        exact: False if `n` is a lower bound: one line may carry the code in several fields.
        figure: the count as it is shown.
        words: what the figure counts.
        fields: the worst fields.
        fields_total: number of fields.
        first_seen: first delivery with the code, for codes that are counted by delivery.
        last_seen: last delivery with the code.
        since: the same in words.
    """

    code: str
    finding_id: str
    status: Status
    note: str | None
    outcome: Outcome
    kahn: Category
    says: str
    why: str
    fix: str
    n: int
    of: int | None
    exact: bool
    figure: str
    words: str
    fields: list[Field]
    fields_total: int
    first_seen: str | None
    last_seen: str | None
    since: str


@dataclass(frozen=True)
class KahnRow:
    """Checks of one category by outcome.

    Args:
        category: category (Kahn et al. 2016).
        checks: number of checks.
        outcomes: number of checks by outcome.
    """

    category: Category
    checks: int
    outcomes: dict[Outcome, int]


def cards(
    findings: Sequence[Finding],
    lives: Sequence[Life],
    files: Sequence[File],
    as_of: str | None,
    expectations: Mapping[str, str],
) -> list[Card]:
    """One card per reason code that is open, worst first.

    Args:
        findings: all findings of a site.
        lives: their lives.
        files: its files.
        as_of: when the newest commit was received.
        expectations: what each expectation of the study says when it does not hold.
    """
    by_code = groupby(sorted(findings, key=lambda f: f.code), key=lambda f: f.code)
    known = {(one.code, one.subject): one for one in lives}
    found = [_card(code, list(group), findings, known, files, as_of, expectations) for code, group in by_code]
    return sorted((card for card in found if card), key=_badness)


def _badness(card: Card) -> tuple[bool, int, int, int, str]:
    scope = codes()[card.code].scope
    return card.status == "acknowledged", OPEN.index(card.outcome), _SCOPES.index(scope), -card.n, card.code


def _card(
    code: str,
    group: list[Finding],
    findings: Sequence[Finding],
    lives: Mapping[tuple[str, str], Life],
    files: Sequence[File],
    as_of: str | None,
    expectations: Mapping[str, str],
) -> Card | None:
    still = [finding for finding in group if finding.outcome in OPEN]
    if not still:
        return None
    told = codes()[code]
    own = [lives[f.code, f.subject] for f in still]
    status = of_code(own)
    n, of, exact = _count(still, findings)
    first = min((f.first_seen for f in still if f.first_seen), default=None)
    last = max((f.last_seen for f in still if f.last_seen), default=None)
    fields = sorted(
        (
            Field(
                f.subject,
                f.n_violated,
                f.n_denominator,
                expectations.get(f.subject),
                life.finding_id,
                life.status,
                life.note,
            )
            for f, life in zip(still, own, strict=True)
            if f.subject
        ),
        key=lambda field: (-field.n, field.name),
    )
    return Card(
        code=code,
        finding_id=finding_id(code, ""),
        status=status,
        note=_note(own),
        outcome=min((f.outcome for f in still), key=OPEN.index),
        kahn=told.kahn,
        says=told.says,
        why=told.why,
        fix=told.fix,
        n=n,
        of=of,
        exact=exact,
        figure="none" if code == SILENT else number(n),
        words=_words(code, of, exact),
        fields=fields[:FIELDS_LISTED],
        fields_total=len(fields),
        first_seen=first,
        last_seen=last,
        since=_since(own, first, last, files, as_of),
    )


def _count(still: list[Finding], findings: Sequence[Finding]) -> tuple[int, int | None, bool]:
    """How many of how many, and whether that is exact."""
    scope = still[0].scope
    if still[0].code in (FAILED, CRASHED):
        ran = [f for f in findings if f.code in (FAILED, CRASHED) and f.outcome != "not_applicable"]
        return len(still), len(ran), True
    known = [f.n_denominator for f in still if f.n_denominator is not None]
    if len(still) == 1 or scope == "design":
        # Forms of different measures are different forms, so their counts add up.
        return sum(f.n_violated for f in still), sum(known) if known else None, True
    return max(f.n_violated for f in still), max(known, default=None), False


def _words(code: str, of: int | None, exact: bool) -> str:
    if code == SILENT:
        return "readable files so far"
    one, many = codes()[code].unit
    unit = f"of {number(of)} {one if of == 1 else many}" if of is not None else many
    return unit if exact else f"or more {unit}"


def _note(own: Sequence[Life]) -> str | None:
    """The site's answer, if there is one and the same for all findings of a code."""
    notes = {one.note for one in own}
    return notes.pop() if len(notes) == 1 else None


def _since(
    own: Sequence[Life], first: str | None, last: str | None, files: Sequence[File], as_of: str | None
) -> str:
    """How long a code has been open: by the nights on record, and by the deliveries that show it."""
    status = of_code(own)
    oldest = min(own, key=lambda one: one.since)
    told = sentence(standing(oldest if status in ("persisting", "acknowledged") else own[0]))
    if first is None or last is None or as_of is None:
        return told
    if status == "new":
        return told if first[:10] == as_of[:10] else f"First told tonight; in a file of {day(first)} already."
    if last[:10] == as_of[:10]:
        return f"{told} Seen again tonight."
    after = sum(file.received_at > last and file.outcome == "delivery" for file in files)
    later = f"; not in the {counted(after, 'file')} since" if after else ""
    return f"{told} Last seen in a file of {day(last)}{later}."


def _unbroken(findings: Sequence[Finding], files: Sequence[File]) -> dict[str, Outcome]:
    """Outcome of the rules about files or lines that left no finding.

    Such a rule leaves one only if it was broken. It passed if there were readable files, or lines, to look at, and was
    not applicable if there were none.
    """
    seen = {finding.code for finding in findings}
    read = sum(file.outcome != "rejected_file" for file in files)
    looked_at = {"file": read, "line": sum(file.lines for file in files)}
    return {
        name: "pass" if looked_at[code.scope] else "not_applicable"
        for name, code in codes().items()
        if code.scope in looked_at and name not in seen
    }


def by_code(findings: Sequence[Finding], files: Sequence[File]) -> dict[str, Outcome]:
    """The worst outcome of each reason code at a site; `not_applicable` only if nothing could be looked at."""
    found = _unbroken(findings, files)
    for finding in findings:
        worst = min(found.get(finding.code, finding.outcome), finding.outcome, key=_WORST_FIRST.index)
        found[finding.code] = worst
    return found


def kahn(findings: Sequence[Finding], files: Sequence[File]) -> list[KahnRow]:
    """Checks by category and outcome."""
    outcomes = {category: Counter[Outcome]() for category in CATEGORIES}
    for finding in findings:
        outcomes[finding.kahn][finding.outcome] += 1
    for name, outcome in _unbroken(findings, files).items():
        outcomes[codes()[name].kahn][outcome] += 1
    return [
        KahnRow(category, sum(counts.values()), {outcome: counts[outcome] for outcome in OUTCOMES})
        for category, counts in outcomes.items()
    ]
