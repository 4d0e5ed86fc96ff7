"""Erasures that were stopped after they had left the log: the rest is made good by the next night, and said."""

from __future__ import annotations

from collections.abc import Sequence

from dyadlog.assets.erasure.certificate import certificate_file
from dyadlog.assets.erasure.derived import clear_builds, clear_corrections, clear_memory, clear_pictures
from dyadlog.assets.event_log.log import EventLog
from dyadlog.assets.event_log.records import Commit
from dyadlog.assets.warehouse.published import wait_for_builds
from dyadlog.schemas.study import Study


def unfinished(study: Study, log: EventLog) -> list[Commit]:
    """Erasures whose last step, the certificate, is missing; that of a later one of the same person will do."""
    certified: set[str] = set()
    found = []
    for commit in reversed([c for site_id in study.site_ids for c in log.layout.erasures(site_id)]):
        person = commit.change.blocked[0] if commit.change else ""
        if certificate_file(study, commit.seq).exists():
            certified.add(person)
        elif person not in certified:
            found.append(commit)
    return sorted(found, key=lambda commit: commit.seq)


def begin_anew(study: Study, log: EventLog) -> list[Commit]:
    """Before a night: forget what may hold somebody whose erasure was stopped.

    Returns:
        those erasures of which `clear_rest` has not seen to the rest.
    """
    left = [commit for commit in unfinished(study, log) if not _seen_to(study, commit)]
    if left:
        wait_for_builds(study)
        clear_memory(study)
    return left


def clear_rest(study: Study, erasures: Sequence[Commit]) -> None:
    """After a night: drop what was built and drawn before some erasures. What names the person is for who knows the name."""
    for commit in erasures:
        clear_builds(study, commit.seq)
        clear_corrections(study, commit.receipt.site_id, commit.seq)
        clear_pictures(study)
        mark = certificate_file(study, commit.seq).with_suffix(".cleared")
        mark.parent.mkdir(exist_ok=True)
        mark.touch()


def _seen_to(study: Study, commit: Commit) -> bool:
    return certificate_file(study, commit.seq).with_suffix(".cleared").exists()


def to_finish(commit: Commit) -> str:
    """What is to be done about an unfinished erasure, in words."""
    site_id = commit.receipt.site_id
    return (
        f"the erasure of commit {commit.seq} was stopped before its end: run `dyadlog erase {site_id} CLIENT` for the "
        "same client again; it removes the rest and writes the certificate"
    )
