"""Proof that the log is whole: signed head, chain, segments, row counts, accounts, sealed lines.

Where files were put in the place of others, the rows themselves are looked at: with the hashes of what was erased
they must give the roots that the commits of the deliveries hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from dyadlog.assets.event_log.footer import stated_rows
from dyadlog.assets.event_log.layout import Layout, Stored
from dyadlog.assets.event_log.leaves import root_of
from dyadlog.assets.event_log.log import EventLog, Head
from dyadlog.assets.event_log.quarantine import Quarantine
from dyadlog.assets.event_log.records import (
    GENESIS,
    KINDS,
    RECEIPT_DIGITS,
    Commit,
    Segment,
    commit_name,
    decode,
    sha256,
)
from dyadlog.assets.event_log.remove import still_there
from dyadlog.assets.event_log.rewrite import check_parts, line_hashes
from dyadlog.assets.event_log.segment import read
from dyadlog.assets.event_log.storage import Storage
from dyadlog.assets.event_log.witness import Witness, cut_off
from dyadlog.schemas.errors import LogDamagedError, UserError


def verify(
    log: EventLog, *, since: int = 0, witness: Witness | None = None, quarantine: Quarantine | None = None
) -> int:
    """Check every commit after `since`, from the newest down, and all it refers to.

    From the signed head down, each commit is known by the hash that the one after it holds: so it is the wrong file
    that is named. Nothing is taken from a cache.

    Args:
        log: the log.
        since: commits up to this number are taken as checked.
        witness: the signed head; without it a cut or forged end cannot be seen.
        quarantine: the sealed lines that commits refer to; not looked at if None.

    Returns:
        number of commits checked.

    Raises:
        LogDamagedError: naming the file, and the commit that refers to it.
    """
    if witness:
        witness.check_key()
    signed = witness.head() if witness else None
    newest = _newest(log.storage, signed)
    expected = None
    commits: list[Commit] = []
    for seq in range(newest, max(since, 1) - 1, -1):
        if signed and seq == signed.seq:
            if expected not in (None, signed.sha256):
                raise LogDamagedError(f"{commit_name(seq + 1)}: does not continue the signed head")
            expected = signed.sha256
        commit = _commit(log.storage, seq, expected)
        if witness and expected is None and (signed or commit.signature):
            witness.check_signature(commit)
        if seq > since:
            commits.append(commit)
        expected = commit.prev
    if newest and not since and expected != GENESIS:
        raise LogDamagedError(f"{commit_name(1)}: does not begin the chain")
    _check_all(log, log.layout if since else _layout(reversed(commits)), commits, quarantine)
    return max(0, newest - since)


def _check_all(
    log: EventLog, layout: Layout, commits: Iterable[Commit], quarantine: Quarantine | None
) -> None:
    """Check what commits refer to, as it lies now."""
    live = {stored.segment.sha256: stored for stored in layout.files()}
    for commit in commits:
        _check(log.storage, commit, live)
        _check_change(log.storage, commit, live)
        if quarantine:
            _check_sealed(commit, layout, quarantine, log.storage)
    for seq, part in layout.emptied:
        if root_of(bytes.fromhex(leaf) for leaf in part.gone) != part.root or part.gone_rows != part.rows:
            raise LogDamagedError(
                f"commit {seq}: took out other rows than were delivered with commit {part.commit}"
            )
    if left := still_there(log, quarantine):
        raise UserError(
            f"{left[1]} is still there, though commit {left[0].seq} erased it; run a night to finish"
        )


def _layout(commits: Iterable[Commit]) -> Layout:
    layout = Layout()
    for commit in commits:
        layout.add(commit)
    return layout


def verify_receipt(log: EventLog, receipt: str) -> int:
    """Check that the head which a site's report printed is a commit of this log.

    Args:
        log: the log.
        receipt: `<commit>:<digits of its SHA-256>`.

    Returns:
        the commit's number.

    Raises:
        UserError: the text is not a receipt.
        LogDamagedError: the log does not hold this commit.
    """
    found = re.fullmatch(rf"(\d{{1,12}}):([0-9a-f]{{{RECEIPT_DIGITS},64}})", receipt)
    if not found:
        raise UserError(
            f"--receipt {receipt}: expected commit and head as the site report prints them, "
            f"<commit>:<{RECEIPT_DIGITS} or more digits>"
        )
    seq, digits = int(found[1]), found[2]
    try:
        data = log.storage.read(commit_name(seq))
    except FileNotFoundError:
        raise LogDamagedError(f"{commit_name(seq)} is missing, but a site has a receipt of it") from None
    if not sha256(data).startswith(digits):
        raise LogDamagedError(f"{commit_name(seq)}: not the commit that the site has a receipt of")
    return seq


def _newest(storage: Storage, signed: Head | None) -> int:
    """Number of the newest commit; all before it are there."""
    names = storage.names("commits")
    for seq, name in enumerate(names, 1):
        if name != commit_name(seq):
            if commit_name(seq) < name:
                raise LogDamagedError(f"{commit_name(seq)} is missing although later ones are there")
            raise LogDamagedError(f"{name}: not the name of a commit")
    if signed and len(names) < signed.seq:
        raise LogDamagedError(cut_off(len(names), signed))
    return len(names)


def _commit(storage: Storage, seq: int, expected: str | None) -> Commit:
    name = commit_name(seq)
    data = storage.read(name)
    if expected is not None and sha256(data) != expected:
        raise LogDamagedError(f"{name}: has other bytes than were written")
    try:
        commit = decode(data)
    except (ValueError, KeyError, TypeError):
        raise LogDamagedError(f"{name}: not a commit record") from None
    # Where no later commit and no note vouches for the bytes, the signature does; it is about the one right form.
    if commit.seq != seq or (expected is None and commit.signature and commit.encode() != data):
        raise LogDamagedError(f"{name}: has other bytes than were written")
    return commit


def _check(storage: Storage, commit: Commit, live: Mapping[str, Stored]) -> None:
    receipt, where, kind = commit.receipt, f"commit {commit.seq}", KINDS.get(commit.kind)
    if kind is None or (kind.has_act, kind.has_change) != (commit.act is not None, commit.change is not None):
        raise LogDamagedError(f"{where}: not a kind of commit that this version of Dyadlog knows")
    if commit.act and any(not 0 < seq < commit.seq for seq in commit.act.commits):
        raise LogDamagedError(f"{where}: is about a commit that is not before it")
    if not receipt.balances:
        raise LogDamagedError(f"{where}: the receipt does not balance")
    for segment in commit.segments:
        if segment.sha256 in live:
            _read(storage, segment, where)
    if sum(segment.rows for segment in commit.segments) != (receipt.facts if kind.has_rows else 0):
        raise LogDamagedError(f"{where}: segments and receipt disagree on the number of facts")


def _read(storage: Storage, segment: Segment, where: str) -> bytes:
    try:
        data = storage.read(segment.name)
    except FileNotFoundError:
        raise LogDamagedError(f"{where}: {segment.name} is missing") from None
    if len(data) != segment.bytes or sha256(data) != segment.sha256:
        raise LogDamagedError(f"{where}: {segment.name} has other bytes than were written")
    if stated_rows(data) != segment.rows:
        raise LogDamagedError(f"{where}: {segment.name} has another number of rows")
    return data


def _check_change(storage: Storage, commit: Commit, live: Mapping[str, Stored]) -> None:
    """Files in the place of others hold what was delivered, but for what was erased."""
    change, where = commit.change, f"commit {commit.seq}"
    if change is None:
        return
    gone = sum(gone.rows for swap in change.segments for gone in swap.gone)
    if gone != sum(less.facts for less in change.less) or (gone and commit.kind != "erasure"):
        raise LogDamagedError(f"{where}: takes out more or fewer rows than it says")
    for swap in change.segments:
        if swap.new and swap.new.sha256 in live:
            frame = read(_read(storage, swap.new, where))
            check_parts(frame, live[swap.new.sha256].parts, f"{where}: {swap.new.name}")


def _check_sealed(commit: Commit, layout: Layout, quarantine: Quarantine, storage: Storage) -> None:
    site_id, where = commit.receipt.site_id, f"commit {commit.seq}"
    digest = layout.sealed_now(site_id, commit.quarantine_sha256)
    if digest is None:
        return
    name = quarantine.name_of(site_id, digest)
    try:
        sealed = quarantine.sealed(site_id, digest)
    except FileNotFoundError:
        raise LogDamagedError(f"{where}: quarantine/{name} is missing") from None
    if sha256(sealed) != digest:
        raise LogDamagedError(f"{where}: quarantine/{name} has other bytes than were written")
    if digest != commit.quarantine_sha256:
        lines = quarantine.lines(site_id, digest)
        told = sorted(quarantine.line_hash(one.text) for one in lines if one.fact)
        if told != line_hashes(storage, layout, site_id, commit.seq):
            raise LogDamagedError(f"{where}: quarantine/{name} holds other lines than were held back")
