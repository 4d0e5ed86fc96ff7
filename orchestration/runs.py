"""A line per night that ran, in `reports/study/runs.ndjson`: how it went, and so which nights did not run.

The marts cannot know it: a night that finds nothing new leaves no commit. The file is published with the reports, not
memory; where it is lost, nothing is said of the nights before.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Literal

from dyadlog.assets.intake.receive import utc_now, write_atomically
from dyadlog.schemas.study import Study

Outcome = Literal["completed", "nothing_new", "failed"]

# Kept, and then cut to the newer half.
_MOST = 2000


@dataclass(frozen=True)
class Run:
    """One night that ran.

    Args:
        ended_at: when it ended, UTC, ISO 8601.
        outcome: how it went.
    """

    ended_at: str
    outcome: Outcome

    @property
    def when(self) -> datetime:
        """When it ended."""
        return datetime.fromisoformat(self.ended_at)


def read_runs(study: Study) -> list[Run]:
    """The nights that ran, oldest first; a line that is damaged is left out."""
    try:
        lines = _file(study).read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        with suppress(ValueError, TypeError, KeyError):
            told = json.loads(line)
            run = Run(told["ended_at"], told["outcome"])
            if run.when.tzinfo is not None:
                found.append(run)
    return sorted(found, key=lambda run: run.when)


def add_run(study: Study, outcome: Outcome) -> None:
    """Note that a night ran. Not a reason for a night to fail: on a full disk it is not noted."""
    run = Run(utc_now().isoformat(timespec="seconds"), outcome)
    path = _file(study)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(run)) + "\n")
        if len(runs := read_runs(study)) > _MOST:
            write_atomically(path, "\n".join(json.dumps(asdict(one)) for one in runs[-_MOST // 2 :]))


def missed(runs: Sequence[Run], nightly_at: str, now: datetime) -> list[date]:
    """Days of the nights that should have begun since the last one, and did not.

    The newest night that is due by now does not count: it is the one that runs, or is about to.

    Args:
        runs: the nights that ran, oldest first; without any nothing can be said.
        nightly_at: when a night begins, `HH:MM` UTC, as study.yaml says.
        now: when.
    """
    if not runs:
        return []
    hour, minute = map(int, nightly_at.split(":"))
    at = time(hour, minute, tzinfo=now.tzinfo)
    last = runs[-1].when
    days = [last.date() + timedelta(days=n) for n in range((now.date() - last.date()).days + 1)]
    return [night for night in days if last < datetime.combine(night, at) <= now][:-1]


def failed_since(runs: Sequence[Run]) -> int:
    """How many nights failed since one completed."""
    good = [place for place, run in enumerate(runs) if run.outcome != "failed"]
    return len(runs) - 1 - good[-1] if good else len(runs)


def _file(study: Study) -> Path:
    return study.folder / "reports" / "study" / "runs.ndjson"
