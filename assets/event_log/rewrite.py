"""Segments read back and proved, to make others of them."""

from __future__ import annotations

from collections import defaultdict

import polars as pl

from dyadlog.assets.event_log import segment
from dyadlog.assets.event_log.layout import Layout, Part, Stored
from dyadlog.assets.event_log.leaves import leaves_of, root_of
from dyadlog.assets.event_log.records import sha256
from dyadlog.assets.event_log.storage import Storage
from dyadlog.schemas.errors import LogDamagedError


def proved(storage: Storage, stored: Stored) -> pl.DataFrame:
    """Rows of a segment, whose bytes and leaves are what its commits say.

    Raises:
        LogDamagedError: they are not.
    """
    name = stored.segment.name
    try:
        data = storage.read(name)
    except FileNotFoundError:
        raise LogDamagedError(f"{name} is missing") from None
    if sha256(data) != stored.segment.sha256:
        raise LogDamagedError(f"{name} has other bytes than were written")
    frame = segment.read(data)
    check_parts(frame, stored.parts, name)
    return frame


def check_parts(frame: pl.DataFrame, parts: tuple[Part, ...], name: str) -> None:
    """See that rows, with what was erased of them, give the roots of the segments that they came in.

    Args:
        frame: rows in the columns of `segment.SCHEMA`.
        parts: what they are parts of.
        name: of the file that holds them, for the error.

    Raises:
        LogDamagedError: rows were changed, added or taken away.
    """
    found = leaves_by_part(frame)
    if set(found) - set(range(len(parts))):
        raise LogDamagedError(f"{name} has rows of no delivery")
    rows = dict(frame.group_by("part").len().rows())
    for number, part in enumerate(parts):
        leaves = [bytes.fromhex(leaf) for leaf in part.gone]
        if (
            rows.get(number, 0) + part.gone_rows != part.rows
            or root_of([*leaves, *found.get(number, {}).values()]) != part.root
        ):
            raise LogDamagedError(f"{name} does not hold what was delivered with commit {part.commit}")


def leaves_by_part(frame: pl.DataFrame) -> dict[int, dict[bytes, bytes]]:
    """The leaf of each salt, by part."""
    parts = dict(frame.select("salt", "part").unique(maintain_order=True).rows())
    found: dict[int, dict[bytes, bytes]] = defaultdict(dict)
    for salt, leaf in leaves_of(frame.to_arrow(compat_level=pl.CompatLevel.oldest())).items():
        found[parts[salt]][salt] = leaf
    return found


def line_hashes(storage: Storage, layout: Layout, site_id: str, seq: int) -> list[bytes]:
    """Keyed hashes of the lines of a commit that were held back and are sealed, sorted."""
    found: list[bytes] = []
    for stored in layout.files(site_id):
        numbers = [number for number, part in enumerate(stored.parts) if part.commit == seq]
        if numbers:
            rows = segment.read(storage.read(stored.segment.name)).filter(pl.col("part").is_in(numbers))
            found += rows["line_hash"].drop_nulls().to_list()
    return sorted(found)
