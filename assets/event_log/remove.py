"""Takes away the bytes that nothing refers to any more, once a commit says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dyadlog.assets.event_log.log import EventLog
from dyadlog.assets.event_log.quarantine import Quarantine
from dyadlog.assets.event_log.records import Commit, Segment


def remove_replaced(log: EventLog, quarantine: Quarantine, *, now: datetime, grace: timedelta) -> int:
    """Remove files in whose place others stand: at once after an erasure, after a time of grace after a compaction.

    May be stopped at any moment and done again. Only for who is `writing` the log.

    Args:
        log: the log.
        quarantine: the sealed lines.
        now: the clock.
        grace: how long readers may go on with files that were merged into others.

    Returns:
        number of files removed.
    """
    layout = log.layout
    if not layout.changes:
        return 0
    log.settle()
    # An erasure ends the grace of all that its site had before: the person is in it.
    erased_at = {c.receipt.site_id: c.seq for c in layout.changes if c.kind == "erasure"}
    until = (now - grace).astimezone(UTC).isoformat(timespec="seconds")
    due = {
        old.segment.name
        for old in layout.replaced
        if old.by.seq <= erased_at.get(old.by.receipt.site_id, 0) or old.by.received_at <= until
    }
    unused = {name for c in layout.changes if c.change for name in c.change.unused}
    due = (due | unused) - {stored.segment.name for stored in layout.files()}
    there = due.intersection(log.storage.names("segments"))
    for name in sorted(there):
        log.storage.remove(name)
    live = _sealed(log)
    removed = {
        (site_id, digest)
        for site_id in erased_at
        for digest in quarantine.names(site_id)
        if (site_id, digest) not in live
        and ((site_id, digest) in layout.sealed or quarantine.name_of(site_id, digest) in unused)
    }
    for site_id, digest in sorted(removed):
        quarantine.remove(site_id, digest)
    return len(there) + len(removed)


def _sealed(log: EventLog) -> set[tuple[str, str | None]]:
    """What is sealed now, by site."""
    sites = ((c.receipt.site_id, c.quarantine_sha256) for c in log.commits() if c.quarantine_sha256)
    return {(site_id, log.layout.sealed_now(site_id, digest)) for site_id, digest in sites}


def names_of_unused(log: EventLog, quarantine: Quarantine, site_id: str) -> tuple[str, ...]:
    """Names of segments, and of a site's sealed lines, that no commit refers to: writers that died left them."""
    layout, live = log.layout, _sealed(log)
    known = {stored.segment.name for stored in layout.files()} | {old.segment.name for old in layout.replaced}
    sealed = [
        quarantine.name_of(site_id, digest)
        for digest in quarantine.names(site_id)
        if (site_id, digest) not in live and (site_id, digest) not in layout.sealed
    ]
    return (*(name for name in log.storage.names("segments") if name not in known), *sealed)


def still_there(log: EventLog, quarantine: Quarantine | None) -> tuple[Commit, str] | None:
    """A file that an erasure should have removed, if one is still there, and the erasure."""
    layout = log.layout
    erasures = [c for c in layout.changes if c.kind == "erasure" and c.change]
    if not erasures:
        return None
    live, segments = _sealed(log), set(log.storage.names("segments"))
    sealed = {}
    if quarantine:
        sealed = {
            (site_id, digest): f"quarantine/{quarantine.name_of(site_id, digest)}"
            for site_id in sorted({c.receipt.site_id for c in erasures})
            for digest in quarantine.names(site_id)
            if (site_id, digest) not in live
        }
    for commit in erasures:
        assert commit.change is not None
        olds = [Segment(old, 0, 0).name for swap in commit.change.segments for old in swap.old]
        for name in (*olds, *commit.change.unused):
            if name in segments or f"quarantine/{name}" in sealed.values():
                return commit, name
        for digest in commit.change.sealed:
            if (commit.receipt.site_id, digest) in sealed:
                return commit, sealed[commit.receipt.site_id, digest]
    return None
