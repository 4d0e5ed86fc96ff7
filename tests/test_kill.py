"""Law: a night that is killed at any moment loses nothing; the next one completes.

The real command, Dagster's run included, is killed with SIGKILL, at random times and at the moments that matter: while bytes are written,
between segment and commit, while models are built, while the marts are switched, while reports are written.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest

from dyadlog.assets.event_log.verify import verify
from dyadlog.assets.intake.receive import open_log, open_quarantine, open_witness
from tests import nights
from tests.conftest import LONG, Lab, client, phq, rating, session

KILLS = 1_000 if LONG else 50
WORKERS = 5
COMMAND = [sys.executable, "-m", "dyadlog.orchestration.cli", "night", "-s"]


def _appears(folder: Path, pattern: str) -> Callable[[], bool]:
    before = {path.name for path in folder.glob(pattern)}
    return lambda: any(path.name not in before for path in folder.glob(pattern))


def _moments(folder: Path) -> dict[str, Callable[[], bool]]:
    return {
        "bytes are written": _appears(folder / "log", "tmp/*"),
        "a segment is there": _appears(folder / "log", "segments/*"),
        "a commit is there": _appears(folder / "log", "commits/*"),
        "models are built": _appears(folder / "marts", "work-*"),
        "marts are copied": _appears(folder / "marts", "work-*/fresh.duckdb"),
        "marts are there": _appears(folder / "marts", "0*.duckdb"),
        "reports are written": _appears(folder / "reports", "*/*"),
        "any time": lambda: False,
    }


def _kill_at(process: ForkServerProcess, reached: Callable[[], bool], delay: float, latest: float) -> None:
    end = time.monotonic() + latest
    while process.is_alive() and time.monotonic() < end and not reached():
        time.sleep(0.0005)
    time.sleep(delay)
    process.kill()
    process.join()


def _deliver(lab: Lab, number: int) -> None:
    events = [client("c1"), session(number), phq(number, number % 4), rating(number, 1 + number % 5)]
    lab.drop("site-a", f"{number:03d}.ndjson", [*events, {"event_id": f"bad-{number}"}])
    lab.drop("site-b", f"{number:03d}.ndjson", [client("c9"), session(number, "c9"), phq(number, 1, "c9")])


@pytest.mark.parametrize("worker", range(WORKERS))
def test_a_killed_night_loses_nothing(lab: Lab, worker: int) -> None:
    dice = random.Random(worker)
    kills = 0
    for number in range(1, KILLS // WORKERS + 1):
        _deliver(lab, number)
        moment, reached = dice.choice(list(_moments(lab.folder).items()))
        process = nights.start(str(lab.folder))
        latest = dice.uniform(0.1, 6) if moment == "any time" else 60
        _kill_at(process, reached, dice.random() * 0.03, latest)
        kills += process.exitcode == -signal.SIGKILL
        log = open_log(lab.study)
        verify(log, witness=open_witness(lab.study), quarantine=open_quarantine(lab.study))
        for commit in log.commits():
            assert commit.receipt.balances
        if (lab.folder / "marts/current.duckdb").exists():
            assert lab.rows("select count(*) from meta.build") == [(1,)]
    if worker == 0:
        done = subprocess.run([*COMMAND, str(lab.folder)], capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
    else:
        last = nights.start(str(lab.folder))
        last.join()
        assert last.exitcode == 0
    log = open_log(lab.study)
    verify(log, witness=open_witness(lab.study), quarantine=open_quarantine(lab.study))
    assert (
        sum(c.kind == "delivery" for c in log.commits()) == 2 * KILLS // WORKERS
    )  # each file once: nothing lost, nothing doubled
    n = KILLS // WORKERS
    expected = [("site-a", n), ("site-b", n)]
    assert lab.rows("select site_id, count(*) from marts.session group by all order by 1") == expected
    assert lab.rows("select site_id, sum(held_back) from quality.receipt group by all order by 1") == [
        ("site-a", n),
        ("site-b", 0),
    ]
    assert kills >= n // 2, "most nights must have been killed, not finished"
    told = json.loads((lab.folder / "state/last_night.json").read_text())
    assert told["failure"] is None
