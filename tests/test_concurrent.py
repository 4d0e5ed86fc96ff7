"""Law: nights that run at the same time, and deliveries that come while one runs, do no harm."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dyadlog.assets.warehouse.build import Step
from dyadlog.orchestration.night import is_up_to_date, night
from dyadlog.orchestration.watch import Watcher
from tests.conftest import Lab, client, phq, session
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
