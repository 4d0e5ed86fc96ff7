"""What is remembered of the last night, whoever ran it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from dyadlog.assets.intake.receive import utc_now, write_atomically
from dyadlog.assets.quality.notice import of_failure
from dyadlog.assets.warehouse.published import current
from dyadlog.orchestration.notify import notify
from dyadlog.orchestration.runs import Outcome, add_run
from dyadlog.schemas.study import Study


@dataclass(frozen=True)
class Heartbeat:
    """The last nights in short.

    Args:
        finished_at: end of the last good night (UTC).
        key: the build whose marts and reports it left.
        failure: why the newest night failed, if it did.
    """

    finished_at: datetime | None
    key: str
    failure: str | None


def read_heartbeat(study: Study) -> Heartbeat:
    """The last nights; empty if there was none."""
    try:
        told = json.loads(_file(study).read_bytes())
        when = datetime.fromisoformat(told["finished_at"]) if told["finished_at"] else None
        return Heartbeat(when, told["key"], told["failure"])
    except (OSError, ValueError, KeyError, TypeError):
        return Heartbeat(None, "", None)


def beat(study: Study, outcome: Outcome) -> None:
    """A night has completed: the marts that are shown now have their reports."""
    add_run(study, outcome)
    published = current(study)
    _write(study, utc_now(), published.stem if published else "", None)


def miss(study: Study, failure: str) -> None:
    """A night has failed; the last good one is still remembered. Who asked for it is told."""
    add_run(study, "failed")
    unsent = notify(study, of_failure(study))
    before = read_heartbeat(study)
    _write(study, before.finished_at, before.key, " ".join([failure, *unsent]))


def _write(study: Study, finished_at: datetime | None, key: str, failure: str | None) -> None:
    when = finished_at.isoformat(timespec="seconds") if finished_at else None
    write_atomically(_file(study), json.dumps({"finished_at": when, "key": key, "failure": failure}))


def _file(study: Study) -> Path:
    return study.folder / "state" / "last_night.json"
