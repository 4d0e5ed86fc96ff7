"""A delivery that should not have been sent counts no longer; the log keeps it, and earlier nights still show it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime

from dyadlog.assets.event_log.log import EventLog, RacedError
from dyadlog.assets.event_log.records import Act, Commit, Receipt
from dyadlog.assets.event_log.standing import voided
from dyadlog.schemas.errors import UserError
from dyadlog.schemas.study import Study


def void(
    study: Study,
    log: EventLog,
    site_id: str,
    delivery: str,
    *,
    by: str,
    why: str,
    clock: Callable[[], datetime],
    code_version: str,
) -> Commit:
    """Void a delivery, with all files of the same bytes and all that was released of it.

    Args:
        study: the protocol.
        log: the event log.
        site_id: the site.
        delivery: name of the delivery, or number of a commit of it.
        by: who has it done.
        why: the reason.
        clock: current time, for `received_at` only.
        code_version: version of Dyadlog.

    Raises:
        UserError: the site has no such delivery, or it is voided already.
    """
    while True:
        after = log.head()
        earlier = log.of_site(site_id)
        log.settle()  # what is said of an earlier void must not be lost
        about = _about(earlier, site_id, delivery)
        told = about[0].receipt
        try:
            return log.append(
                after,
                "void",
                Receipt(told.site_id, told.file_name, told.file_bytes, told.file_sha256),
                received_at=clock(),
                rules_digest=study.rules_digest,
                code_version=code_version,
                act=Act(by, why, tuple(c.seq for c in about)),
            )
        except RacedError:
            continue


def _about(earlier: Sequence[Commit], site_id: str, delivery: str) -> list[Commit]:
    """The commits of a delivery that still count."""
    if re.fullmatch(r"\d{1,12}", delivery):
        named = {c.receipt.delivery_id for c in earlier if c.seq == int(delivery)}
    else:
        named = {delivery}
    found = [
        c
        for c in earlier
        if c.receipt.delivery_id in named and c.kind not in ("rejected_file", "void") and not c.change
    ]
    if not found:
        raise UserError(
            f"{delivery}: no delivery of {site_id} whose lines are in the log; expected the name of a delivery as "
            "the site's page and quality.receipt print it, or the number of its commit"
        )
    gone = voided(earlier)
    about = [c for c in found if c.seq not in gone]
    if not about:
        raise UserError(f"{delivery}: voided already, in commit {max(gone[c.seq] for c in found)}")
    return about
