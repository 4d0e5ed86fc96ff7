"""All files in the landing folders, brought into the log one after the other."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from dyadlog.assets.event_log.blocked import BlockList
from dyadlog.assets.event_log.cache import CommitCache
from dyadlog.assets.event_log.log import EventLog
from dyadlog.assets.event_log.quarantine import Quarantine
from dyadlog.assets.event_log.records import Commit
from dyadlog.assets.event_log.remove import remove_replaced
from dyadlog.assets.event_log.storage import LocalStorage, Scratch, Storage
from dyadlog.assets.event_log.witness import Witness
from dyadlog.assets.intake.files import FileRefusedError, Landed, Landing, Reader, scan
from dyadlog.assets.intake.known import known_as
from dyadlog.assets.version import code_version
from dyadlog.schemas.study import Study

# A file whose time stamp is this young may still change without a new stamp.
_SETTLED_SECONDS = 2.0


def open_log(study: Study) -> EventLog:
    """The study's event log."""
    memory = study.folder / "state" / "log"
    cache = CommitCache(Scratch(memory / "commits.ndjson"))
    return EventLog(_log_storage(study), cache=cache, sign=open_witness(study).sign, keys=memory / "keys")


def open_witness(study: Study) -> Witness:
    """The study's key and the signed head of its log."""
    return Witness(study.folder, study.protocol.study)


def _log_storage(study: Study) -> Storage:
    if address := study.protocol.log_storage:
        from dyadlog.assets.event_log.object_storage import ObjectStorage

        return ObjectStorage(address, study.folder / "state" / "log-copies")
    return LocalStorage(study.folder / "log")


def open_block_list(study: Study) -> BlockList:
    """What keeps erased persons out."""
    return BlockList(LocalStorage(study.folder / "keys", private=True))


def open_quarantine(study: Study) -> Quarantine:
    """The study's sealed place for held-back lines."""
    return Quarantine(LocalStorage(study.folder / "quarantine", private=True))


def utc_now() -> datetime:
    """The clock; used for `received_at` and the heartbeat only."""
    return datetime.now(UTC)


class Seen:
    """Remembers which files were dealt with, by size and time stamps, so that they need not be read again.

    A convenience only: if it is lost or wrong about a file being new, the log recognises the bytes.

    Args:
        study: the study.
    """

    def __init__(self, study: Study) -> None:
        self._path = study.folder / "state" / "landing.json"
        self._rules = study.rules_digest
        try:
            told = json.loads(self._path.read_bytes())
            self._stamps: dict[str, list[int]] = told["files"] if told["rules"] == self._rules else {}
        except (OSError, ValueError, KeyError, TypeError):
            self._stamps = {}

    def __contains__(self, landed: Landed) -> bool:
        return self._stamps.get(_key(landed)) == _stamp(landed)

    def add(self, landed: Landed, looked_at: float) -> None:
        """Remember a file, unless it changed so recently that its stamp cannot be trusted."""
        if looked_at - max(landed.stamp[0], landed.stamp[1]) / 1e9 > _SETTLED_SECONDS:
            self._stamps[_key(landed)] = _stamp(landed)

    def save(self) -> None:
        """Write to disk."""
        write_atomically(
            self._path, json.dumps({"rules": self._rules, "files": self._stamps}, sort_keys=True)
        )


def write_atomically(path: Path, text: str) -> None:
    """Write a small file of state so that a reader sees the old or the new one, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    waiting = path.with_name(f"{path.name}.{time.monotonic_ns()}.new")
    waiting.write_text(text + "\n", "utf-8")
    waiting.replace(path)


def _key(landed: Landed) -> str:
    return f"{landed.site_id}/{landed.name}"


def _stamp(landed: Landed) -> list[int]:
    return [landed.size, *landed.stamp]


def waiting_files(study: Study, log: EventLog) -> tuple[Landing, list[Landed]]:
    """The landing folders, and the files there that the log does not know yet."""
    landing = scan(study)
    seen = Seen(study)
    unseen = [landed for landed in landing.files if landed not in seen]
    told = (
        {(c.receipt.site_id, c.receipt.file_name, c.receipt.file_bytes) for c in log.commits()}
        if unseen
        else set()
    )
    likely = [landed for landed in unseen if (landed.site_id, landed.name, landed.size) in told]
    known = {landed for landed in likely if _is_logged(study, log, landed)}
    return landing, [landed for landed in unseen if landed not in known]


def _is_logged(study: Study, log: EventLog, landed: Landed) -> bool:
    reader = Reader(landed.path, study.protocol.limits)
    try:
        reader.drain()
    except FileRefusedError:
        return False
    return (
        known_as(log.of_site(landed.site_id), landed.name, reader.size, reader.sha256, study.rules_digest)
        == "same"
    )


@contextmanager
def at_work(study: Study, log: EventLog) -> Iterator[None]:
    """Write to the log: one at a time, from its signed head to a new one."""
    witness = open_witness(study)
    with log.storage.writing():
        witness.begin(log)
        try:
            yield
        finally:
            witness.update(log)


def remove_merged(study: Study, log: EventLog, clock: Callable[[], datetime] = utc_now) -> None:
    """Remove files that others stand for, when their time has come; for who is `at_work`."""
    grace = timedelta(days=study.protocol.compaction.grace_days)
    remove_replaced(log, open_quarantine(study), now=clock(), grace=grace)


def merge_segments(
    study: Study, log: EventLog, site_id: str, at_least: int, clock: Callable[[], datetime] = utc_now
) -> Commit | None:
    """Merge a site's small segments if there are so many; for who is `at_work`."""
    if len(log.layout.small(site_id)) < at_least:
        return None
    from dyadlog.assets.event_log.compact import compact

    return compact(
        log,
        site_id,
        at_least=at_least,
        clock=clock,
        rules_digest=study.rules_digest,
        code_version=code_version(),
    )


def receive(
    study: Study,
    log: EventLog,
    *,
    sites: Collection[str] | None = None,
    clock: Callable[[], datetime] = utc_now,
    progress: Callable[[Landed, int], None] | None = None,
) -> Iterator[tuple[Landed, Commit | None]]:
    """Bring every new file of some sites into the log.

    One night at a time works on the log; a second one waits and then finds little to do.

    Yields:
        each file with its commit (None if the log knew the file already).
    """
    with at_work(study, log):
        remove_merged(study, log, clock)
        seen = Seen(study)
        looked_at = time.time()
        files = [
            landed
            for landed in scan(study).files
            if landed not in seen and (sites is None or landed.site_id in sites)
        ]
        try:
            for landed, commit in _deliver_all(study, log, files, clock, progress):
                seen.add(landed, looked_at)
                yield landed, commit
            for site_id in sorted({landed.site_id for landed in files}):
                merge_segments(study, log, site_id, study.protocol.compaction.segments, clock)
        finally:
            seen.save()


def _deliver_all(
    study: Study,
    log: EventLog,
    files: Sequence[Landed],
    clock: Callable[[], datetime],
    progress: Callable[[Landed, int], None] | None,
) -> Iterator[tuple[Landed, Commit | None]]:
    if not files:
        return
    # Imported late: most of a night's wait would be for libraries that an empty night does not need.
    from dyadlog.assets.intake.deliver import deliver
    from dyadlog.assets.intake.reading import Readers

    quarantine = open_quarantine(study)
    sizes = {(c.receipt.site_id, c.receipt.file_bytes) for c in log.commits()}
    with (
        closing(Readers(study)) as readers,
        # To see that a file is known, its hash is enough.
        closing(readers.ahead(files, lambda file: (file.site_id, file.size) in sizes)) as ahead,
    ):
        for landed, reading in ahead:
            commit = deliver(
                study,
                log,
                quarantine,
                landed,
                readers,
                clock=clock,
                code_version=code_version(),
                blocked=open_block_list(study),
                reading=reading,
                progress=partial(progress, landed) if progress else None,
            )
            yield landed, commit
