"""The event log: numbered, chained commits over content-addressed segments.

Writing order of one delivery: segment bytes, segment folder, commit bytes, commit folder; each is fsynced
(by the storage) before the next begins. The commit's name is taken with put-if-absent, so of two writers
that want the same number one is told to start again; nothing is ever overwritten. Only what a later commit has
put something else in place of is ever removed (remove.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from dyadlog.assets.event_log.cache import CommitCache
from dyadlog.assets.event_log.layout import Layout
from dyadlog.assets.event_log.records import (
    GENESIS,
    Act,
    Change,
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
        cache: commits that were read before.
        sign: signs the bytes of a commit; None leaves commits unsigned.
        keys: local folder in which to remember what facts each segment holds; may be thrown away.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        cache: CommitCache | None = None,
        sign: Callable[[bytes], str] | None = None,
        keys: Path | None = None,
    ) -> None:
        self.storage = storage
        self.keys = keys
        self._cache = cache
        self._sign = sign
        self._begin()
        # Number and bytes of the newest commit of the cache: the place from which on the log is read.
        self._resumed = cache.last() if cache else None

    def _begin(self) -> None:
        self._head = Head(0, GENESIS)
        self._newest_at = ""
        self._unloaded = 0
        self._commits: list[Commit] = []
        self._digests: list[str] = []
        self._by_site: dict[str, list[Commit]] = {}
        self._layout = Layout()
        self._settled = 0

    def head(self) -> Head:
        """The newest commit; of the commits that the cache knows, only the last is read."""
        if self._resumed:
            seq, line = self._resumed
            self._resumed = None
            if self._holds(seq, line):
                self._head, self._unloaded = Head(seq, sha256(line)), seq
                self._newest_at = decode(line).received_at
        read = []
        while self.storage.exists(commit_name(self._head.seq + 1)):
            name = commit_name(self._head.seq + 1)
            data = self.storage.read(name)
            try:
                commit = decode(data)
            except (ValueError, KeyError, TypeError):
                raise LogDamagedError(f"{name}: not a commit record") from None
            if commit.seq != self._head.seq + 1 or commit.prev != self._head.sha256:
                raise LogDamagedError(f"{name}: does not continue the commit before it")
            self._add(commit, sha256(data))
            read.append(data)
        if read and self._cache:
            first = self._head.seq == len(read)
            (self._cache.begin if first else self._cache.extend)(b"".join(read))
        return self._head

    def commits(self) -> Sequence[Commit]:
        """All commits in order; what was read before is not read again.

        Raises:
            LogDamagedError: a commit does not continue the chain.
        """
        self._load()
        return self._commits

    def of_site(self, site_id: str) -> Sequence[Commit]:
        """A site's commits in order."""
        self._load()
        return self._by_site.get(site_id, [])

    @property
    def layout(self) -> Layout:
        """Which files hold what was delivered."""
        self._load()
        return self._layout

    def digest_of(self, seq: int) -> str:
        """SHA-256 of a commit's bytes, `GENESIS` for number 0."""
        self._load()
        return self._digests[seq - 1] if seq else GENESIS

    def _load(self) -> None:
        """Read on, and take what the cache knows from it."""
        self.head()
        if not self._unloaded:
            return
        assert self._cache is not None
        last = self._commits[0].prev if self._commits else self._head.sha256
        found = self._cache.load(self._unloaded, last)
        later = list(zip(self._commits, self._digests, strict=True))
        settled = self._settled
        self._begin()
        if found is not None:
            for line, digest in found:
                self._add(decode(line), digest)
            for commit, digest in later:
                self._add(commit, digest)
            self._settled = settled
        else:
            self.head()  # the cache is of no use: from the first commit on, then

    def _holds(self, seq: int, line: bytes) -> bool:
        try:
            return self.storage.read(commit_name(seq)) == line
        except FileNotFoundError:
            return False

    def _add(self, commit: Commit, digest: str) -> None:
        self._commits.append(commit)
        self._digests.append(digest)
        self._by_site.setdefault(commit.receipt.site_id, []).append(commit)
        if not self._unloaded:  # else it is made when the earlier ones are known, on which it rests
            self._layout.add(commit)
        self._head, self._newest_at = Head(commit.seq, digest), commit.received_at

    def settle(self) -> None:
        """Make the commits that were read survive a power cut.

        Their writer may have died, or may still be, between showing a commit and making its name durable. What is
        built on a commit, or not delivered again because of it, must not outlive it.
        """
        if self._settled < self._head.seq:
            self.storage.settle("commits")
            self._settled = self._head.seq

    def put_segment(self, data: bytes, rows: int, root: str | None = None) -> Segment:
        """Store a segment durably; storing the same bytes twice is harmless."""
        segment = Segment(sha256(data), len(data), rows, root)
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
        act: Act | None = None,
        change: Change | None = None,
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
            act: what a person had done.
            change: stored files in the place of others.

        Raises:
            RacedError: somebody else appended first; nothing was written under the commit's name.
        """
        self.settle()
        stamp = max(received_at.astimezone(UTC).isoformat(timespec="seconds"), self._newest_at)
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
            act=act,
            change=change,
        )
        if self._sign:
            commit = replace(commit, signature=self._sign(commit.signed_bytes()))
        data = commit.encode()
        if not self.storage.put(commit.name, data):
            raise RacedError(commit.name)
        if self._head == after:
            self._add(commit, sha256(data))
            self._settled = commit.seq
            if self._cache:
                (self._cache.extend if after.seq else self._cache.begin)(data)
        return commit
