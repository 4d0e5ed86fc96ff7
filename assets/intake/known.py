"""Whether the log has dealt with a file already. Light: loads no reader."""

from __future__ import annotations

from collections.abc import Sequence

from dyadlog.assets.event_log.records import KINDS, Commit
from dyadlog.assets.event_log.standing import voided


def known_as(earlier: Sequence[Commit], name: str, size: int, digest: str, rules: str) -> Commit | str | None:
    """What the log knows of these bytes from this site.

    Returns:
        "same" if this very file was dealt with, the delivery if its bytes came under another name, else None.
        A file that was refused is looked at again when the rules have changed. A file that was voided stays dealt with
        while it lies there; under another name its bytes are new.
    """
    first: Commit | None = None
    gone: dict[int, int] | None = None
    for commit in earlier:
        if (commit.receipt.file_bytes, commit.receipt.file_sha256) != (size, digest):
            continue
        if commit.kind == "rejected_file":
            if commit.rules_digest == rules and commit.receipt.file_name == name:
                return "same"
            continue
        if KINDS[commit.kind].is_file and commit.receipt.file_name == name:
            return "same"
        if commit.kind == "delivery":
            gone = voided(earlier) if gone is None else gone
            first = first or (None if commit.seq in gone else commit)
    return first
