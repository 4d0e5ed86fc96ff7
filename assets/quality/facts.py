"""What a report says, gathered from the published DuckDB file alone.

Every query about a site names the site, so that nothing of another one can get into its page. There is no
clock: "tonight" is the (UTC) day of the newest commit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import duckdb

from dyadlog.assets.quality.words import plain
from dyadlog.assets.warehouse.silence import silence

Outcome = Literal["pass", "warn", "fail", "not_applicable", "crashed"]
Category = Literal["conformance", "completeness", "plausibility"]


@dataclass(frozen=True)
class NightId:
    """A night, named after the newest commit that its marts hold.

    Args:
        name: `2026-11-23-000042`: day (UTC) and number of the commit; `no-delivery-000000` before the first.
        commit_seq: number of the commit.
        commit_sha256: SHA-256 of the commit's bytes.
    """

    name: str
    commit_seq: int
    commit_sha256: str


@dataclass(frozen=True)
class Origin:
    """Where the figures come from.

    Args:
        night: the night.
        as_of: when the newest commit was received; None before the first.
        code_version: Dyadlog that built the marts.
        rules_digest: study.yaml and what it names.
        marts_digest: digest of the marts' content.
        simulated: whether the data were invented.
    """

    night: NightId
    as_of: str | None
    code_version: str
    rules_digest: str
    marts_digest: str
    simulated: bool


@dataclass(frozen=True)
class File:
    """The account of one delivered file.

    Args:
        received_at: when it was received, UTC.
        commit_seq: its commit.
        file_name: name in the landing folder.
        file_bytes: size.
        verdict_digest: digest of what was found in it; `dyadlog check` prints the same.
        outcome: what became of it.
        lines: data lines.
        accepted: lines with something new and nothing refused.
        duplicate: lines that say what is known already.
        held_back: lines that are held back.
        released: lines that were held back and released since; they count among the other two.
        voided: whether the delivery counts no longer.
        tonight: whether it was received on the day of the night.
    """

    received_at: str
    commit_seq: int
    file_name: str
    file_bytes: int
    verdict_digest: str
    outcome: Literal["delivery", "duplicate_delivery", "rejected_file"]
    lines: int
    accepted: int
    duplicate: int
    held_back: int
    released: int
    voided: bool
    tonight: bool


@dataclass(frozen=True)
class Act:
    """What was done to a delivery later.

    Args:
        done_at: when, UTC.
        act: what was done.
        file_name: the file's name in the landing folder.
        lines: lines that were released.
        done_by: who had it done.
        why: the reason given.
        tonight: whether it was on the day of the night.
    """

    done_at: str
    act: Literal["release", "void"]
    file_name: str
    lines: int
    done_by: str
    why: str
    tonight: bool


@dataclass(frozen=True)
class Account:
    """Sum over files: `sent = accepted + already_had + held_back`.

    Args:
        files: files received.
        sent: lines in the files that could be read.
        accepted: lines with something new and nothing refused.
        already_had: lines that say what is known already.
        held_back: lines that were held back.
        rejected_files: files that could not be read at all; their lines are unknown.
        rejected_bytes: size of these files.
        repeated_files: files whose very bytes had come before.
        released: lines that were held back and released since.
        voided_files: files that were voided.
        voided_lines: their lines; these are in the sum, but count no longer.
        balances: whether the equation holds for the sum and for every file in it.
    """

    files: int
    sent: int
    accepted: int
    already_had: int
    held_back: int
    rejected_files: int
    rejected_bytes: int
    repeated_files: int
    released: int
    voided_files: int
    voided_lines: int
    balances: bool


@dataclass(frozen=True)
class Finding:
    """One row of `quality.finding`.

    Args:
        code: reason code.
        subject: field, measure or expectation that the code is about; empty if none.
        scope: what the code looks at.
        kahn: category (Kahn et al. 2016).
        severity: error, warn or info.
        outcome: outcome.
        n_violated: how many violate.
        n_denominator: how many were looked at; null if unknown.
        first_seen: first delivery with the code; null if it is not counted by delivery.
        last_seen: last delivery with the code.
    """

    code: str
    subject: str
    scope: str
    kahn: Category
    severity: Literal["error", "warn", "info"]
    outcome: Outcome
    n_violated: int
    n_denominator: int | None
    first_seen: str | None
    last_seen: str | None


@dataclass(frozen=True)
class Forms:
    """Forms that the protocol has for one measure at one session (None: once per client), by what became of them.

    `expected` = `received` + `declined` + `held_back` + `not_sent`; the others are not expected.
    """

    measure_id: str
    session_number: int | None
    expected: int
    received: int
    declined: int
    held_back: int
    not_sent: int
    missed_session: int
    withdrawn: int
    not_due: int


@dataclass(frozen=True)
class Timeliness:
    """Days between what happened and its record.

    Args:
        n_facts: facts about a day.
        n_recorded: of these, facts that say when they were recorded.
        days_median: median days to the record; null if none says when.
        days_p90: days within which nine of ten were recorded.
    """

    n_facts: int
    n_recorded: int
    days_median: float | None
    days_p90: float | None


@dataclass(frozen=True)
class Habit:
    """How a site delivers.

    Args:
        last_received_at: newest delivery of a readable file, if any.
        days_since: days from there to the night.
        usual_days: median days between its delivery days, if there were at least three.
        is_late: silent for longer than is usual for it (SITE_LATE).
    """

    last_received_at: str | None
    days_since: int | None
    usual_days: float | None
    is_late: bool


@contextmanager
def opened(build: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """The published file, read-only."""
    with duckdb.connect(str(build), read_only=True) as duck:
        yield duck


def read_origin(duck: duckdb.DuckDBPyConnection) -> Origin:
    """What the file says of itself."""
    ((seq, head, code, rules, digest, simulated),) = duck.execute(
        "select commit_seq, commit_sha256, code_version, rules_digest, marts_digest, is_simulated from meta.build"
    ).fetchall()
    ((as_of,),) = duck.execute(
        "select max(stamp) from (select received_at as stamp from quality.receipt union all select done_at from quality.act)"
    ).fetchall()
    night = NightId(f"{_utc(as_of)[:10] if as_of else 'no-delivery'}-{seq:06d}", seq, head)
    return Origin(night, _utc(as_of) if as_of else None, code, rules, digest, bool(simulated))


def _utc(stamp: str) -> str:
    return datetime.fromisoformat(stamp).astimezone(UTC).isoformat(timespec="seconds")


def night_of(build: Path) -> NightId:
    """The night whose marts a published file holds."""
    with opened(build) as duck:
        return read_origin(duck).night


def read_files(duck: duckdb.DuckDBPyConnection, site_id: str, as_of: str | None) -> list[File]:
    """All files of a site, newest first."""
    rows = duck.execute(
        "select received_at, commit_seq, file_name, file_bytes, verdict_digest, outcome, lines, accepted, duplicate, held_back, "
        "released, voided_in is not null from quality.receipt where site_id = $site order by commit_seq desc",
        {"site": site_id},
    ).fetchall()
    return [_file(row, as_of) for row in rows]


def _file(row: tuple[Any, ...], as_of: str | None) -> File:
    received_at, seq, name, *rest = row
    stamp = _utc(received_at)
    names = (
        "file_bytes",
        "verdict_digest",
        "outcome",
        "lines",
        "accepted",
        "duplicate",
        "held_back",
        "released",
    )
    figures = dict(zip((*names, "voided"), rest, strict=True))
    return File(stamp, seq, plain(name), tonight=as_of is not None and stamp[:10] == as_of[:10], **figures)


def read_acts(duck: duckdb.DuckDBPyConnection, site_id: str, as_of: str | None) -> list[Act]:
    """What was done to a site's deliveries later, newest first."""
    rows = duck.execute(
        "select done_at, act, file_name, lines, done_by, why from quality.act where site_id = $site "
        "order by commit_seq desc",
        {"site": site_id},
    ).fetchall()
    return [
        Act(
            stamp,
            act,
            plain(name),
            lines,
            plain(by),
            plain(why),
            as_of is not None and stamp[:10] == as_of[:10],
        )
        for stamp, act, name, lines, by, why in ((_utc(at), *rest) for at, *rest in rows)
    ]


def account(files: Sequence[File]) -> Account:
    """The sum over some files."""
    rejected = [file for file in files if file.outcome == "rejected_file"]
    return Account(
        files=len(files),
        sent=sum(file.lines for file in files),
        accepted=sum(file.accepted for file in files),
        already_had=sum(file.duplicate for file in files),
        held_back=sum(file.held_back for file in files),
        rejected_files=len(rejected),
        rejected_bytes=sum(file.file_bytes for file in rejected),
        repeated_files=sum(file.outcome == "duplicate_delivery" for file in files),
        released=sum(file.released for file in files),
        voided_files=sum(file.voided for file in files),
        voided_lines=sum(file.lines for file in files if file.voided),
        balances=all(file.lines == file.accepted + file.duplicate + file.held_back for file in files),
    )


def read_findings(duck: duckdb.DuckDBPyConnection, site_id: str) -> list[Finding]:
    """All findings about a site."""
    rows = duck.execute(
        "select code, subject, scope, kahn, severity, outcome, n_violated, n_denominator, first_seen, last_seen "
        "from quality.finding where site_id = $site order by code, subject",
        {"site": site_id},
    ).fetchall()
    return [Finding(code, plain(subject), *rest) for code, subject, *rest in rows]


def read_forms(duck: duckdb.DuckDBPyConnection, site_id: str) -> list[Forms]:
    """Expected and received forms of a site."""
    rows = duck.execute(
        "select measure_id, session_number, expected, received, declined, held_back, not_sent, missed_session, "
        "withdrawn, not_due from quality.completeness "
        "where site_id = $site order by measure_id, session_number nulls first",
        {"site": site_id},
    ).fetchall()
    return [Forms(*row) for row in rows]


def read_timeliness(duck: duckdb.DuckDBPyConnection, site_id: str) -> Timeliness:
    """How soon a site records what happened."""
    rows = duck.execute(
        "select n_facts, n_recorded, days_median, days_p90 from quality.timeliness where site_id = $site",
        {"site": site_id},
    ).fetchall()
    return Timeliness(*rows[0]) if rows else Timeliness(0, 0, None, None)


def habit(files: Sequence[File], as_of: str | None, quiet_days: int) -> Habit:
    """How a site delivers, judged by its own past."""
    readable = [file.received_at for file in files if file.outcome == "delivery"]
    found = silence(readable, as_of, quiet_days)
    return Habit(max(readable, default=None), *found)
