"""Takes a person out of the log: the rows and salts leave, the hashes that prove the rest stay."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import duckdb
import polars as pl

from dyadlog.assets.event_log import segment
from dyadlog.assets.event_log.blocked import BlockList, is_about
from dyadlog.assets.event_log.layout import Stored
from dyadlog.assets.event_log.log import EventLog, RacedError
from dyadlog.assets.event_log.quarantine import Held, Quarantine
from dyadlog.assets.event_log.records import Act, Change, Commit, Gone, Less, Receipt, Swap
from dyadlog.assets.event_log.remove import names_of_unused
from dyadlog.assets.event_log.rewrite import leaves_by_part, proved

_LINE = ["commit", "line_number"]


@dataclass
class Traces:
    """Where the log holds something of a person.

    Args:
        salts: of the rows about the person.
        events: ids of the person's facts, of which no other client has one too.
        files: the segments with such rows.
        sealed: for each file of sealed lines what stays in it.
        released: (commit, line) of what was held back and let in later.
        lines: (commit, line, fact) of what was sealed.
    """

    salts: set[bytes] = field(default_factory=set)
    events: set[str] = field(default_factory=set)
    files: list[Stored] = field(default_factory=list)
    sealed: dict[str, list[Held]] = field(default_factory=dict)
    released: set[tuple[int, int]] = field(default_factory=set)
    lines: set[tuple[int, int, int]] = field(default_factory=set)


def traces(log: EventLog, quarantine: Quarantine, site_id: str, client_id: str) -> Traces:
    """Look for a person in all that is stored of a site.

    Rows about the person are those that share a salt with a row that names the person; rows that name nobody, such as
    what is left of a repeated line, are the person's if their event id is.
    """
    found = Traces()
    files = log.layout.files(site_id)
    if files:
        names = {log.storage.locate(stored.segment.name): stored for stored in files}
        with duckdb.connect() as duck:
            given = {"files": list(names), "client": client_id}
            rows = duck.execute(
                "select filename, part, salt, line_number, fact_number, client_id, event_id, status "
                "from read_parquet($files, filename = true) "
                "where client_id = $client or client_id is null",
                given,
            ).pl()
            others = duck.execute(
                "select distinct event_id from read_parquet($files) where client_id <> $client and event_id in "
                "(select event_id from read_parquet($files) where client_id = $client)",
                given,
            ).pl()
        named = rows.filter(pl.col("client_id") == client_id)
        found.events = set(named["event_id"].drop_nulls()) - set(others["event_id"])
        nameless = rows.filter(pl.col("event_id").is_in(list(found.events)) & pl.col("client_id").is_null())
        found.salts = {*named["salt"], *nameless["salt"]}
        for file, part, line in named.select("filename", "part", "line_number").rows():
            commit = log.commits()[names[file].parts[part].commit - 1]
            if commit.kind == "release" and commit.act:
                found.released |= {(seq, line) for seq in commit.act.commits}
        _look_at_sealed(log, quarantine, site_id, client_id, found)
        numbered = {
            (names[file].parts[part].commit, line, fact): salt
            for file, part, salt, line, fact in rows.filter(pl.col("status") == "held_back")
            .select("filename", "part", "salt", "line_number", "fact_number")
            .rows()
        }
        found.salts |= {numbered[one] for one in found.lines if one in numbered}
        theirs = rows.filter(pl.col("salt").is_in(list(found.salts)))["filename"].unique()
        found.files = [names[file] for file in names if file in set(theirs)]
    return found


def _look_at_sealed(
    log: EventLog, quarantine: Quarantine, site_id: str, client_id: str, found: Traces
) -> None:
    for commit in log.of_site(site_id):
        digest = log.layout.sealed_now(site_id, commit.quarantine_sha256)
        if digest is None:
            continue
        kept, lines = [], set()
        for held in quarantine.lines(site_id, digest):
            is_theirs = (commit.seq, held.line_number) in found.released or is_about(
                held, client_id.__eq__, found.events.__contains__
            )
            if held.fact and is_theirs:
                lines.add((commit.seq, held.line_number, held.fact))
            else:
                kept.append(held)
        if lines:
            found.sealed[digest] = kept
            found.lines |= lines


def erase(
    log: EventLog,
    quarantine: Quarantine,
    blocked: BlockList,
    site_id: str,
    client_id: str,
    *,
    by: str,
    why: str,
    clock: Callable[[], datetime],
    rules_digest: str,
    code_version: str,
) -> Commit | None:
    """Put files without the person in the place of those with, and say so in a commit. Nothing is removed yet.

    Args:
        log: the log; the caller is `writing` it.
        quarantine: the sealed lines.
        blocked: makes the keyed hashes by which the person stays out.
        site_id: the site.
        client_id: the person.
        by: who had it done.
        why: the reason, in words.
        clock: current time, for the commit only.
        rules_digest: rules in force.
        code_version: version of Dyadlog.

    Returns:
        the commit; None if the log holds nothing of the person.

    Raises:
        LogDamagedError: a file is not what was written; nothing was changed.
    """
    while True:
        after = log.head()
        found = traces(log, quarantine, site_id, client_id)
        if not found.files and not found.sealed:
            return None
        unused = names_of_unused(log, quarantine, site_id)
        frames = {stored.segment.sha256: proved(log.storage, stored) for stored in found.files}
        swaps = tuple(
            _swap(log, stored, frames[stored.segment.sha256], found.salts) for stored in found.files
        )
        sealed = {
            # Fact 0 is the header of a table, which is nothing without its lines.
            digest: quarantine.keep(site_id, kept) if any(one.fact for one in kept) else None
            for digest, kept in found.sealed.items()
        }
        less = _less(log, site_id, found, frames)
        tags = [blocked.person(site_id, client_id), *(blocked.fact(site_id, e) for e in sorted(found.events))]
        # What an erasure that died before its commit has written is the same to the byte, and is used now.
        used = {swap.new.name for swap in swaps if swap.new}
        used |= {quarantine.name_of(site_id, digest) for digest in sealed.values() if digest}
        change = Change(swaps, sealed, less, tuple(n for n in unused if n not in used), tuple(tags))
        try:
            return log.append(
                after,
                "erasure",
                Receipt(site_id, "", 0, ""),
                received_at=clock(),
                rules_digest=rules_digest,
                code_version=code_version,
                act=Act(by, why, tuple(one.commit for one in less)),
                change=change,
            )
        except RacedError:
            continue


def _swap(log: EventLog, stored: Stored, frame: pl.DataFrame, salts: set[bytes]) -> Swap:
    is_theirs = pl.col("salt").is_in(list(salts))
    theirs, kept = frame.filter(is_theirs), frame.filter(~is_theirs)
    rows = dict(theirs.group_by("part").len().rows())
    gone = tuple(
        Gone(part, rows[part], tuple(sorted(leaf.hex() for leaf in leaves.values())))
        for part, leaves in sorted(leaves_by_part(theirs).items())
    )
    if kept.is_empty():
        return Swap((stored.segment.sha256,), None, gone)
    return Swap((stored.segment.sha256,), log.put_segment(segment.encode(kept), len(kept)), gone)


def _less(log: EventLog, site_id: str, found: Traces, frames: dict[str, pl.DataFrame]) -> tuple[Less, ...]:
    """By how much the counts of each commit fall; a line may have facts in two segments."""
    touched = {part.commit for stored in found.files for part in stored.parts}
    rows = []
    for stored in log.layout.files(site_id):
        if touched.isdisjoint(part.commit for part in stored.parts):
            continue
        frame = frames.get(stored.segment.sha256)
        if frame is None:
            frame = proved(log.storage, stored)
        commits = pl.Series([part.commit for part in stored.parts], dtype=pl.Int64)
        rows.append(
            frame.select(commits.gather(frame["part"]).alias("commit"), "line_number", "status", "salt")
        )
    every = pl.concat(rows) if rows else pl.DataFrame(schema={"commit": pl.Int64})
    before = _counted(every)
    after = _counted(every.filter(~pl.col("salt").is_in(list(found.salts))))
    none = (0,) * 5
    differ = {
        seq: [b - a for b, a in zip(told, after.get(seq, none), strict=True)] for seq, told in before.items()
    }
    return tuple(Less(seq, *numbers) for seq, numbers in sorted(differ.items()) if any(numbers))


def _counted(rows: pl.DataFrame) -> dict[int, tuple[int, ...]]:
    """Lines, facts, accepted, duplicate and held-back lines of each commit."""
    held, duplicate = pl.col("held"), pl.col("duplicate")
    lines = rows.group_by(_LINE).agg(
        pl.len().alias("facts"),
        (pl.col("status") == "held_back").any().alias("held"),
        (pl.col("status") == "duplicate").all().alias("duplicate"),
    )
    counted = lines.group_by("commit").agg(
        pl.len(),
        pl.col("facts").sum(),
        (~held & ~duplicate).sum().alias("accepted"),
        (duplicate & ~held).sum().alias("duplicate"),
        held.sum(),
    )
    return {seq: tuple(numbers) for seq, *numbers in counted.rows()}
