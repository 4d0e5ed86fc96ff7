"""One person leaves the study folder: the log first, then all that was made of it. May be stopped and done again."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from dyadlog.assets.erasure.certificate import Certificate, keep
from dyadlog.assets.erasure.derived import (
    clear_builds,
    clear_corrections,
    clear_memory,
    clear_pages,
    clear_pictures,
    releases,
)
from dyadlog.assets.erasure.pending import landed_files, naming_files
from dyadlog.assets.event_log.erase import erase
from dyadlog.assets.event_log.log import EventLog
from dyadlog.assets.event_log.records import Commit
from dyadlog.assets.event_log.storage import LocalStorage
from dyadlog.assets.intake.receive import (
    at_work,
    open_block_list,
    open_log,
    open_quarantine,
    remove_merged,
    utc_now,
)
from dyadlog.assets.version import code_version
from dyadlog.assets.warehouse.published import current, wait_for_builds
from dyadlog.schemas.errors import UserError
from dyadlog.schemas.study import Study

# Builds, publishes and reports; it stands on a higher floor.
Rebuild = Callable[[EventLog], object]


def erase_person(
    study: Study,
    site_id: str,
    client_id: str,
    *,
    by: str,
    why: str,
    rebuild: Rebuild,
    keep_landing: bool = False,
    clock: Callable[[], datetime] = utc_now,
) -> tuple[Certificate, Path]:
    """Erase a person, or finish an erasure that was stopped.

    Args:
        study: the study.
        site_id: the site.
        client_id: the person's pseudonym there.
        by: who has it done.
        why: the reason, in words; neither may name the person.
        rebuild: makes marts and pages anew.
        keep_landing: leave received files in the landing folder, and say so in the certificate.
        clock: current time, for the commit.

    Returns:
        the certificate and where it lies.

    Raises:
        UserError: the study does not allow it, or the log knows nothing of the person.
        LogDamagedError: a file of the log is not what was written; nothing was changed.
    """
    _check(study, site_id, client_id, by, why)
    log = open_log(study)
    commit = _leave_log(study, log, site_id, client_id, by=by, why=why, clock=clock)
    tag = open_block_list(study).person(site_id, client_id)
    wait_for_builds(study)
    removed = clear_memory(study)
    if current(study):
        rebuild(log)
    removed += clear_builds(study, commit.seq)
    removed += clear_corrections(study, site_id, commit.seq)
    removed += clear_pages(study, client_id)
    wait_for_builds(study)
    removed += clear_pictures(study)
    todo = []
    for path in landed_files(study, log, site_id, tag):
        name = path.relative_to(study.folder).as_posix()
        if keep_landing:
            todo.append(f"{name} still holds the person's lines: remove it")
        else:
            path.unlink()
            removed.append(name)
    todo += [
        f"{path.relative_to(study.folder).as_posix()} names the person and was never taken in: remove it, and ask the "
        "site for it without the person"
        for path in naming_files(study, site_id, client_id)
        if path.relative_to(study.folder).as_posix() not in {said.split(" ")[0] for said in todo}
    ]
    todo += [f"release {name} was cut before: cut it again and withdraw it" for name in releases(study)]
    todo += _elsewhere(log, commit, client_id)
    digest = log.digest_of(commit.seq)
    certificate = Certificate(study.protocol.study, study.protocol.title, commit, digest, tag, removed, todo)
    return certificate, keep(study, certificate)


def _check(study: Study, site_id: str, client_id: str, by: str, why: str) -> None:
    if site_id not in study.site_ids:
        raise UserError(f"{site_id}: no site of this study; its sites are {', '.join(study.site_ids)}")
    if "erase" not in study.protocol.consent.withdrawals:
        raise UserError("study.yaml: `consent.withdrawals` does not list `erase`; this study only excludes")
    for option, text in (("--by", by), ("--why", why)):
        if not text.strip():
            raise UserError(f"{option}: say something; it stays in the log and stands on the certificate")
        if client_id in re.findall(r"[A-Za-z0-9._-]+", text):
            raise UserError(f"{option}: must not name the person; it stays in the log")


def _leave_log(
    study: Study,
    log: EventLog,
    site_id: str,
    client_id: str,
    *,
    by: str,
    why: str,
    clock: Callable[[], datetime],
) -> Commit:
    quarantine, blocked = open_quarantine(study), open_block_list(study)
    with at_work(study, log):
        commit = erase(
            log,
            quarantine,
            blocked,
            site_id,
            client_id,
            by=by,
            why=why,
            clock=clock,
            rules_digest=study.rules_digest,
            code_version=code_version(),
        )
        if commit is None:
            tag = blocked.person(site_id, client_id)
            earlier = [c for c in log.layout.erasures(site_id) if c.change and tag in c.change.blocked]
            if not earlier:
                raise UserError(f"{site_id}: the log holds nothing of this client; is the pseudonym right?")
            commit = earlier[-1]
        remove_merged(study, log, clock)
        log.storage.remove_unfinished()
        quarantine.remove_unfinished()
    return commit


def _elsewhere(log: EventLog, commit: Commit, client_id: str) -> list[str]:
    """What Dyadlog cannot reach, in words."""
    site_id = commit.receipt.site_id
    name = re.compile(rf"(?<![A-Za-z0-9]){re.escape(client_id)}(?![A-Za-z0-9])")
    found = []
    for one in log.of_site(site_id) if not client_id.isdigit() else ():
        said = {
            "file name": one.receipt.file_name,
            "reason": f"{one.act.by} {one.act.why}" if one.act else "",
        }
        found += [
            f"the {what} that commit {one.seq} keeps names the person: commits cannot be changed"
            for what, text in said.items()
            if name.search(text)
        ]
    if client_id.isdigit():
        found.append(
            f"the client's id is a mere number: pages, pictures' names and files in landing/{site_id} that were never taken "
            "in cannot be searched for it"
        )
    if not isinstance(log.storage, LocalStorage):
        found.append("the object store: if its bucket keeps versions, remove the older ones there")
    return [
        *found,
        f"the site {site_id}: leave the person out of exports, and erase its own copies",
        "backups, and copies of marts, reports, pictures and releases outside the study folder: make new ones, remove the old",
    ]
