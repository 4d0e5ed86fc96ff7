"""Law: a night on a disk that is full says so, leaves yesterday's marts and a whole log, and completes when there is room."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dyadlog.orchestration.night import night
from dyadlog.orchestration.watch import Watcher
from tests.conftest import LONG, Lab, client, phq, session

SIZES = 64 if LONG else 16
SMALLEST, LARGEST = 1 << 12, 1 << 26  # bytes that are free: from nothing to enough

_ALLOWED = (
    shutil.which("unshare")
    and not subprocess.run(
        ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/tmp"], capture_output=True, check=False
    ).returncode
)


@pytest.mark.skipif(not _ALLOWED, reason="this machine lets nobody mount a small disk (unshare -rm)")
def test_a_full_disk(lab: Lab, tmp_path: Path) -> None:
    def deliver(number: int) -> None:
        for site in ("site-a", "site-b"):
            facts = [client(f"c{n}") for n in range(20)]
            facts += [session(number, f"c{n}") for n in range(20)]
            facts += [phq(number, n % 4, f"c{n}") for n in range(20)]
            lab.drop(site, f"{number}.ndjson", [*facts, {"event_id": f"bad-{number}"}])

    deliver(1)
    night(lab.study, Watcher())
    yesterday = lab.rows("select marts_digest from meta.build")[0][0]
    deliver(2)
    (tmp_path / "disk").mkdir()
    ratio = (LARGEST / SMALLEST) ** (1 / (SIZES - 1))
    sizes = [str(round(SMALLEST * ratio**n) // 4096 * 4096) for n in range(SIZES)]
    random.Random(0).shuffle(sizes)
    command = ["unshare", "-rm", sys.executable, "-m", "tests.full_disk", lab.folder, tmp_path / "disk"]
    done = subprocess.run(
        [*command, "1" if LONG else "4", *sizes],
        capture_output=True,
        check=False,
        text=True,
        cwd=Path(__file__).parents[1],
    )
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) == SIZES
    failed = [one for one in told if one["failure"]]
    for one in failed:
        assert "No space left on device" in one["failure"]
        # The log may have taken deliveries in; the marts are yesterday's, or already today's.
        assert one["then"]["sessions"] in (40, 80)
        assert (one["then"]["digest"] == yesterday) == (one["then"]["sessions"] == 40)
        assert one["then"]["said"].startswith("Analysts still see marts/0000")
    followed = [one for one in told if "again" in one]
    assert {one["again"] for one in followed} == {""}
    assert len({one["after"]["digest"] for one in followed}) == 1
    assert {(one["after"]["sessions"], one["after"]["commits"]) for one in followed} == {(80, 4)}
    assert any(one["then"]["sessions"] == 40 for one in failed), "some disks must have been too small"
    assert len(failed) < SIZES, "some must have been large enough"
