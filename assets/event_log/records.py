"""What a commit says: one delivery, or what was done to earlier ones; receipt and segments."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

GENESIS = "0" * 64

# A site's receipt prints this many digits of the head: too many to find another commit with the same ones.
RECEIPT_DIGITS = 16

Kind = Literal["delivery", "duplicate_delivery", "rejected_file", "release", "void", "erasure", "compaction"]


@dataclass(frozen=True)
class KindOfCommit:
    """What commits of one kind hold.

    Args:
        is_file: whether the commit is about a file that came; else it says what was done to earlier commits.
        has_rows: whether its segments hold the facts that its receipt counts.
        has_act: whether a person had it done.
        has_change: whether stored files take the place of others.
    """

    is_file: bool
    has_rows: bool
    has_act: bool
    has_change: bool = False


KINDS: dict[Kind, KindOfCommit] = {
    "delivery": KindOfCommit(is_file=True, has_rows=True, has_act=False),
    # The very bytes of an earlier delivery under another name.
    "duplicate_delivery": KindOfCommit(is_file=True, has_rows=False, has_act=False),
    "rejected_file": KindOfCommit(is_file=True, has_rows=False, has_act=False),
    # Lines of one delivery that were held back and pass the rules now; its receipt counts these lines.
    "release": KindOfCommit(is_file=False, has_rows=True, has_act=True),
    # Deliveries that count no longer, with what was released of them.
    "void": KindOfCommit(is_file=False, has_rows=False, has_act=True),
    # All that is stored of a person was taken out.
    "erasure": KindOfCommit(is_file=False, has_rows=False, has_act=True, has_change=True),
    # Many small segments of a site became one with the same rows.
    "compaction": KindOfCommit(is_file=False, has_rows=False, has_act=False, has_change=True),
}


@dataclass(frozen=True)
class Receipt:
    """Account of one delivered file.

    `lines = accepted + duplicate + held_back` holds for every file that could be read; a rejected file
    counts no lines. A line is held back if any of its facts is, and a duplicate if all of them are.

    Args:
        site_id: the landing folder's site.
        file_name: name in the landing folder.
        file_bytes: size as delivered.
        file_sha256: SHA-256 of the bytes as delivered.
        lines: data lines (neither header nor blank lines).
        facts: facts in these lines.
        accepted: lines with at least one new fact and none refused.
        duplicate: lines that say only what is known already.
        held_back: lines with at least one refused fact.
        codes: reason code -> number of lines (or 1 for the file).
        fields: `code@field` -> number of lines.
    """

    site_id: str
    file_name: str
    file_bytes: int
    file_sha256: str
    lines: int = 0
    facts: int = 0
    accepted: int = 0
    duplicate: int = 0
    held_back: int = 0
    codes: dict[str, int] = field(default_factory=dict)
    fields: dict[str, int] = field(default_factory=dict)

    @property
    def delivery_id(self) -> str:
        """Short name of the delivery: site and bytes decide."""
        return hashlib.sha256(f"{self.site_id}\n{self.file_sha256}".encode()).hexdigest()[:16]

    @property
    def verdict_digest(self) -> str:
        """What was found in the file, in short: the same at the site before it is sent and at the centre.

        What the log knows already does not count, nor under which name the file came.
        """
        found = [
            self.site_id,
            self.file_sha256,
            self.lines,
            self.facts,
            self.held_back,
            self.codes,
            self.fields,
        ]
        return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def balances(self) -> bool:
        """Whether every line is accounted for."""
        return self.lines == self.accepted + self.duplicate + self.held_back


@dataclass(frozen=True)
class Act:
    """What a person had done to earlier commits.

    Args:
        by: who had it done.
        why: the reason, in words.
        commits: numbers of the commits that it is about, rising.
        fields: of a release, what was said of its lines when they were held back: `code@field` -> number of lines.
    """

    by: str
    why: str
    commits: tuple[int, ...]
    fields: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Segment:
    """A content-addressed Parquet file: its bytes' SHA-256 is its name.

    `root` is the root over the leaves of its rows (leaves.py); a segment that was put in the place of others has none
    of its own, since it must give theirs.
    """

    sha256: str
    bytes: int
    rows: int
    root: str | None = None

    @property
    def name(self) -> str:
        """Name in the storage."""
        return f"segments/{self.sha256}.parquet"


@dataclass(frozen=True)
class Gone:
    """What was taken out of one part of a segment: its leaves, which stay known, and how many rows they were."""

    part: int
    rows: int
    leaves: tuple[str, ...]


@dataclass(frozen=True)
class Swap:
    """A segment in the place of others.

    Args:
        old: SHA-256 of the segments that are replaced, in order; their parts are numbered on in this order.
        new: the segment with their rows; None if no row is left.
        gone: rows that are not in the new one.
    """

    old: tuple[str, ...]
    new: Segment | None
    gone: tuple[Gone, ...] = ()


@dataclass(frozen=True)
class Less:
    """By how much the log holds less of a commit than its receipt counts."""

    commit: int
    lines: int
    facts: int
    accepted: int
    duplicate: int
    held_back: int


@dataclass(frozen=True)
class Change:
    """Stored files that took the place of others.

    Args:
        segments: segments in the place of others.
        sealed: SHA-256 of sealed lines that were replaced -> of what is left of them, None if nothing is.
        less: what the commits lack since.
        unused: names of segments that no commit ever referred to and that are removed as well.
        blocked: keyed hashes of the person and of the person's facts; whatever bears one stays out from now on.
    """

    segments: tuple[Swap, ...]
    sealed: dict[str, str | None] = field(default_factory=dict)
    less: tuple[Less, ...] = ()
    unused: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()


@dataclass(frozen=True)
class Commit:
    """One entry of the chain.

    Args:
        seq: number from 1.
        prev: SHA-256 of the commit before, `GENESIS` for the first.
        kind: what happened.
        received_at: when, in UTC, ISO 8601; never earlier than the commit before.
        receipt: account of the file.
        segments: rows of the file, in order.
        quarantine_sha256: SHA-256 of the sealed held-back lines, if any.
        rules_digest: rules in force (study.yaml and what it names).
        code_version: version of Dyadlog.
        signature: Ed25519 by the study's key over `signed_bytes`, in base64.
        act: what a person had done, for the kinds that say so.
        change: files in the place of others, for the kinds that say so.
    """

    seq: int
    prev: str
    kind: Kind
    received_at: str
    receipt: Receipt
    segments: tuple[Segment, ...]
    quarantine_sha256: str | None
    rules_digest: str
    code_version: str
    signature: str | None = None
    act: Act | None = None
    change: Change | None = None

    @property
    def name(self) -> str:
        """Name in the storage."""
        return commit_name(self.seq)

    def encode(self) -> bytes:
        """The bytes that are stored and hashed."""
        told = vars(self) | {
            "receipt": vars(self.receipt),
            "segments": [vars(segment) for segment in self.segments],
        }
        for name in ("act", "change"):
            part = told.pop(name)
            if part is not None:
                told[name] = asdict(part)
        return (json.dumps(told, sort_keys=True, separators=(",", ":")) + "\n").encode()

    def signed_bytes(self) -> bytes:
        """What the signature is about: everything else, under a heading that keeps it from being taken for a note."""
        return b"dyadlog commit\n" + replace(self, signature=None).encode()


def commit_name(seq: int) -> str:
    """Name of a commit in the storage."""
    return f"commits/{seq:012d}.json"


def decode(data: bytes) -> Commit:
    """Read a commit back. Raises ValueError, KeyError or TypeError if it is not one."""
    raw: dict[str, Any] = json.loads(data)
    return Commit(
        seq=raw["seq"],
        prev=raw["prev"],
        kind=raw["kind"],
        received_at=raw["received_at"],
        receipt=Receipt(**raw["receipt"]),
        segments=tuple(Segment(**segment) for segment in raw["segments"]),
        quarantine_sha256=raw["quarantine_sha256"],
        rules_digest=raw["rules_digest"],
        code_version=raw["code_version"],
        signature=raw.get("signature"),
        act=_act(raw["act"]) if "act" in raw else None,
        change=_change(raw["change"]) if "change" in raw else None,
    )


def _act(raw: dict[str, Any]) -> Act:
    return Act(**(raw | {"commits": tuple(raw["commits"])}))


def _change(raw: dict[str, Any]) -> Change:
    swaps = (
        Swap(
            tuple(swap["old"]),
            Segment(**swap["new"]) if swap["new"] else None,
            tuple(Gone(gone["part"], gone["rows"], tuple(gone["leaves"])) for gone in swap["gone"]),
        )
        for swap in raw["segments"]
    )
    return Change(
        tuple(swaps),
        raw["sealed"],
        tuple(Less(**less) for less in raw["less"]),
        tuple(raw["unused"]),
        tuple(raw["blocked"]),
    )


def sha256(data: bytes) -> str:
    """SHA-256 as hexadecimal text."""
    return hashlib.sha256(data).hexdigest()
