"""What is different since the night before, in figures and words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dyadlog.assets.quality.life import Life, Status
from dyadlog.assets.quality.record import Record
from dyadlog.assets.quality.words import counted, day, listing, number, sentence

LISTED = 500

_CAUSES = {
    "data": "the site’s data changed",
    "rules": "the rules changed, the site’s data did not",
    "both": "the site’s data and the rules changed",
    "study": "data of the study as a whole changed, the site’s did not",
}


@dataclass(frozen=True)
class Changes:
    """Findings over the nights.

    Args:
        compared_with: the night before; null if there was none.
        nights: nights on record, tonight included.
        lost: nights whose record cannot be read; they are left out.
        counts: findings by standing; of the resolved ones those of tonight.
        by_rules: findings that changed because the rules did.
        words: the same in a sentence.
        findings: findings that are, or lately were, open.
        findings_total: number of these.
    """

    compared_with: str | None
    nights: int
    lost: list[str]
    counts: dict[Status, int]
    by_rules: int
    words: str
    findings: list[Life]
    findings_total: int


def changes(found: Sequence[Life], earlier: Sequence[Record], lost: list[str]) -> Changes:
    """Count and tell what is different."""
    counts: dict[Status, int] = dict.fromkeys(
        ("new", "reopened", "persisting", "unknown", "acknowledged", "resolved"), 0
    )
    for one in found:
        if one.status != "resolved" or one.cause:
            counts[one.status] += 1
    by_rules = sum(one.cause == "rules" for one in found)
    return Changes(
        compared_with=earlier[-1].night if earlier else None,
        nights=len(earlier) + 1,
        lost=lost,
        counts=counts,
        by_rules=by_rules,
        words=_words(counts, earlier, by_rules),
        findings=list(found[:LISTED]),
        findings_total=len(found),
    )


def _words(counts: dict[Status, int], earlier: Sequence[Record], by_rules: int) -> str:
    if not earlier:
        return "The first report of this site: there is nothing to compare with."
    names = {
        "new": "new",
        "reopened": "back again",
        "persisting": "still open",
        "unknown": "not checked tonight",
        "acknowledged": "answered by the site",
        "resolved": "resolved",
    }
    parts = [f"{number(n)} {names[status]}" for status, n in counts.items() if n]
    since = f" since {day(earlier[-1].as_of)}" if earlier[-1].as_of else " since the first report"
    if not parts:
        return f"No finding is open, and none was{since}."
    told = sentence(f"Findings: {listing(parts)}{since}")
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
