"""What is different since the night before, in figures and words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from dyadlog.assets.quality.life import Life, Status
from dyadlog.assets.quality.record import Record
from dyadlog.assets.quality.words import counted, day, listing, number, sentence

LISTED = 500
WEEK, MONTH = 7, 30

_NAMES: dict[Status, str] = {
    "new": "new",
    "reopened": "back again",
    "persisting": "still open",
    "unknown": "not checked tonight",
    "acknowledged": "answered by the site",
    "resolved": "resolved",
}
_CAUSES = {
    "data": "the site’s data changed",
    "rules": "the rules changed, the site’s data did not",
    "both": "the site’s data and the rules changed",
    "study": "data of the study as a whole changed, the site’s did not",
}


@dataclass(frozen=True)
class Ages:
    """Open findings by how long they have been open; those that are answered or could not be checked stand apart.

    Args:
        tonight: new or back again tonight.
        week: open for up to seven days.
        month: for up to thirty.
        longer: for more than thirty.
        unchecked: were open, and tonight their check could not be run.
        answered: the site has answered, and the answer holds.
        oldest_days: days of the oldest of the first four; null if there is none.
    """

    tonight: int
    week: int
    month: int
    longer: int
    unchecked: int
    answered: int
    oldest_days: int | None

    @property
    def waiting(self) -> int:
        """Findings that wait for somebody."""
        return self.tonight + self.week + self.month + self.longer


@dataclass(frozen=True)
class Changes:
    """Findings over the nights.

    Args:
        compared_with: the night before; null if there was none.
        nights: nights on record, tonight included.
        lost: nights whose record cannot be read; they are left out.
        counts: reason codes by standing; of the resolved ones those of tonight.
        by_rules: findings that changed because the rules did.
        ages: open findings by age.
        words: the same in a sentence.
        findings: findings that are, or lately were, open.
        findings_total: number of these.
    """

    compared_with: str | None
    nights: int
    lost: list[str]
    counts: dict[Status, int]
    by_rules: int
    ages: Ages
    words: str
    findings: list[Life]
    findings_total: int


def changes(found: Sequence[Life], earlier: Sequence[Record], lost: list[str]) -> Changes:
    """Count and tell what is different."""
    counts: dict[Status, int] = dict.fromkeys(_NAMES, 0)
    for _, group in groupby(sorted(found, key=lambda one: one.code), key=lambda one: one.code):
        own = list(group)
        status = of_code(own)
        if status != "resolved" or any(one.cause for one in own):
            counts[status] += 1
    by_rules = sum(one.cause == "rules" for one in found)
    return Changes(
        compared_with=earlier[-1].night if earlier else None,
        nights=len(earlier) + 1,
        lost=lost,
        counts=counts,
        by_rules=by_rules,
        ages=ages(found),
        words=_words(counts, earlier, by_rules),
        findings=list(found[:LISTED]),
        findings_total=len(found),
    )


def ages(found: Sequence[Life]) -> Ages:
    """Open findings by age."""
    count = Counter(_age(one) for one in found if one.status != "resolved")
    waiting = [one.days_open for one in found if one.status in ("new", "reopened", "persisting")]
    names = ("tonight", "week", "month", "longer", "unchecked", "answered")
    return Ages(**{name: count[name] for name in names}, oldest_days=max(waiting, default=None))


def _age(one: Life) -> str:
    if one.status in ("acknowledged", "unknown"):
        return "answered" if one.status == "acknowledged" else "unchecked"
    if one.status in ("new", "reopened"):
        return "tonight"
    return "week" if one.days_open <= WEEK else "month" if one.days_open <= MONTH else "longer"


def of_code(own: Sequence[Life]) -> Status:
    """Standing of a code, from that of its findings: what is answered or resolved counts only if all of them are."""
    open_ones = {one.status for one in own if one.status not in ("acknowledged", "resolved")}
    if not open_ones:
        return "acknowledged" if any(one.status == "acknowledged" for one in own) else "resolved"
    return open_ones.pop() if len(open_ones) == 1 else "persisting"


def _words(counts: dict[Status, int], earlier: Sequence[Record], by_rules: int) -> str:
    if not earlier:
        return "The first report of this site: there is nothing to compare with."
    parts = [f"{number(n)} {_NAMES[status]}" for status, n in counts.items() if n]
    since = f"Since {day(earlier[-1].as_of)}" if earlier[-1].as_of else "Since the first report"
    if not parts:
        return f"{since} nothing was open."
    told = sentence(f"{since}: {listing(parts)}")
    if by_rules:
        told += f" {counted(by_rules, 'change')} {'comes' if by_rules == 1 else 'come'} from the rules, not from the site’s data."
    return told


def why(one: Life) -> str:
    """Why a finding differs from the night before."""
    return _CAUSES[one.cause] if one.cause else ""


def standing(one: Life) -> str:
    """How long a finding has been open, in words."""
    if one.status == "resolved":
        return f"resolved on {day(one.resolved_on)}" if one.resolved_on else "resolved"
    if one.status == "new":
        return "new tonight"
    since = f" since {day(one.since)}" if one.since else ""
    if one.status == "reopened":
        return "back again tonight"
    return f"open{since}, {counted(one.nights_open, 'night')}"


def spark(history: Sequence[int | None]) -> str:
    """The last nights as small bars, for the eye; `·` where nothing could be counted."""
    top = max((n for n in history if n), default=0)
    bars = "▁▂▃▄▅▆▇█"
    return "".join("·" if n is None else bars[-(-7 * n // top) if top else 0] for n in history)


def note_words(note: str) -> str:
    """A site's answer as people read it."""
    return note.replace("_", " ")
