"""What leaves a step when something unexpected breaks: a name, never a value."""

from __future__ import annotations

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from dyadlog.schemas.errors import LogDamagedError, UserError
from dyadlog.schemas.study import Study


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
    except OSError as error:
        what = os.strerror(error.errno) if error.errno else type(error).__name__
        raise StepFailedError(f"{step}: {what}{_keep(study)}") from None
    except Exception as error:
        raise StepFailedError(f"{step}: {type(error).__name__}{_keep(study)}") from None


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
