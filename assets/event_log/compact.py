"""Makes one segment of many small ones: ten years of nightly deliveries else are tens of thousands of files."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import polars as pl

from dyadlog.assets.event_log import segment
from dyadlog.assets.event_log.log import EventLog, RacedError
from dyadlog.assets.event_log.records import Change, Commit, Receipt, Swap
from dyadlog.assets.event_log.rewrite import check_parts, proved


def compact(
    log: EventLog,
    site_id: str,
    *,
    at_least: int,
    clock: Callable[[], datetime],
    rules_digest: str,
    code_version: str,
) -> Commit | None:
    """Put one segment in the place of a site's small ones. The small ones stay until their time of grace is over.

    The new file is read back, and its rows must give the roots of all segments it replaces, before the commit lands.

    Args:
        log: the log; the caller is `writing` it.
        site_id: the site.
        at_least: small segments from which on it is worth it.
        clock: current time, for the commit only.
        rules_digest: rules in force.
        code_version: version of Dyadlog.

    Returns:
        None if there are too few.

    Raises:
        LogDamagedError: a file is not what was written; nothing was changed.
    """
    while True:
        after = log.head()
        chosen = log.layout.small(site_id)
        if len(chosen) < max(2, at_least):
            return None
        frames, first = [], 0
        for stored in chosen:
            frames.append(proved(log.storage, stored).with_columns((pl.col("part") + first).cast(pl.Int32)))
            first += len(stored.parts)
        data = segment.encode(pl.concat(frames))
        parts = tuple(part for stored in chosen for part in stored.parts)
        check_parts(segment.read(data), parts, "the merged segment")
        new = log.put_segment(data, sum(map(len, frames)))
        change = Change((Swap(tuple(stored.segment.sha256 for stored in chosen), new),))
        try:
            return log.append(
                after,
                "compaction",
                Receipt(site_id, "", 0, ""),
                received_at=clock(),
                rules_digest=rules_digest,
                code_version=code_version,
                change=change,
            )
        except RacedError:
            continue
