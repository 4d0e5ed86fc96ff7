"""The first line of a site's page: what became of tonight's delivery, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dyadlog.assets.quality.changes import Changes
from dyadlog.assets.quality.facts import Account, Act, File, Habit
from dyadlog.assets.quality.todo import Card
from dyadlog.assets.quality.words import counted, day, number, sentence, size

Level = Literal[
    "never_delivered", "nothing_new", "late", "accepted", "partly_held_back", "nothing_accepted", "rejected"
]


@dataclass(frozen=True)
class Verdict:
    """The verdict.

    Args:
        level: the verdict as a code.
        headline: a few words.
        detail: the figures behind it.
        todo: how much there is to do.
        changes: what is different since the night before.
    """

    level: Level
    headline: str
    detail: str
    todo: str
    changes: str


def verdict(
    tonight: Account,
    total: Account,
    habit: Habit,
    cards: Sequence[Card],
    changed: Changes,
    as_of: str | None,
) -> Verdict:
    """Judge one night of one site."""
    level, headline = _headline(tonight, total, habit)
    return Verdict(level, headline, _detail(tonight, total, habit, as_of), _todo(cards), changed.words)


def _headline(tonight: Account, total: Account, habit: Habit) -> tuple[Level, str]:
    if not total.files:
        return "never_delivered", "No data: this site has never delivered."
    if not tonight.files:
        if total.rejected_files == total.files:
            return "never_delivered", "No data: no file of this site could be read so far."
        if habit.is_late:
            return "late", "Nothing new tonight; a delivery is overdue."
        return "nothing_new", "Nothing new tonight."
    rejected = counted(tonight.rejected_files, "file")
    if tonight.rejected_files == tonight.files:
        return "rejected", f"Not accepted: {rejected} could not be read."
    also = f"; {rejected} could not be read" if tonight.rejected_files else ""
    if tonight.held_back and tonight.held_back == tonight.sent:
        return "nothing_accepted", f"Nothing accepted: all {counted(tonight.sent, 'line')} held back{also}."
    if tonight.held_back:
        return "partly_held_back", f"Accepted, with {counted(tonight.held_back, 'line')} held back{also}."
    if not tonight.sent:
        return "nothing_new", f"Received, but without a single data line{also}."
    if not tonight.accepted:
        return "nothing_new", f"Received; every line was known already{also}."
    return ("partly_held_back" if also else "accepted"), f"Accepted{also or ' in full'}."


def _detail(tonight: Account, total: Account, habit: Habit, as_of: str | None) -> str:
    if as_of is None:
        return "No file of any kind has reached the study so far."
    if not total.files:
        return f"Up to {day(as_of)} no file has lain in this site’s landing folder."
    if not tonight.files:
        return _silence(total, habit)
    parts = [f"{counted(tonight.files, 'file')} received on {day(as_of)}"]
    readable = tonight.files - tonight.rejected_files
    if readable:
        parts.append(f"{counted(tonight.sent, 'line')} in {counted(readable, 'readable file')}")
    if tonight.rejected_files:
        parts.append(f"{size(tonight.rejected_bytes)} not read")
    return sentence(", ".join(parts))


def _silence(total: Account, habit: Habit) -> str:
    if habit.last_received_at is None:
        return f"{counted(total.files, 'file')} received so far; none was readable."
    told = f"The last delivery came on {day(habit.last_received_at)}, {counted(habit.days_since or 0, 'day')} before this report."
    if habit.is_late and habit.usual_days:
        told += f" Until then one came about every {counted(round(habit.usual_days), 'day')}."
    return told


def _todo(cards: Sequence[Card]) -> str:
    if not cards:
        return "Nothing to do."
    kinds = {
        "to correct": sum(card.outcome == "fail" and card.status != "acknowledged" for card in cards),
        "to look at": sum(card.outcome == "warn" and card.status != "acknowledged" for card in cards),
        "that could not be checked": sum(
            card.outcome == "crashed" and card.status != "acknowledged" for card in cards
        ),
        "answered": sum(card.status == "acknowledged" for card in cards),
    }
    parts = [(n, kind) for kind, n in kinds.items() if n]
    if len(parts) == 1:
        ((n, kind),) = parts
        return sentence(f"{counted(n, 'thing')} {kind}")
    return sentence(
        f"{counted(len(cards), 'thing')} to do: {', '.join(f'{number(n)} {kind}' for n, kind in parts)}"
    )


def act_words(act: Act) -> str:
    """What was done to a delivery later."""
    done = "voided" if act.act == "void" else f"{counted(act.lines, 'held-back line')} released"
    return f"“{act.file_name}”: {done} on {day(act.done_at)} by {act.done_by}. {sentence(act.why)}"


def file_words(file: File) -> str:
    """What became of one file."""
    if file.voided:
        return "voided"
    if file.outcome == "rejected_file":
        return "could not be read"
    if file.outcome == "duplicate_delivery":
        return "same bytes as before"
    if not file.lines:
        return "no data lines"
    if not file.held_back:
        return "accepted" if file.accepted else "all known already"
    return "all held back" if file.held_back == file.lines else "accepted in part"
