"""Law: a copy made in the documented order, while nights go on, can take the study's place; any other is refused."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dyadlog.assets.intake.receive import open_log, receive
from dyadlog.assets.intake.restore import Copy, check_copy
from dyadlog.orchestration.cli import app
from dyadlog.orchestration.examples import init_study
from dyadlog.schemas.errors import LogDamagedError, UserError
from dyadlog.schemas.study import read_study
from tests.conftest import Lab, client
from tests.test_erasure import take_out
from tests.test_verify import deliver

README = (Path(__file__).parents[1] / "README.md").read_text()
PARTS = re.search(r"for part in (.*); do", README)
ORDER = PARTS[1].split() if PARTS else []
NAMED = ("mappings", "instruments")  # by study.yaml, if it names any


def copy_part(folder: Path, target: Path, part: str) -> None:
    (target / part).parent.mkdir(parents=True, exist_ok=True)
    if not (folder / part).exists():
        return
    if (folder / part).is_dir():
        shutil.copytree(folder / part, target / part, ignore=shutil.ignore_patterns("tmp"))
    else:
        shutil.copy2(folder / part, target / part)


def copied(lab: Lab, target: Path, order: list[str]) -> Lab:
    """Copy part by part, with a night between any two."""
    deliver(lab, 1)
    for number, part in enumerate(order, 2):
        copy_part(lab.folder, target, part)
        deliver(lab, number)
    return Lab(target)


def check(lab: Lab, copy: Lab) -> Copy:
    return check_copy(lab.study, copy.study, open_log(lab.study))


def test_a_copy_made_while_nights_go_on_is_whole_and_can_be_restored(lab: Lab, tmp_path: Path) -> None:
    copy = copied(lab, tmp_path / "copy", ORDER)
    assert ORDER[0] == "study.yaml"
    # Five nights had run when the commits were copied, of two deliveries each.
    assert check(lab, copy) == Copy(10, 8, [])
    shown = CliRunner().invoke(app, ["restore-check", str(copy.folder), "-s", str(lab.folder)])
    assert shown.output == "The copy is whole: 10 commits; the study has 8 newer ones\n"
    before = lab.build().digest
    shutil.copytree(lab.folder / "landing", copy.folder / "landing")
    copy.receive()
    assert copy.build().digest == before


def test_a_copy_of_before_an_erasure_is_refused(lab: Lab, tmp_path: Path) -> None:
    copy = copied(lab, tmp_path / "copy", ORDER)
    lab.drop("site-a", "gone.ndjson", [client("gone")])
    lab.receive()
    take_out(lab, "gone")
    assert check(lab, copy).erasures == [20]
    shown = CliRunner().invoke(app, ["restore-check", str(copy.folder), "-s", str(lab.folder)])
    assert shown.exit_code == 1
    assert "It must not take the study's place: it holds who was erased by commit 20." in shown.output


def test_the_example_study_is_copied_with_all_that_it_names(tmp_path: Path) -> None:
    init_study(tmp_path / "study", "quickstart", None)
    study = read_study(tmp_path / "study")
    commits = sum(1 for _ in receive(study, open_log(study)))
    for part in ORDER:
        copy_part(study.folder, tmp_path / "copy", part)
    assert check_copy(study, read_study(tmp_path / "copy"), open_log(study)) == Copy(commits, 0, [])


def test_a_copy_in_another_order_is_refused(lab: Lab, tmp_path: Path) -> None:
    order = [part for part in ORDER if part != "log/segments"]
    copy = copied(lab, tmp_path / "copy", [order[0], "log/segments", *order[1:]])
    with pytest.raises(LogDamagedError, match=r"^commit \d+: segments/\w+\.parquet is missing$"):
        check(lab, copy)


@pytest.mark.parametrize("part", [part for part in ORDER if part not in ("study.yaml", *NAMED)])
def test_a_copy_without_a_part_is_refused(lab: Lab, tmp_path: Path, part: str) -> None:
    copy = copied(lab, tmp_path / "copy", ORDER)
    shutil.rmtree(copy.folder / part)
    with pytest.raises(LogDamagedError, match="missing"):
        check(lab, copy)


def test_a_copy_of_another_log_is_refused(lab: Lab, tmp_path: Path) -> None:
    copy = copied(lab, tmp_path / "copy", ORDER)
    other = Lab(tmp_path / "other")
    deliver(other, 1)
    with pytest.raises(LogDamagedError, match=r"^commit 10 of the copy is not in the log of "):
        check(other, copy)
    (copy.folder / "study.yaml").write_text("study: else\ntitle: E\nsites: [{id: site-a}]\n")
    with pytest.raises(UserError, match="a copy of the study else, not of lab"):
        check(lab, copy)
