"""Commits that were read before, in one local file, so that a night need not read ten years of them again.

The file holds the commits' bytes one after the other and may be lost, cut or wrong at any time: it counts only if
its last line is what the log itself holds under that number and the lines are chained up to it.
"""

from __future__ import annotations

import json

from dyadlog.assets.event_log.records import GENESIS, sha256
from dyadlog.assets.event_log.storage import Scratch

_PREV = b'"prev":"'


class CommitCache:
    """Bytes of commits from the first on.

    Args:
        scratch: the local file.
    """

    def __init__(self, scratch: Scratch) -> None:
        self._scratch = scratch
        self._size: int | None = None

    def last(self) -> tuple[int, bytes] | None:
        """Number and bytes of the newest commit in the cache, if it can be told."""
        line, self._size = self._scratch.last_line()
        try:
            return int(json.loads(line)["seq"]), line
        except (ValueError, KeyError, TypeError):
            return None

    def load(self, seq: int, digest: str) -> list[tuple[bytes, str]] | None:
        """Bytes and SHA-256 of all commits up to one.

        Args:
            seq: number of the last one.
            digest: SHA-256 of its bytes, as the log holds them.

        Returns:
            None if the cache does not lead there in one unbroken chain.
        """
        lines = self._scratch.read().splitlines(keepends=True)[:seq]
        found, before = [], GENESIS
        for line in lines:
            at = line.find(_PREV) + len(_PREV)
            if line[at : at + len(before)] != before.encode():
                return None
            before = sha256(line)
            found.append((line, before))
        return found if len(found) == seq and before == digest else None

    def extend(self, data: bytes) -> None:
        """Add commits behind the last one; left undone if somebody else did so in the meantime."""
        if self._size is not None:
            self._size = self._scratch.append(data, after=self._size)

    def begin(self, data: bytes) -> None:
        """Begin anew with these commits."""
        self._size = self._scratch.begin(data)
