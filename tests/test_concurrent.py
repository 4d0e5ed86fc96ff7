"""Law: nights that run at the same time, and deliveries that come while one runs, do no harm."""

from __future__ import annotations

import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path

import pytest

from dyadlog.assets.intake.receive import at_work, merge_segments, open_log, receive
from dyadlog.assets.warehouse.build import Step
from dyadlog.orchestration.night import is_up_to_date, night
from dyadlog.orchestration.watch import Watcher
from dyadlog.schemas.study import read_study
from tests.conftest import Lab, client, phq, session
from tests.test_erasure import GONE, holding, take_out
from tests.test_verify import prove


@pytest.mark.parametrize("nights", [2, 4])
def test_nights_at_the_same_time(lab: Lab, nights: int) -> None:
    for site in ("site-a", "site-b"):
        for number in range(1, 5):
            events = [client(), session(number), phq(number, 1), {"event_id": f"bad-{number}"}]
            lab.drop(site, f"{number}.ndjson", events)
    command = [sys.executable, "-m", "dyadlog.orchestration.cli", "night", "-s", str(lab.folder)]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(nights)
    ]
    for one in running:
        said = one.communicate()[0]
        assert one.returncode == 0, said
    assert prove(lab) == 8
    assert lab.rows(
        "select site_id, sum(accepted), sum(duplicate), sum(held_back) from quality.receipt group by all order by all"
    ) == [("site-a", 9, 3, 4), ("site-b", 9, 3, 4)]
    assert is_up_to_date(lab.study)


def _receive(folder: Path, site: str) -> None:
    study = read_study(folder)
    list(receive(study, open_log(study), sites={site}))


def _tidy(folder: Path, _: str) -> None:
    """Merge what is small and erase a person, while others deliver."""
    lab = Lab(folder)
    for _ in range(2):
        log = open_log(lab.study)
        with at_work(lab.study, log):
            merge_segments(lab.study, log, "site-a", 2)
    take_out(lab)


@pytest.mark.parametrize("tidying", [False, True])
def test_deliveries_of_different_sites_at_the_same_time(lab: Lab, tidying: bool) -> None:
    """Each site in a process of its own; beside them one that merges and erases."""
    for number in range(2):
        lab.drop("site-a", f"first-{number}.ndjson", [client(GONE), session(number + 1, GONE)])
    before = len(lab.receive())
    sites = ("site-a", "site-b", "site-c")
    for site in sites:
        for number in range(1, 5):
            also = session(number, GONE if site == "site-a" else "c2")
            events = [client(), session(number), also, {"event_id": f"bad-{number}"}]
            lab.drop(site, f"{number}.ndjson", events)
    work = [(_receive, site) for site in sites] + [(_tidy, "")] * tidying
    running = [get_context("spawn").Process(target=what, args=(lab.folder, site)) for what, site in work]
    for one in running:
        one.start()
    for one in running:
        one.join()
    assert [one.exitcode for one in running] == [0] * len(running)
    assert lab.receive() == []
    kinds = [commit.kind for commit in open_log(lab.study).commits()]
    assert kinds.count("delivery") == before + 12
    assert prove(lab) == len(kinds)
    if tidying:
        assert {"compaction", "erasure"} <= set(kinds)
        take_out(lab)  # what came after the erasure lies in landing/
        assert holding(lab.folder, [GONE]) == set()
    lab.build()
    account = (
        "select site_id, sum(accepted), sum(duplicate), sum(held_back), sum(lines) from quality.receipt "
    )
    found = lab.rows(account + "where site_id <> 'site-a' group by all order by all")
    assert found == [(site, 9, 3, 4, 16) for site in sites[1:]]


class Interfering(Watcher):
    """Another night brings a delivery in while this one builds its models."""

    def __init__(self, lab: Lab) -> None:
        super().__init__()
        self._lab = lab

    def built(self, step: Step) -> None:
        super().built(step)
        if step.model == "marts.session":
            self._lab.drop("site-b", "later.ndjson", [client(), session(1)])
            assert len(self._lab.receive()) == 1


def test_a_delivery_that_comes_while_models_are_built_is_shown_by_the_next_night(lab: Lab) -> None:
    lab.drop("site-a", "1.ndjson", [client(), session(1)])
    assert night(lab.study, Interfering(lab))
    assert lab.rows("select site_id from marts.session") == [("site-a",)]
    (shown,) = (p for p in (lab.folder / "reports/site-a").iterdir() if p.is_dir())
    assert shown.name.endswith("-000001")
    assert not is_up_to_date(lab.study)
    assert night(lab.study, Watcher())
    assert lab.rows("select site_id from marts.session order by 1") == [("site-a",), ("site-b",)]
    assert is_up_to_date(lab.study)
