"""Law: after any number of nights with all that can happen, what is known is what a plain model says."""

from __future__ import annotations

from pathlib import Path

from dyadlog.assets.event_log.verify import verify
from dyadlog.assets.intake.receive import open_log, open_quarantine, open_witness
from tests.conftest import LONG, Lab
from tests.soak import STUDY, Soak

NIGHTS = 3_650 if LONG else 60
CHECKPOINTS = 20


def test_nights_of_sixteen_sites(tmp_path: Path) -> None:
    soak = Soak(Lab(tmp_path / "study", STUDY))
    for number in range(1, NIGHTS + 1):
        soak.run_night()
        if number % (NIGHTS // CHECKPOINTS) == 0:
            assert soak.found() == soak.expected(), f"after night {number}"
    study = soak.lab.study
    log = open_log(study)
    checked = verify(log, witness=open_witness(study), quarantine=open_quarantine(study))
    assert checked == len(log.commits())
    kinds = [commit.kind for commit in log.commits()]
    for kind in ("delivery", "void", "erasure", "compaction"):
        assert kinds.count(kind) > 3, kind
    states = [state for _, _, _, state, _ in soak.expected()]
    assert {"active", "conflict", "retracted"} == set(states)
    lying = {Path(stored.segment.name).name for stored in log.layout.files()}
    assert len(lying) < NIGHTS * 2  # of four times as many deliveries
    assert lying <= {path.name for path in (study.folder / "log/segments").iterdir()}
