"""Proof that the log is whole: chain, segments, row counts, accounts."""

from __future__ import annotations

import io

import pyarrow.parquet as pq

from dyadlog.assets.event_log.log import EventLog
from dyadlog.assets.event_log.records import Commit, sha256
from dyadlog.schemas.errors import LogDamagedError


def verify(log: EventLog, *, since: int = 0) -> int:
    """Check every commit after `since` and all it refers to.

    Returns:
        number of commits checked.

    Raises:
        LogDamagedError: naming the file and the commit.
    """
    commits = log.commits()  # checks the chain
    last = max(
        (int(name.rsplit("/", 1)[1].split(".")[0]) for name in log.storage.names("commits")), default=0
    )
    if last != len(commits):
        raise LogDamagedError(f"commits/: commit {len(commits) + 1} is missing although later ones are there")
    chosen = commits[since:]
    for commit in chosen:
        _verify_commit(log, commit)
    return len(chosen)


def _verify_commit(log: EventLog, commit: Commit) -> None:
    receipt, where = commit.receipt, f"commit {commit.seq}"
    if not receipt.balances:
        raise LogDamagedError(f"{where}: the receipt does not balance")
    rows = 0
    for segment in commit.segments:
        try:
            data = log.storage.read(segment.name)
        except FileNotFoundError:
            raise LogDamagedError(f"{where}: {segment.name} is missing") from None
        if len(data) != segment.bytes or sha256(data) != segment.sha256:
            raise LogDamagedError(f"{where}: {segment.name} has other bytes than were written")
        if pq.ParquetFile(io.BytesIO(data)).metadata.num_rows != segment.rows:
            raise LogDamagedError(f"{where}: {segment.name} has another number of rows")
        rows += segment.rows
    if rows != (receipt.facts if commit.kind == "delivery" else 0):
        raise LogDamagedError(f"{where}: segments and receipt disagree on the number of facts")
