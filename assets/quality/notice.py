"""What is told of a night outside the study folder: counts, codes and ids of sites, never a name from a file or record.

Names of delivered files stay out too, because sites put pseudonyms into them; the night sheet has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Literal

from dyadlog.assets.quality.words import counted, day, listing, number, sentence, short_day
from dyadlog.assets.warehouse.silence import Silence
from dyadlog.schemas.notify import When
from dyadlog.schemas.study import Study

if TYPE_CHECKING:  # a night that finds nothing new must not wait for DuckDB
    from dyadlog.assets.quality.night import Need, NightSheet

FORMAT = "dyadlog.notice/1"
NIGHTS_NAMED = 5
LISTED = 50

Outcome = Literal["completed", "nothing_new", "failed"]

# What is said where the words of the night sheet name files or folders.
_UNNAMED = {
    "unfinished": "Files were not finished copying; they are left for the next night.",
    "stranger": "Folders in landing/ are no sites of study.yaml, so they were not read.",
}
_FAILED = "The night did not complete. Yesterday's marts and reports stay in place; what was accepted into the log is safe."


@dataclass(frozen=True)
class Item:
    """Something a human has to see to.

    Args:
        kind: what it is about, as a code.
        site_id: the site; null if it is about none.
        text: what it is.
    """

    kind: str
    site_id: str | None
    text: str


@dataclass(frozen=True)
class Notice:
    """One message about a night.

    Args:
        format: name and version of this structure.
        study: id of the study.
        simulated: whether the data were invented.
        outcome: how the night went.
        needs_attention: whether somebody should look.
        night: name of the night; null if none was made.
        headline: the night in one sentence.
        needs: what needs a human, most urgent first.
        needs_total: number of these.
    """

    format: str
    study: str
    simulated: bool
    outcome: Outcome
    needs_attention: bool
    night: str | None
    headline: str
    needs: list[Item]
    needs_total: int

    def is_for(self, when: When) -> bool:
        """Whether somebody who asks for such messages gets this one."""
        return when == "always" or self.outcome == "failed" or (when == "attention" and self.needs_attention)


def of_sheet(study: Study, sheet: NightSheet) -> Notice:
    """The message about a night that completed."""
    return _notice(
        study, "completed", sheet.origin.night.name, sheet.headline, [_item(n) for n in sheet.needs]
    )


def of_nothing_new(study: Study, missed: Sequence[date], late: Sequence[tuple[str, Silence]]) -> Notice:
    """The message about a night without a new file: nights that did not run, sites that have become late."""
    needs = [Item("missed_night", None, missed_words(missed))] if missed else []
    needs += [
        Item("late", site, f"Late: last delivery {counted(found.days_since or 0, 'day')} ago.")
        for site, found in late
    ]
    return _notice(study, "nothing_new", None, "Nothing new: marts and reports are up to date.", needs)


def of_failure(study: Study) -> Notice:
    """The message about a night that failed. Why is not said: an error may name a file."""
    needs = [Item("failed_night", None, "`dyadlog status` says why, on the machine where the night runs.")]
    return _notice(study, "failed", None, _FAILED, needs)


def _notice(study: Study, outcome: Outcome, night: str | None, headline: str, needs: list[Item]) -> Notice:
    return Notice(
        format=FORMAT,
        study=study.protocol.study,
        simulated=study.protocol.simulated,
        outcome=outcome,
        needs_attention=bool(needs),
        night=night,
        headline=headline,
        needs=needs[:LISTED],
        needs_total=len(needs),
    )


def _item(need: Need) -> Item:
    return Item(need.kind, need.site_id, _UNNAMED.get(need.kind, need.text))


def subject(notice: Notice) -> str:
    """One line for an inbox."""
    what = (
        "the night failed"
        if notice.outcome == "failed"
        else counted(notice.needs_total, "thing needs a human", "things need a human")
    )
    return f"{'[simulated] ' if notice.simulated else ''}{notice.study}: {what}"


def letter(notice: Notice) -> str:
    """The message for people."""
    lines = ["SIMULATED DATA: no person stands behind any figure.", ""] if notice.simulated else []
    lines += [notice.headline, ""]
    lines += [f"* {need.site_id + ': ' if need.site_id else ''}{need.text}" for need in notice.needs]
    if notice.needs_total > len(notice.needs):
        lines.append(f"* and {number(notice.needs_total - len(notice.needs))} more")
    if not notice.needs:
        lines.append("Nothing needs a human.")
    return "\n".join([*lines, "", "The night sheet is reports/index.html in the study folder."]) + "\n"


def missed_words(missed: Sequence[date]) -> str:
    """Nights that did not run."""
    if len(missed) > NIGHTS_NAMED:
        told = f"{number(len(missed))} nights did not run, from {day(missed[0])} to {day(missed[-1])}"
    else:
        named = listing([f"{short_day(night)} {night.year}" for night in missed])
        told = f"{counted(len(missed), 'night')} did not run: {named}"
    return sentence(told)
