"""Over many studies: what went in is found again, within chance. `make recovery`."""

from __future__ import annotations

from pathlib import Path

import pytest

from dyadlog.assets.simulation.recovery import recover
from dyadlog.assets.simulation.score import run_nights
from dyadlog.assets.simulation.simulate import Plan, simulate
from dyadlog.assets.warehouse.build import run_models, working_database
from dyadlog.orchestration.score import MOST_OFF
from dyadlog.schemas.simulation import Parameters


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 21))
def test_a_typical_study_gives_back_what_went_in(seed: int, tmp_path: Path) -> None:
    p = Parameters("typical")
    simulate(tmp_path, p, Plan(seed, p.preset.sites, p.preset.clients, nights=1, faults="realistic"))
    study, log = run_nights(tmp_path)
    with working_database(study) as duck:
        for _ in run_models(duck, study, log, log.head()):
            pass
        found = recover(duck, tmp_path)
    for one in found:
        print(
            f"seed {seed}: {one.name}: model {one.parameter}, true {one.true:.3f}, found {one.found:.3f}, "
            f"SE {one.se:.3f}, off {one.off:.2f}"
        )
    assert len(found) == 6
    assert [one for one in found if one.off > MOST_OFF] == []
    given = [(one.parameter, one.found, one.se) for one in found if one.parameter is not None]
    assert [abs(value - parameter) <= MOST_OFF * se for parameter, value, se in given] == [True]
