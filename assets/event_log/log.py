"""The event log: numbered, chained commits over content-addressed segments.

Writing order of one delivery: segment bytes, segment folder, commit bytes, commit folder; each is fsynced
(by the storage) before the next begins. The commit's name is taken with put-if-absent, so of two writers
that want the same number one is told to start again; nothing is ever overwritten or removed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from dyadlog.assets.event_log.records import (
    GENESIS,
    Commit,
    Kind,
    Receipt,
    Segment,
    commit_name,
    decode,
    sha256,
)
from dyadlog.assets.event_log.storage import Storage
from dyadlog.schemas.errors import LogDamagedError


class RacedError(Exception):
    """Another writer took the next number: read the log again and decide anew."""


@dataclass(frozen=True)
class Head:
    """The newest commit: its number and the SHA-256 of its bytes."""

    seq: int
    sha256: str


class EventLog:
    """Reading and appending commits.

    Args:
        storage: where the log lies.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self._commits: list[Commit] = []
        self._head = Head(0, GENESIS)
        self._settled = 0

    def commits(self) -> list[Commit]:
        """All commits in order; what was read before is not read again.

        Raises:
            LogDamagedError: a commit does not continue the chain.
        """
        while self.storage.exists(commit_name(self._head.seq + 1)):
            name = commit_name(self._head.seq + 1)
            data = self.storage.read(name)
            try:
                commit = decode(data)
            except (ValueError, KeyError, TypeError):
                raise LogDamagedError(f"{name}: not a commit record") from None
            if commit.seq != self._head.seq + 1 or commit.prev != self._head.sha256:
                raise LogDamagedError(f"{name}: does not continue the commit before it")
            self._commits.append(commit)
            self._head = Head(commit.seq, sha256(data))
        return list(self._commits)

    def head(self) -> Head:
        """The newest commit."""
        self.commits()
        return self._head

    def settle(self) -> None:
        """Make the commits that were read survive a power cut.

        Their writer may have died, or may still be, between showing a commit and making its name durable. What is
        built on a commit, or not delivered again because of it, must not outlive it.
        """
        if self._settled < self._head.seq:
            self.storage.settle("commits")
            self._settled = self._head.seq

    def put_segment(self, data: bytes, rows: int) -> Segment:
        """Store a segment durably; storing the same bytes twice is harmless."""
        segment = Segment(sha256(data), len(data), rows)
        self.storage.put(segment.name, data)
        return segment

    def append(
        self,
        after: Head,
        kind: Kind,
        receipt: Receipt,
        *,
        received_at: datetime,
        rules_digest: str,
        code_version: str,
        segments: tuple[Segment, ...] = (),
        quarantine_sha256: str | None = None,
    ) -> Commit:
        """Append one commit after the head that the caller has seen.

        Args:
            after: the head on which the decisions in `receipt` and `segments` rest.
            kind: what happened.
            receipt: account of the file.
            received_at: the clock; moved forward to the commit before if the clock went back.
            rules_digest: rules in force.
            code_version: version of Dyadlog.
            segments: stored segments.
            quarantine_sha256: SHA-256 of the sealed held-back lines.

        Raises:
            RacedError: somebody else appended first; nothing was written under the commit's name.
        """
        self.settle()
        stamp = received_at.astimezone(UTC).isoformat(timespec="seconds")
        if self._commits:
            stamp = max(stamp, self._commits[-1].received_at)
        commit = Commit(
            after.seq + 1,
            after.sha256,
            kind,
            stamp,
            replace(
                receipt,
                codes=dict(sorted(receipt.codes.items())),
                fields=dict(sorted(receipt.fields.items())),
            ),
            segments,
            quarantine_sha256,
            rules_digest,
            code_version,
        )
        if not self.storage.put(commit.name, commit.encode()):
            raise RacedError(commit.name)
        self._settled = commit.seq
        self.commits()
        return commit
