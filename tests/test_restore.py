"""Law: a copy made in the documented order, while nights go on, can take the study's place; any other is refused."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dyadlog.assets.intake.receive import open_log
from dyadlog.assets.intake.restore import Copy, check_copy
from dyadlog.orchestration.cli import app
from dyadlog.schemas.errors import LogDamagedError, UserError
from tests.conftest import Lab
from tests.test_verify import deliver

README = (Path(__file__).parents[1] / "README.md").read_text()
PARTS = re.search(r"for part in (.*); do", README)
ORDER = PARTS[1].split() if PARTS else []


def copy_part(lab: Lab, target: Path, part: str) -> None:
    (target / part).parent.mkdir(parents=True, exist_ok=True)
    if (lab.folder / part).is_dir():
        shutil.copytree(lab.folder / part, target / part, ignore=shutil.ignore_patterns("tmp"))
    else:
        shutil.copy2(lab.folder / part, target / part)


def copied(lab: Lab, target: Path, order: list[str]) -> Lab:
    """Copy part by part, with a night between any two."""
    deliver(lab, 1)
    for number, part in enumerate(order, 2):
        copy_part(lab, target, part)
        deliver(lab, number)
    return Lab(target)


def check(lab: Lab, copy: Lab) -> Copy:
    return check_copy(lab.study, copy.study, open_log(lab.study))


def test_a_copy_made_while_nights_go_on_is_whole_and_can_be_restored(lab: Lab, tmp_path: Path) -> None:
    copy = copied(lab, tmp_path / "copy", ORDER)
    assert ORDER[0] == "study.yaml"
    # Three nights had run when the commits were copied, of two deliveries each.
    assert check(lab, copy) == Copy(6, 8)
    shown = CliRunner().invoke(app, ["restore-check", str(copy.folder), "-s", str(lab.folder)])
    assert shown.output == "The copy is whole: 6 commits; the study has 8 newer ones\n"
    before = lab.build().digest
    shutil.copytree(lab.folder / "landing", copy.folder / "landing")
    copy.receive()
    assert copy.build().digest == before


def test_a_copy_in_another_order_is_refused(lab: Lab, tmp_path: Path) -> None:
    order = [part for part in ORDER if part != "log/segments"]
    copy = copied(lab, tmp_path / "copy", [order[0], "log/segments", *order[1:]])
    with pytest.raises(LogDamagedError, match=r"^commit \d+: segments/\w+\.parquet is missing$"):
        check(lab, copy)


@pytest.mark.parametrize("part", [part for part in ORDER if part != "study.yaml"])
def test_a_copy_without_a_part_is_refused(lab: Lab, tmp_path: Path, part: str) -> None:
    copy = copied(lab, tmp_path / "copy", ORDER)
    shutil.rmtree(copy.folder / part)
    with pytest.raises(LogDamagedError, match="missing"):
        check(lab, copy)


def test_a_copy_of_another_log_is_refused(lab: Lab, tmp_path: Path) -> None:
    copy = copied(lab, tmp_path / "copy", ORDER)
    other = Lab(tmp_path / "other")
    deliver(other, 1)
    with pytest.raises(LogDamagedError, match=r"^commit 6 of the copy is not in the log of "):
        check(other, copy)
    (copy.folder / "study.yaml").write_text("study: else\ntitle: E\nsites: [{id: site-a}]\n")
    with pytest.raises(UserError, match="a copy of the study else, not of lab"):
        check(lab, copy)
