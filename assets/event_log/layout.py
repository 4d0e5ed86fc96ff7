"""Which files hold what was delivered: erasures and compactions put files in the place of others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain

from dyadlog.assets.event_log.records import Change, Commit, Segment
from dyadlog.schemas.errors import LogDamagedError

# A segment with this many rows is left as it is; none is made larger than twice as much.
LARGE = 131_072


@dataclass(frozen=True)
class Part:
    """Rows that one segment of a commit once held.

    Args:
        commit: number of the commit.
        root: root over their leaves, as the commit says; None where it says none.
        rows: how many there were.
        gone: leaves that were erased of them.
        gone_rows: rows that these leaves stood for.
    """

    commit: int
    root: str | None
    rows: int
    gone: tuple[str, ...] = ()
    gone_rows: int = 0


@dataclass(frozen=True)
class Stored:
    """A segment as it lies now; `part` of its rows is an index into `parts`."""

    segment: Segment
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Replaced:
    """A segment in whose place another one stands.

    Args:
        segment: the segment.
        by: the commit that says so.
    """

    segment: Segment
    by: Commit


class Layout:
    """What the commits up to the head add up to."""

    def __init__(self) -> None:
        self._files: dict[str, dict[str, Stored]] = {}
        self.replaced: list[Replaced] = []
        self.emptied: list[tuple[int, Part]] = []
        self.sealed: dict[tuple[str, str], str | None] = {}
        self.changes: list[Commit] = []

    def add(self, commit: Commit) -> None:
        """Take the next commit into account.

        Raises:
            LogDamagedError: it replaces a segment that is not there.
        """
        site_id = commit.receipt.site_id
        files = self._files.setdefault(site_id, {})
        for segment in commit.segments:
            files[segment.sha256] = Stored(segment, (Part(commit.seq, segment.root, segment.rows),))
        if commit.change:
            self.changes.append(commit)
            self._swap(files, commit, commit.change)
            for old, new in commit.change.sealed.items():
                self.sealed[site_id, old] = new

    def _swap(self, files: dict[str, Stored], commit: Commit, change: Change) -> None:
        for swap in change.segments:
            if not files.keys() >= set(swap.old):
                raise LogDamagedError(f"{commit.name}: replaces a segment that is not there")
            old = [files.pop(digest) for digest in swap.old]
            parts = [part for stored in old for part in stored.parts]
            for gone in swap.gone:
                part = parts[gone.part]
                parts[gone.part] = replace(
                    part, gone=(*part.gone, *gone.leaves), gone_rows=part.gone_rows + gone.rows
                )
            self.replaced += [Replaced(stored.segment, commit) for stored in old]
            if swap.new:
                files[swap.new.sha256] = Stored(swap.new, tuple(parts))
            else:
                self.emptied += [(commit.seq, part) for part in parts]

    def files(self, site_id: str | None = None) -> list[Stored]:
        """The segments of a site, or of all."""
        if site_id is not None:
            return list(self._files.get(site_id, {}).values())
        return list(chain.from_iterable(files.values() for files in self._files.values()))

    def small(self, site_id: str) -> list[Stored]:
        """A site's small segments, the oldest first, as many as fit into one."""
        chosen, rows = [], 0
        for stored in self.files(site_id):
            if stored.segment.rows < LARGE and rows + stored.segment.rows <= 2 * LARGE:
                chosen.append(stored)
                rows += stored.segment.rows
        return chosen

    def sealed_now(self, site_id: str, digest: str | None) -> str | None:
        """What is left of sealed lines."""
        while digest is not None and (site_id, digest) in self.sealed:
            digest = self.sealed[site_id, digest]
        return digest

    def erasures(self, site_id: str) -> Iterator[Commit]:
        """Commits by which persons of a site were erased."""
        return (c for c in self.changes if c.kind == "erasure" and c.receipt.site_id == site_id)
