"""Which of a site's segments may hold given facts, so that a delivery need not open ten years of segments.

For each segment the hashes of its accepted facts' keys are kept in one local file per site. The file may be lost,
cut or wrong at any time: each block is checked, and what is missing is read from the segments again.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from dyadlog.assets.event_log.records import Segment
from dyadlog.assets.event_log.storage import Scratch

KEY = ["event_id", "revision"]

# A block: SHA-256 of the segment, number of hashes, check sum over both and the hashes, hashes.
_HEAD = 32 + 8 + 4

_BITS = 20
_LOW = np.uint64((1 << _BITS) - 1)


class KeyIndex:
    """Keys of the accepted facts of each segment.

    Args:
        folder: local folder; may be thrown away.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Hashes of the same key may differ between versions of polars.
        self._first = f"dyadlog keys 1, polars {pl.__version__}\n".encode()

    def holding(
        self, site_id: str, segments: Sequence[Segment], facts: pl.DataFrame, locate: Callable[[str], str]
    ) -> list[Segment]:
        """The segments that may hold one of some facts; surely all that do.

        Args:
            site_id: the site.
            segments: all its segments, in the order of the log.
            facts: columns `event_id` and `revision`.
            locate: address of a segment for Parquet readers.
        """
        scratch = Scratch(self._folder / f"{site_id}.keys")
        data = scratch.read()
        blocks = list(self._blocks(data, segments))
        size = len(self._first) + sum(_HEAD + hashes.nbytes for hashes in blocks)
        fresh = [
            _hashes(pl.read_parquet(locate(s.name), columns=["status", *KEY]))
            for s in segments[len(blocks) :]
        ]
        if fresh:
            added = b"".join(_block(s, h) for s, h in zip(segments[len(blocks) :], fresh, strict=True))
            if size != len(data) or scratch.append(added, after=size) is None:
                kept = data[:size] if blocks else self._first
                scratch.begin(kept + added)
        return [segments[number] for number in _meeting(blocks + fresh, _hashes(facts))]

    def _blocks(self, data: bytes, segments: Sequence[Segment]) -> Iterator[np.ndarray[Any, Any]]:
        """The good blocks at the beginning of the file."""
        if not data.startswith(self._first):
            return
        at = len(self._first)
        for segment in segments:
            head = data[at : at + _HEAD]
            end = at + _HEAD + 8 * int.from_bytes(head[32:40], "little")
            hashes = data[at + _HEAD : end]
            if (
                head[:32].hex() != segment.sha256
                or end > len(data)
                or zlib.crc32(hashes, zlib.crc32(head[:40])) != int.from_bytes(head[40:], "little")
            ):
                return
            yield np.frombuffer(hashes, np.uint64)
            at = end


def _block(segment: Segment, hashes: np.ndarray[Any, Any]) -> bytes:
    head, data = bytes.fromhex(segment.sha256) + len(hashes).to_bytes(8, "little"), hashes.tobytes()
    return head + zlib.crc32(data, zlib.crc32(head)).to_bytes(4, "little") + data


def _hashes(facts: pl.DataFrame) -> np.ndarray[Any, Any]:
    if "status" in facts.columns:
        facts = facts.filter(pl.col("status") == "accepted")
    return facts.select(pl.concat_str(KEY, separator="\n", ignore_nulls=True).hash())["event_id"].to_numpy()


def _meeting(blocks: list[np.ndarray[Any, Any]], wanted: np.ndarray[Any, Any]) -> list[int]:
    """Numbers of the blocks that hold one of the wanted hashes."""
    if not blocks or not len(wanted):
        return []
    every = np.concatenate(blocks)
    # The lowest bits sort out nearly all of them, much faster than a search would.
    likely = np.zeros(1 << _BITS, bool)
    likely[wanted & _LOW] = True
    places = np.flatnonzero(likely[every & _LOW])
    places = places[np.isin(every[places], wanted)]
    ends = np.cumsum([len(block) for block in blocks])
    return sorted(set(np.searchsorted(ends, places, side="right").tolist()))
