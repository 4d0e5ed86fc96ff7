"""The commands that change how the log is stored: `erase` and `compact`."""

from __future__ import annotations

from dyadlog.assets.erasure.pending import asked_for, landed_files
from dyadlog.assets.erasure.person import erase_person
from dyadlog.assets.erasure.unfinished import to_finish, unfinished
from dyadlog.assets.event_log.log import EventLog
from dyadlog.assets.intake.receive import at_work, merge_segments, open_log, remove_merged
from dyadlog.orchestration.heartbeat import beat
from dyadlog.orchestration.reports import write_reports
from dyadlog.orchestration.watch import Watcher
from dyadlog.schemas.study import Study


def show_pending(study: Study) -> bool:
    """Print what waits to be erased. Returns whether nothing does."""
    log = open_log(study)
    asked = asked_for(study, log)
    for site_id, client_id in asked:
        print(f"{site_id} {client_id}: asked for by a withdrawal of consent")
    landed = [path for site_id in study.site_ids for path in landed_files(study, log, site_id)]
    for path in landed:
        print(f"{path.relative_to(study.folder)}: holds lines of somebody who was erased; remove it")
    stopped = unfinished(study, log)
    for commit in stopped:
        print(f"{commit.receipt.site_id}: {to_finish(commit)}")
    if waiting := bool(asked or landed or stopped):
        return not waiting
    print("Nothing waits to be erased")
    return True


def erase(study: Study, site: str, client: str, by: str, why: str, *, keep_landing: bool) -> None:
    """Erase a person and say what was done."""

    def rebuild(log: EventLog) -> None:
        from dyadlog.assets.quality.expectations import run_expectations
        from dyadlog.assets.warehouse.build import build_all

        build_all(study, log, expectations=run_expectations)
        write_reports(study, Watcher())
        beat(study, "completed")

    certificate, path = erase_person(
        study, site, client, by=by, why=why, rebuild=rebuild, keep_landing=keep_landing
    )
    print(certificate.text())
    print(f"The certificate, for printing: {path}")


def compact(study: Study) -> None:
    """Merge the small segments of all sites, and say so."""
    log = open_log(study)
    with at_work(study, log):
        for site_id in study.site_ids:
            files = len(log.layout.files(site_id))
            if merge_segments(study, log, site_id, 2):
                print(f"{site_id}: {files} segments before, {len(log.layout.files(site_id))} now")
            else:
                print(f"{site_id}: nothing to merge")
        remove_merged(study, log)
    days = study.protocol.compaction.grace_days
    print(f"Files that were merged stay for {days} days")
