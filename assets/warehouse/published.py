"""Names and places of published marts. Light: imports neither DuckDB nor Pandera."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dyadlog.assets.event_log.log import EventLog, Head
from dyadlog.assets.event_log.storage import fsync
from dyadlog.assets.version import code_version
from dyadlog.schemas.errors import UserError
from dyadlog.schemas.study import Study

KEEP = 5


def build_key(study: Study, head: Head) -> str:
    """Name of the build of a head: commit number and a digest over head, code and study."""
    digest = hashlib.sha256(f"{head.sha256}\n{code_version()}\n{study.rules_digest}".encode()).hexdigest()
    return f"{head.seq:012d}-{digest[:12]}"


def marts_folder(study: Study) -> Path:
    """Where the published files lie."""
    return study.folder / "marts"


def build_file(study: Study, head: Head) -> Path:
    """Where the build of a head lies, or will lie."""
    return marts_folder(study) / f"{build_key(study, head)}.duckdb"


def newest_built(study: Study, log: EventLog) -> Head:
    """The newest head whose build lies there: the log's, unless another night has added to it since the build.

    Raises:
        UserError: no head of this log was built by today's code and rules.
    """
    head = log.head()
    while not build_file(study, head).exists():
        if head.seq == 0:
            raise UserError(
                f"{marts_folder(study)}: no build of this log is there; run `dyadlog night` again"
            )
        head = Head(head.seq - 1, log.digest_of(head.seq - 1))
    return head


def as_of_file(study: Study, head: Head) -> Path:
    """Where the marts of an earlier head lie; may be thrown away, they can be built again."""
    return marts_folder(study) / "as-of" / f"{build_key(study, head)}.duckdb"


def pictures_folder(study: Study) -> Path:
    """Where pictures of the marts lie; may be thrown away, they can be drawn again."""
    return study.folder / "pictures"


def current(study: Study) -> Path | None:
    """The file that analysts see now, as a path that stays the same after the next switch."""
    link = marts_folder(study) / "current.duckdb"
    return link.resolve() if link.exists() else None


@contextmanager
def under_way(study: Study) -> Iterator[None]:
    """Say that marts are being built or drawn, so that an erasure can wait for what began before it."""
    with (marts_folder(study) / ".building").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        yield


def wait_for_builds(study: Study) -> None:
    """Return when all building and drawing that was under way has ended."""
    if marts_folder(study).is_dir():
        with (marts_folder(study) / ".building").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)


def show(study: Study, target: Path) -> bool:
    """Let `current.duckdb` show a published file, in one step, and drop all but the last few.

    Returns:
        False if `current` shows a later commit already (a slower night of an older head came last).
    """
    marts = marts_folder(study)
    with (marts / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        now = current(study)
        if now is not None and now.name[:12] > target.name[:12]:
            return False
        waiting = marts / "current.new"
        waiting.unlink(missing_ok=True)
        waiting.symlink_to(target.name)
        waiting.replace(marts / "current.duckdb")
        fsync(marts)
        builds = sorted(
            (p for p in marts.glob("0*.duckdb") if p != target), key=lambda p: (p.stat().st_mtime_ns, p.name)
        )
        for old in builds[: -(KEEP - 1)]:
            old.unlink(missing_ok=True)
    return True
