"""Looking back: the log as it was at a commit or on a day, and all that was ever said of one fact."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

import duckdb

from dyadlog.assets.event_log.log import EventLog, Head
from dyadlog.assets.event_log.rows import places, rows_sql
from dyadlog.assets.event_log.standing import voided
from dyadlog.schemas.errors import UserError


def head_at(log: EventLog, as_of: str) -> Head:
    """The head that the log had.

    Args:
        log: the log.
        as_of: number of a commit; or a day as YYYY-MM-DD (UTC), then the last commit received up to its end.

    Raises:
        UserError: the text is neither, or the log was empty then.
    """
    newest = log.head().seq
    if re.fullmatch(r"\d{1,12}", as_of):
        seq = int(as_of)
        if not 1 <= seq <= newest:
            raise UserError(f"--as-of {as_of}: the log holds commits 1 to {newest}")
        return Head(seq, log.digest_of(seq))
    try:
        after = (date.fromisoformat(as_of) + timedelta(days=1)).isoformat()
    except ValueError:
        raise UserError(f"--as-of {as_of}: expected the number of a commit or a day as YYYY-MM-DD") from None
    # The time of receipt never decreases from commit to commit.
    seq = sum(commit.received_at < after for commit in log.commits())
    if not seq:
        raise UserError(f"--as-of {as_of}: the first commit was received later")
    return Head(seq, log.digest_of(seq))


@dataclass(frozen=True)
class Statement:
    """One line that said something of a fact.

    Args:
        commit_seq: commit of its delivery.
        received_at: when the delivery was received (UTC).
        delivery_id: the delivery.
        file_name: its name in the landing folder.
        line_number: the line.
        revision: of the fact.
        status: accepted or duplicate.
        voided_in: commit that voided the delivery; None if none did.
        op: assert, correct or retract; None for a duplicate, of which only the key is kept.
        event_type: kind of event.
        reason_code: why it was corrected or retracted.
        payload: what was said, as JSON.
    """

    commit_seq: int
    received_at: str
    delivery_id: str
    file_name: str
    line_number: int
    revision: int
    status: str
    voided_in: int | None
    op: str | None
    event_type: str | None
    reason_code: str | None
    payload: str | None


def history(log: EventLog, site_id: str, event_id: str) -> list[Statement]:
    """All that a site has said under one event id, in the order of receipt.

    Held-back lines are not among them, unless they were released: of these the log keeps no content.
    """
    commits = {commit.seq: commit for commit in log.of_site(site_id)}
    place = places(log, commits.values())
    if place.is_empty():
        return []
    gone = voided(commits.values())
    with duckdb.connect() as duck:
        duck.register("place", place.to_arrow())
        found = duck.execute(
            "select commit_seq, line_number, revision, status, op, event_type, reason_code, payload "
            f"from ({rows_sql(place['file'], 'place')}) where event_id = $event and status <> 'held_back'",
            {"event": event_id},
        ).fetchall()
    told = [
        Statement(
            seq,
            commits[seq].received_at,
            commits[seq].receipt.delivery_id,
            commits[seq].receipt.file_name,
            line,
            revision,
            status,
            gone.get(seq),
            *said,
        )
        for seq, line, revision, status, *said in found
    ]
    return sorted(told, key=lambda one: (one.commit_seq, one.line_number))
