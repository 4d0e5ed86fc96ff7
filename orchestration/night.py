"""One night: everything new in the landing folders into the log, marts, reports."""

from __future__ import annotations

import fcntl
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from dyadlog.assets.erasure.unfinished import begin_anew, clear_rest
from dyadlog.assets.intake.receive import open_log, utc_now, waiting_files
from dyadlog.assets.quality.notice import Notice, of_nothing_new
from dyadlog.assets.warehouse.published import build_key, current, marts_folder
from dyadlog.assets.warehouse.silence import silence
from dyadlog.orchestration.guard import DISK_FULL, is_disk_full
from dyadlog.orchestration.heartbeat import beat, miss, read_heartbeat
from dyadlog.orchestration.notify import notify
from dyadlog.orchestration.runs import missed, read_runs
from dyadlog.orchestration.watch import Watcher, watched_by
from dyadlog.schemas.errors import LogDamagedError
from dyadlog.schemas.study import Study

KEPT_RUNS = 60

# Bytes below which a run cannot be recorded.
_LITTLE = 4 << 20


class NightFailedError(Exception):
    """A night did not complete; the text says why, and what still stands."""


def is_up_to_date(study: Study) -> bool:
    """Whether there is no new file and the marts and reports of the log's head are published."""
    log = open_log(study)
    _landing, waiting = waiting_files(study, log)
    if waiting:
        return False
    key = build_key(study, log.head())
    published = current(study)
    return read_heartbeat(study).key == key and published is not None and published.stem == key


def night(study: Study, watcher: Watcher) -> bool:
    """Run one night.

    Args:
        study: the study.
        watcher: told of every step.

    Returns:
        False if there was nothing to do.

    Raises:
        NightFailedError: yesterday's marts and reports are untouched.
    """
    try:
        stopped = begin_anew(study, open_log(study))
        if is_up_to_date(study):
            clear_rest(study, stopped)
            watcher.unsent += notify(study, _nothing_new(study))
            beat(study, "nothing_new")
            return False
        _run_in_dagster(study, watcher)
        clear_rest(study, stopped)
    except (NightFailedError, LogDamagedError, OSError) as error:
        with suppress(OSError):  # a full disk must not hide the first error
            miss(study, str(error))
        raise
    return True


def _nothing_new(study: Study) -> Notice:
    """What is told of a night without a new file: nights that did not run, and sites that are late since the last one.

    The marts do not know of these sites: their clock is the newest commit.
    """
    runs, now = read_runs(study), utc_now()
    late = []
    if runs:
        log, quiet = open_log(study), study.protocol.thresholds.quiet_days
        for site_id in study.site_ids:
            days = [c.received_at for c in log.of_site(site_id) if c.kind == "delivery"]
            then, found = (silence(days, when.isoformat(), quiet) for when in (runs[-1].when, now))
            if found.is_late and not then.is_late:
                late.append((site_id, found))
    return of_nothing_new(study, missed(runs, study.protocol.nightly_at, now), late)


def _run_in_dagster(study: Study, watcher: Watcher) -> None:
    """Run the nightly job in this process, recorded in the study's own Dagster home."""
    home = dagster_home(study)
    os.environ["DAGSTER_HOME"] = str(home)
    from dyadlog.orchestration.graph import JOB, all_sites, build_definitions

    job = build_definitions(study, lineage=False).resolve_job_def(JOB)
    quiet: dict[str, Any] = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    try:
        with watched_by(watcher), _opened(home) as instance:
            result = job.execute_in_process(
                instance=instance, tags=all_sites(study), run_config=quiet, raise_on_error=False
            )
            _forget_old_runs(instance)
    except Exception as error:  # Dagster's own storage: its messages are not ours to show
        # SQLite calls a full disk many names, and has often tidied up before it complains.
        is_full = is_disk_full(error) or shutil.disk_usage(home).free < _LITTLE
        why = DISK_FULL if is_full else type(error).__name__
        raise NightFailedError(f"Dagster could not record the run in {home}: {why}") from None
    if not result.success:
        raise NightFailedError(_why(result))


def _opened(home: Path) -> Any:
    """Open the study's Dagster instance. It makes its databases on first use; nights that begin at once take turns."""
    import dagster as dg

    with (home / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        instance = dg.DagsterInstance.get()
        instance.all_asset_keys()  # the database of events is made when it is first asked
    return instance


def _forget_old_runs(instance: Any) -> None:
    """Run history grows without end otherwise; results do not live there."""
    for run in instance.get_runs()[KEPT_RUNS:]:
        instance.delete_run(run.run_id)


def _why(result: Any) -> str:
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            cause = error.cause or error
            return str(cause.message).split(": ", 1)[-1].strip()
    broken = [
        f"{evaluation.check_name}: {evaluation.metadata['broken'].value}"
        for evaluation in result.get_asset_check_evaluations()
        if not evaluation.passed and "broken" in evaluation.metadata
    ]
    return "; ".join(broken) or "the run did not complete"


def dagster_home(study: Study) -> Path:
    """The study's Dagster home: run history, nothing else; may be thrown away."""
    home = study.folder.resolve() / "state" / "dagster"
    home.mkdir(parents=True, exist_ok=True)
    config = home / "dagster.yaml"
    if not config.exists():
        config.write_text(
            "# Made by Dyadlog. Run history only; results live in log/, marts/ and reports/.\n"
            "telemetry: {enabled: false}\n"
            "nux: {enabled: false}\n"
            "concurrency: {runs: {max_concurrent_runs: 1}}\n",
            "utf-8",
        )
    return home


def yesterday(study: Study) -> str:
    """What analysts see after a failed night, in words."""
    published = current(study)
    if published is None:
        return "Nothing is published yet."
    return f"Analysts still see {marts_folder(study).name}/{published.name}."
