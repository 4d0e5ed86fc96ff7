"""What leaves a step when something unexpected breaks: a name, never a value."""

from __future__ import annotations

import errno
import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from dyadlog.schemas.errors import LogDamagedError, UserError
from dyadlog.schemas.study import Study

DISK_FULL = f"{os.strerror(errno.ENOSPC)}: make room and run the night again"
_FULL = (errno.ENOSPC, errno.EDQUOT)
# DuckDB and SQLite say it in words only.
_SAID_WHEN_FULL = (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT), "database or disk is full")


class StepFailedError(Exception):
    """A step of the night broke; the text is safe to show and to store."""


@contextmanager
def guarded(study: Study, step: str) -> Iterator[None]:
    """Let errors that are meant for people through; reduce all others to their kind.

    Messages of libraries may quote records, and Dagster stores what it sees; so the full traceback goes into
    a private file of the quarantine instead.
    """
    from dyadlog.assets.warehouse.build import BuildError

    try:
        yield
    except (UserError, LogDamagedError, BuildError) as error:
        raise StepFailedError(f"{step}: {error}") from None
    except Exception as error:
        if is_disk_full(error):
            raise StepFailedError(f"{step}: {DISK_FULL}") from None
        raise StepFailedError(f"{step}: {_kind(error)}{_keep(study)}") from None


def _kind(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return type(error).__name__


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an error, of whatever library, comes from a disk that is full."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _FULL:
            return True
        if any(said in str(error) for said in _SAID_WHEN_FULL):
            return True
        error = error.__cause__ or error.__context__
    return False


def _keep(study: Study) -> str:
    folder = study.folder / "quarantine"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        path = folder / "last-error.txt"
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(traceback.format_exc())
    except OSError:
        return ""
    return " (the full error is in quarantine/last-error.txt, for the steward only)"
