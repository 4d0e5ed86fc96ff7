"""The installed wheel: `dyadlog` works outside the checkout, under its own name only."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.conftest import tracked

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a clean copy, so that nothing untracked slips in."""
    copy = tmp_path_factory.mktemp("copy")
    for path in tracked():
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    out = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(out),
        str(copy),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return next(out.glob("*.whl"))


def test_the_wheel_takes_one_name_only(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"dyadlog"}
    assert any(name.endswith("marts/session.sql") for name in names)
    assert {name for name in names if name.startswith("dyadlog/examples/quickstart/")} == {
        f"dyadlog/{path.relative_to(ROOT)}" for path in (ROOT / "examples/quickstart").rglob("*.*")
    }
    questions = {path.name for path in (ROOT / "examples/questions").glob("*.sql")}
    assert len(questions) == 32
    assert {f"dyadlog/examples/questions/{name}" for name in questions} <= set(names)
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "assets").rglob("*.py")}
    assert {f"dyadlog/{name}" for name in modules} <= set(names)
    assert not any("/tests/" in name for name in names)


def test_it_runs_a_night_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True)
    site = next((tmp_path / "env/lib").glob("python3*/site-packages"))
    zipfile.ZipFile(wheel).extractall(site)
    # The libraries come from this environment; its own editable `dyadlog` hook does not (a .pth does not nest).
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = tmp_path / "env/bin/python"
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "DYADLOG"))}

    def run(*words: str) -> str:
        command = [str(python), "-m", "dyadlog.orchestration.cli", *words]
        done = subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = subprocess.run(
        [str(python), "-c", "import dyadlog.schemas; print(dyadlog.schemas.__file__)"],
        cwd=tmp_path,
        env=clean,
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(tmp_path) in where.stdout
    run("init", "study", "--example", "quickstart")
    assert "site" in run("night", "-s", "study")
    assert run("ask", "29", "-s", "study", "--csv").startswith("definition,")
    answer = run("sql", "-s", "study", "--csv", "select count(*) > 0 as any from marts.session")
    assert answer == "any\ntrue\n" or answer == "any\nTrue\n"
