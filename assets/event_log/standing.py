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
