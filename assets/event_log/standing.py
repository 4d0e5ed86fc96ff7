"""How deliveries stand now: voided, or some of their lines released."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dyadlog.assets.event_log.records import KINDS, Commit


def voided(commits: Iterable[Commit]) -> dict[int, int]:
    """Commits that count no longer, and the commit that voided each."""
    return {seq: c.seq for c in commits if c.kind == "void" and c.act for seq in c.act.commits}


def standing(commits: Sequence[Commit]) -> list[Commit]:
    """The commits about files that are not voided."""
    gone = voided(commits)
    return [c for c in commits if KINDS[c.kind].is_file and c.seq not in gone]


def releases(commits: Iterable[Commit], delivery: int) -> list[Commit]:
    """The releases of one delivery's lines.

    Args:
        commits: commits of its site.
        delivery: number of its commit.
    """
    return [c for c in commits if c.kind == "release" and c.act and c.act.commits == (delivery,)]


def released(commits: Sequence[Commit]) -> dict[int, tuple[int, int]]:
    """Lines that were released since, by the commit of their file: accepted and duplicate.

    Files that came again before the release had held back the same lines; there, all of them are duplicates now.
    """
    found: dict[int, tuple[int, int]] = {}
    again: dict[str, list[int]] = {}
    for c in commits:
        if c.kind == "duplicate_delivery":
            again.setdefault(c.receipt.delivery_id, []).append(c.seq)

    def add(seq: int, accepted: int, duplicate: int) -> None:
        before = found.get(seq, (0, 0))
        found[seq] = (before[0] + accepted, before[1] + duplicate)

    for release in commits:
        if release.kind != "release" or not release.act:
            continue
        told, (first,) = release.receipt, release.act.commits
        add(first, told.accepted, told.duplicate)
        for seq in again.get(told.delivery_id, []):
            if first < seq < release.seq:
                add(seq, 0, told.lines)
    return found
