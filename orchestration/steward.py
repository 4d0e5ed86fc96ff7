"""What the study's data manager has done to deliveries: lines released, deliveries voided; each with who and why."""

from __future__ import annotations

from dyadlog.assets.event_log.log import EventLog
from dyadlog.assets.intake.receive import at_work, open_block_list, open_log, open_quarantine, utc_now
from dyadlog.assets.version import code_version
from dyadlog.schemas.errors import UserError
from dyadlog.schemas.study import Study

_LONGEST = 500


def void_delivery(study: Study, site_id: str, delivery: str, by: str, why: str) -> None:
    """Void a delivery and say what that means.

    Raises:
        UserError: there is no such delivery, it is voided already, or who or why is missing.
    """
    from dyadlog.assets.intake.void import void

    log = _open(study, site_id, by, why)
    with at_work(study, log):
        commit = void(
            study, log, site_id, delivery, by=by, why=why, clock=utc_now, code_version=code_version()
        )
    names = {c.receipt.file_name for c in log.commits() if commit.act and c.seq in commit.act.commits}
    print(
        f"Commit {commit.seq}: {', '.join(sorted(names))} of {site_id} counts no longer from the next night on."
    )
    for name in sorted(names):
        if (study.folder / "landing" / site_id / name).is_file():
            print(
                f"landing/{site_id}/{name} stays out while it has this name; to deliver it again, rename it."
            )


def release_lines(study: Study, site_id: str | None, by: str, why: str) -> bool:
    """Look at held-back lines again and say what became of them.

    Returns:
        whether some were released.

    Raises:
        UserError: there is no such site, or who or why is missing.
    """
    from dyadlog.assets.intake.release import release_held

    log = _open(study, site_id, by, why)
    waiting = entered = 0
    with at_work(study, log):
        for seen in release_held(
            study,
            log,
            open_quarantine(study),
            open_block_list(study),
            by=by,
            why=why,
            site_id=site_id,
            clock=utc_now,
            code_version=code_version(),
        ):
            told = seen.delivery.receipt
            lines = seen.commit.receipt.lines if seen.commit else 0
            waiting, entered = waiting + seen.waiting, entered + lines
            if seen.commit:
                print(
                    f"Commit {seen.commit.seq}: {lines:,} of {seen.waiting:,} held-back lines of "
                    f"{told.site_id}/{told.file_name} released"
                )
    print(f"{entered:,} of {waiting:,} held-back lines released; {waiting - entered:,} still do not pass.")
    return entered > 0


def _open(study: Study, site_id: str | None, by: str, why: str) -> EventLog:
    if site_id is not None and site_id not in study.site_ids:
        raise UserError(f"{site_id}: no site of this study; its sites are {', '.join(study.site_ids)}")
    for name, text in (("--by", by), ("--why", why)):
        if not text.strip() or not text.isprintable() or len(text) > _LONGEST:
            raise UserError(
                f"{name}: expected one line of up to {_LONGEST} letters, and no personal data in it"
            )
    return open_log(study)
