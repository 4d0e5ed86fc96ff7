"""The life of findings: new, persisting, resolved, reopened, answered; and why they changed.

A pure function of what the site was told on each night (`record`). Nights count, not days: a night is when somebody
looked. A check that crashed says nothing, so it neither resolves a finding nor keeps it open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dyadlog.assets.quality.expectations import CRASHED, ENGINE
from dyadlog.assets.quality.facts import Outcome
from dyadlog.assets.quality.record import Answer, Record, Told, finding_id
from dyadlog.assets.quality.words import days_between

Status = Literal["new", "persisting", "reopened", "acknowledged", "unknown", "resolved"]
Cause = Literal["data", "rules", "both", "study"]

OPEN: tuple[Outcome, ...] = ("fail", "warn", "crashed")
HISTORY = 12
# Nights for which a resolved finding stays in the list.
RESOLVED_SHOWN = 30

_Key = tuple[str, str]


@dataclass(frozen=True)
class Life:
    """A finding that was open on some night, over all nights.

    Args:
        finding_id: its name: the site answers with it.
        code: reason code.
        subject: what the code is about; empty if nothing in particular.
        status: tonight's standing. `unknown`: it was open, and tonight its check could not be run.
        outcome: tonight's outcome; null if the finding is there no more.
        n: how many violate tonight; null if nothing could be or was to be counted.
        n_before: the same the night before.
        first_night: day of the first night on which it was open.
        since: day since when it is, or was, open without a break.
        nights_open: nights of this stretch.
        days_open: days of this stretch.
        times_reopened: how often it came back.
        resolved_on: day of the night on which it was resolved; null while it is open.
        cause: why it differs from the night before; null if it does not, or if there was none. `data`: the site's data
            changed; `rules`: the study's rules or Dyadlog did; `both`; `study`: neither, but data of the study as a whole.
        note: the site's answer, if it holds.
        lapsed: the site's answer, if it holds no more.
        history: how many violated on the last nights, tonight last; null where nothing could be or was to be counted.
    """

    finding_id: str
    code: str
    subject: str
    status: Status
    outcome: Outcome | None
    n: int | None
    n_before: int | None
    first_night: str
    since: str
    nights_open: int
    days_open: int
    times_reopened: int
    resolved_on: str | None
    cause: Cause | None
    note: str | None
    lapsed: str | None
    history: list[int | None]


@dataclass
class _Stretch:
    """The present, or the last, run of nights on which a finding was open."""

    first: str
    since: str
    nights: int = 0
    reopened: int = 0
    ended: str | None = None


def lives(tonight: Record, earlier: Sequence[Record]) -> list[Life]:
    """All findings that were ever open, those that need somebody first; of the resolved ones those of late.

    Args:
        tonight: what the site is told tonight.
        earlier: what it was told before, oldest first.
    """
    nights = [*earlier, tonight]
    seen = [{(f.code, f.subject): f for f in night.findings} for night in nights]
    found = _stretches(nights, seen)
    # An answer to a code as a whole is one to each of its findings.
    answers = {answer.finding_id: answer for answer in tonight.answers}
    made = [_life(key, stretch, nights, seen, answers) for key, stretch in found.items()]
    order = ("reopened", "new", "persisting", "unknown", "acknowledged", "resolved")
    of_late = {_day(night) for night in nights[-RESOLVED_SHOWN:]}
    kept = [one for one in made if one.resolved_on is None or one.resolved_on in of_late]
    return sorted(kept, key=lambda one: (order.index(one.status), one.code, one.subject))


def _day(night: Record) -> str:
    return night.as_of[:10] if night.as_of else ""


def _stretches(nights: Sequence[Record], seen: Sequence[Mapping[_Key, Told]]) -> dict[_Key, _Stretch]:
    found: dict[_Key, _Stretch] = {}
    for night, told in zip(nights, seen, strict=True):
        day = _day(night)
        for key, one in found.items():
            if one.ended is None and not _is_open(told.get(key)) and not _is_unknown(key, told):
                one.ended = day
        for key, finding in told.items():
            if not _is_open(finding):
                continue
            one = found.setdefault(key, _Stretch(day, day))
            if one.ended is not None:
                one.since, one.nights, one.ended = day, 0, None
                one.reopened += 1
            one.nights += 1
    return found


def _is_open(told: Told | None) -> bool:
    return told is not None and told.outcome in OPEN


def _is_unknown(key: _Key, told: Mapping[_Key, Told]) -> bool:
    """Whether a finding is missing because its check could not be run."""
    crashed = [told.get((CRASHED, subject)) for subject in (key[1], ENGINE)]
    return key not in told and key[0] != CRASHED and bool(key[1]) and any(_is_open(one) for one in crashed)


def _life(
    key: _Key,
    stretch: _Stretch,
    nights: Sequence[Record],
    seen: Sequence[Mapping[_Key, Told]],
    answers: Mapping[str, Answer],
) -> Life:
    now = seen[-1].get(key)
    last = next((place for place in range(len(seen) - 2, -1, -1) if not _is_unknown(key, seen[place])), None)
    before = seen[last].get(key) if last is not None else None
    answer = answers.get(finding_id(*key)) or answers.get(finding_id(key[0], ""))
    holds = answer is not None and stretch.ended is None and _holds(answer, key, nights, seen)
    status = _status(key, stretch, seen, holds)
    return Life(
        finding_id=finding_id(*key),
        code=key[0],
        subject=key[1],
        status=status,
        outcome=now.outcome if now else None,
        n=_figure(now),
        n_before=_figure(before),
        first_night=stretch.first,
        since=stretch.since,
        nights_open=stretch.nights,
        days_open=_days_open(stretch, nights[-1]),
        times_reopened=stretch.reopened,
        resolved_on=stretch.ended,
        cause=_cause(nights[last], nights[-1])
        if last is not None and _differs(before, now, status)
        else None,
        note=answer.note if answer and holds else None,
        lapsed=answer.note if answer and not holds and stretch.ended is None else None,
        history=[_figure(told.get(key)) for told in seen[-HISTORY:]],
    )


def _days_open(stretch: _Stretch, tonight: Record) -> int:
    last = stretch.ended or _day(tonight)
    return days_between(stretch.since, last) if stretch.since and last else 0


def _differs(before: Told | None, now: Told | None, status: Status) -> bool:
    """Whether a finding came, went, or is of another size."""
    if status == "unknown":
        return False
    if _is_open(before) and _is_open(now):
        return _figure(before) != _figure(now)
    return _is_open(before) != _is_open(now)


def _figure(told: Told | None) -> int | None:
    """How many violate; None where nothing was looked at or could be."""
    return told.n if told and told.outcome not in ("not_applicable", "crashed") else None


def _status(key: _Key, stretch: _Stretch, seen: Sequence[Mapping[_Key, Told]], holds: bool) -> Status:
    if stretch.ended is not None:
        return "resolved"
    if _is_unknown(key, seen[-1]):
        return "unknown"
    if holds:
        return "acknowledged"
    if stretch.nights > 1:
        return "persisting"
    return "reopened" if stretch.reopened else "new"


def _holds(answer: Answer, key: _Key, nights: Sequence[Record], seen: Sequence[Mapping[_Key, Told]]) -> bool:
    """Whether the finding is still what the site answered to: not more, not worse, and open all the time.

    It answered to what it was told on the night before the answer came.
    """
    first = next(
        place
        for place, night in enumerate(nights)
        if any((a.finding_id, a.token) == (answer.finding_id, answer.token) for a in night.answers)
    )
    basis = first - 1 if first and _is_open(seen[first - 1].get(key)) else first
    meant = seen[basis].get(key)
    since = [told.get(key) for told in seen[basis:] if not _is_unknown(key, told)]
    if meant is None or not all(_is_open(told) for told in since):
        return False
    return all(
        told.n <= meant.n and OPEN.index(told.outcome) >= OPEN.index(meant.outcome) for told in since if told
    )


def _cause(before: Record, now: Record) -> Cause:
    data = before.site_commit != now.site_commit
    rules = (before.rules_digest, before.code_version) != (now.rules_digest, now.code_version)
    if data:
        return "both" if rules else "data"
    return "rules" if rules else "study"
