"""Proof that the log is whole: signed head, chain, segments, row counts, accounts, sealed lines."""

from __future__ import annotations

import re

from dyadlog.assets.event_log.footer import stated_rows
from dyadlog.assets.event_log.log import EventLog, Head
from dyadlog.assets.event_log.quarantine import Quarantine
from dyadlog.assets.event_log.records import (
    GENESIS,
    KINDS,
    RECEIPT_DIGITS,
    Commit,
    commit_name,
    decode,
    sha256,
)
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
    for seq in range(newest, max(since, 1) - 1, -1):
        if signed and seq == signed.seq:
            if expected not in (None, signed.sha256):
                raise LogDamagedError(f"{commit_name(seq + 1)}: does not continue the signed head")
            expected = signed.sha256
        commit = _commit(log.storage, seq, expected)
        if witness and expected is None and (signed or commit.signature):
            witness.check_signature(commit)
        if seq > since:
            _check(log.storage, commit, quarantine)
        expected = commit.prev
    if newest and not since and expected != GENESIS:
        raise LogDamagedError(f"{commit_name(1)}: does not begin the chain")
    return max(0, newest - since)


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


def _check(storage: Storage, commit: Commit, quarantine: Quarantine | None) -> None:
    receipt, where = commit.receipt, f"commit {commit.seq}"
    about = commit.act.commits if commit.act else ()
    if commit.kind not in KINDS or KINDS[commit.kind].is_file != (commit.act is None):
        raise LogDamagedError(f"{where}: not a kind of commit that this version of Dyadlog knows")
    if any(not 0 < seq < commit.seq for seq in about):
        raise LogDamagedError(f"{where}: is about a commit that is not before it")
    if not receipt.balances:
        raise LogDamagedError(f"{where}: the receipt does not balance")
    rows = 0
    for segment in commit.segments:
        try:
            data = storage.read(segment.name)
        except FileNotFoundError:
            raise LogDamagedError(f"{where}: {segment.name} is missing") from None
        if len(data) != segment.bytes or sha256(data) != segment.sha256:
            raise LogDamagedError(f"{where}: {segment.name} has other bytes than were written")
        if stated_rows(data) != segment.rows:
            raise LogDamagedError(f"{where}: {segment.name} has another number of rows")
        rows += segment.rows
    if rows != (receipt.facts if KINDS[commit.kind].has_rows else 0):
        raise LogDamagedError(f"{where}: segments and receipt disagree on the number of facts")
    if quarantine and commit.quarantine_sha256:
        name = quarantine.name_of(receipt.site_id, commit.quarantine_sha256)
        try:
            sealed = quarantine.sealed(receipt.site_id, commit.quarantine_sha256)
        except FileNotFoundError:
            raise LogDamagedError(f"{where}: quarantine/{name} is missing") from None
        if sha256(sealed) != commit.quarantine_sha256:
            raise LogDamagedError(f"{where}: quarantine/{name} has other bytes than were written")
