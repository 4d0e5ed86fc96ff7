"""A laboratory: a study in a temporary folder, nights without Dagster, plain tables out."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, settings

from dyadlog.assets.event_log.records import Commit
from dyadlog.assets.intake.receive import open_log, receive
from dyadlog.assets.warehouse.build import Build, build_all
from dyadlog.orchestration import cli
from dyadlog.schemas.study import Study, read_study

LONG = "DYADLOG_LONG" in os.environ  # set by `make test-long`

settings.register_profile(
    "ci", deadline=None, suppress_health_check=list(HealthCheck), derandomize=True, print_blob=True
)
settings.load_profile("ci")

SHARED = Path(os.environ.get("DYADLOG_SHARED", Path(__file__).parents[2] / "shared"))
needs_shared = pytest.mark.skipif(
    not (SHARED / "data").is_dir(), reason="real data (../shared or $DYADLOG_SHARED) is not here"
)

ROOT = Path(__file__).parents[1]


def tracked() -> list[Path]:
    """The files that belong to the project."""
    if not shutil.which("git"):
        pytest.skip("git is not here (Debian: apt install git)")
    command = ["git", "ls-files", "-z"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in found.split("\0") if (ROOT / name).is_file()]


STUDY = """\
study: lab
title: Laboratory
sites: [{id: site-a}, {id: site-b}, {id: site-c}]
measures:
  - {id: wai_client, instrument: wai-sr, version: client-1-5, rater: client, occasion: post_session, role: alliance}
  - {id: phq, instrument: phq-9, version: "1", rater: client, occasion: pre_session, role: outcome}
thresholds: {rupture_min_ratings: 3}
"""


class Lab:
    """A study folder with short ways to drop files, run nights and look at tables."""

    def __init__(self, folder: Path, study: str = STUDY) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "study.yaml").write_text(study)
        self.clock = datetime(2026, 3, 14, 2, 0, tzinfo=UTC)

    @property
    def study(self) -> Study:
        return read_study(self.folder)

    def drop(self, site: str, name: str, content: bytes | str | Iterable[dict[str, Any]]) -> Path:
        path = self.folder / "landing" / site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            content = content.encode()
        if not isinstance(content, bytes):
            content = "".join(json.dumps(event) + "\n" for event in content).encode()
        path.write_bytes(content)
        return path

    def receive(self) -> list[Commit]:
        found = receive(self.study, open_log(self.study), clock=lambda: self.clock)
        return [commit for _, commit in found if commit is not None]

    def build(self, threads: int | None = None) -> Build:
        return build_all(self.study, open_log(self.study), threads=threads)

    def night(self) -> Build:
        self.receive()
        return self.build()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str((self.folder / "marts/current.duckdb").resolve()), read_only=True) as duck:
            return duck.execute(sql).fetchall()


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path / "study")


@pytest.fixture(scope="session")
def shared() -> Path:
    return SHARED


class Ran:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def dyadlog(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Run the real command in this process."""

    def run(*words: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["dyadlog", *map(str, words)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = int(stop.code or 0)
        told = capfd.readouterr()
        return Ran(code, told.out, told.err)

    return run


def client(name: str = "c1", **more: Any) -> dict[str, Any]:
    return {"event_id": f"enrol-{name}", "event_type": "client.enrolled", "client_id": name, **more}


def session(number: int, client_id: str = "c1", kind: str = "held", **more: Any) -> dict[str, Any]:
    return {
        "event_id": f"{kind}-{client_id}-{number}",
        "event_type": f"session.{kind}",
        "client_id": client_id,
        "session_number": number,
        "study_day": number * 7,
        **more,
    }


def rating(
    number: int | None,
    answers: list[int | None] | int,
    client_id: str = "c1",
    *,
    instrument: str = "wai-sr",
    version: str = "client-1-5",
    rater: str = "client",
    occasion: str = "post_session",
    items: int = 12,
    total: float | None = None,
    **more: Any,
) -> dict[str, Any]:
    given = [answers] * items if isinstance(answers, int) else answers
    payload: dict[str, Any] = {
        "instrument": instrument,
        "version": version,
        "rater": rater,
        "occasion": occasion,
        "items": {str(position): answer for position, answer in enumerate(given, 1)},
    }
    if total is not None:
        payload["claimed_total"] = total
    return {
        "event_id": f"{instrument}-{rater}-{occasion}-{client_id}-{number}",
        "event_type": "instrument.completed",
        "client_id": client_id,
        "session_number": number,
        "payload": payload,
        **more,
    }


def phq(number: int, answers: list[int | None] | int, client_id: str = "c1", **more: Any) -> dict[str, Any]:
    given = [answers] * 9 if isinstance(answers, int) else answers
    return rating(number, given, client_id, instrument="phq-9", version="1", occasion="pre_session", **more)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start with the long ones, so that no worker ends up alone with them."""
    items.sort(key=lambda item: item.path.name not in ("test_kill.py", "test_order.py"))
