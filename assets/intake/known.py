"""Whether the log has dealt with a file already. Light: loads no reader."""

from __future__ import annotations

from collections.abc import Iterable

from dyadlog.assets.event_log.records import Commit


def known_as(earlier: Iterable[Commit], name: str, size: int, digest: str, rules: str) -> Commit | str | None:
    """What the log knows of these bytes from this site.

    Returns:
        "same" if this very file was dealt with, the delivery if its bytes came under another name, else None.
        A file that was refused is looked at again when the rules have changed.
    """
    first: Commit | None = None
    for commit in earlier:
        if (commit.receipt.file_bytes, commit.receipt.file_sha256) != (size, digest):
            continue
        if commit.kind == "rejected_file":
            if commit.rules_digest == rules and commit.receipt.file_name == name:
                return "same"
            continue
        if commit.receipt.file_name == name:
            return "same"
        if commit.kind == "delivery":
            first = first or commit
    return first
