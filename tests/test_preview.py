"""`dyadlog rules preview`: what today's rules would have changed, and nothing of the study is touched."""

from __future__ import annotations

import re
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dyadlog.assets.event_log.history import head_at
from dyadlog.assets.intake.receive import open_block_list, open_log, open_quarantine
from dyadlog.assets.intake.release import release_held
from dyadlog.assets.intake.void import void
from dyadlog.assets.quality.expectations import run_expectations
from dyadlog.assets.quality.preview import preview
from dyadlog.assets.quality.report import gather, night_of, write_site_reports
from dyadlog.assets.warehouse.build import build_all
from tests.conftest import Lab, client, phq, rating, session

OLD = "thresholds: {rupture_min_ratings: 3}"


def told_night(lab: Lab) -> None:
    """A night as sites are told of it."""
    lab.receive()
    built = build_all(lab.study, open_log(lab.study), expectations=run_expectations)
    write_site_reports(gather(lab.study, built.path, night_of(built.path)))
    lab.clock += timedelta(days=1)


def deliver(lab: Lab) -> None:
    """Two sites, three nights, held-back lines, a conflict, a copy, a voided delivery, one of which lines were released."""
    dated = session(3, occurred_at="2026-03-01T10:00:00Z")
    lab.drop("site-a", "1.ndjson", [client(), *(session(n) for n in (1, 2)), phq(1, 2), dated])
    lab.drop("site-b", "1.ndjson", [client(), session(1), phq(1, 1)])
    lab.drop("site-b", "broken.csv", "a;b\n")
    told_night(lab)
    lab.drop("site-a", "2.ndjson", [phq(1, 2), phq(2, 3), phq(2, [9] * 9, event_id="high"), session(9)])
    lab.drop("site-b", "2.ndjson", [phq(1, 3), session(2, study_day=7), rating(2, 3)])
    lab.drop("site-b", "2-copy.ndjson", [phq(1, 3), session(2, study_day=7), rating(2, 3)])
    told_night(lab)
    lab.drop("site-a", "wrong.ndjson", [client("x"), session(1, "x"), phq(1, [9] * 9, "x")])
    told_night(lab)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def studied(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    lab = Lab(tmp_path_factory.mktemp("preview") / "study")
    deliver(lab)
    return lab


def found(lab: Lab, against: str) -> list[tuple[Any, ...]]:
    log = open_log(lab.study)
    seen = preview(lab.study, log, head_at(log, against))
    return [
        (d.site_id, d.code, d.subject, d.how, d.then and d.then.n, d.now and d.now.n)
        for d in seen.differences
    ]


def test_the_same_rules_change_nothing_and_other_rules_what_they_should(studied: Lab, dyadlog) -> None:  # type: ignore[no-untyped-def]
    lab = studied
    before = snapshot(lab.folder)
    same = dyadlog("rules", "preview", "-s", lab.folder)
    assert (same.code, "No finding would appear, vanish or change." in same.out) == (0, True), (
        same.out + same.err
    )
    assert "7 deliveries were judged again" in same.out
    study = lab.folder / "study.yaml"
    text = study.read_text()
    try:
        # a threshold of the marts, and a rule of the intake
        study.write_text(
            text.replace(OLD, "thresholds: {rupture_min_ratings: 3, completeness_min_expected: 1}")
            + "time_basis: absolute\nlegal_basis: consent\n"
        )
        old = dyadlog("rules", "preview", "-s", lab.folder, "--against", "3")
        assert old.code == 1
        shown = {tuple(line.split()[:3]) for line in old.out.splitlines()}
        assert ("vanishes", "site-a", "TIME_NOT_ALLOWED") in shown
        assert ("appears", "site-a", "DESIGN_INCOMPLETE") in shown
        assert ("appears", "site-b", "DESIGN_INCOMPLETE") in shown
        assert re.search(r"vanishes +site-a +TIME_NOT_ALLOWED +occurred_at +fail 1 of 5 +-", old.out)
        assert "3 deliveries were judged again" in old.out
        assert dyadlog("rules", "preview", "-s", lab.folder, "--against", "3").out == old.out
        assert ("site-a", "TIME_NOT_ALLOWED", "occurred_at", "vanishes", 1, None) in found(lab, "7")
    finally:
        study.write_text(text)
    assert snapshot(lab.folder) == before


def test_mistakes_are_told(lab: Lab, dyadlog) -> None:  # type: ignore[no-untyped-def]
    none = dyadlog("rules", "preview", "-s", lab.folder)
    assert (none.code, "nothing was delivered yet" in none.err) == (2, True)
    lab.drop("site-a", "1.ndjson", [client()])
    lab.receive()
    never = dyadlog("rules", "preview", "-s", lab.folder)
    assert (never.code, "no report up to commit 1" in never.err) == (2, True)
    late = dyadlog("rules", "preview", "-s", lab.folder, "--against", "2")
    assert (late.code, "the log holds commits 1 to 1" in late.err) == (2, True)
    assert "Example:" in dyadlog("rules", "preview", "--help").out


@pytest.mark.long
def test_voids_releases_and_files_that_are_gone(studied: Lab, dyadlog, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    shutil.copytree(studied.folder, tmp_path / "copy", symlinks=True)
    lab = Lab(tmp_path / "copy")
    lab.clock = studied.clock
    study = lab.folder / "study.yaml"
    study.write_text(study.read_text() + "time_basis: absolute\nlegal_basis: consent\n")
    log = open_log(lab.study)
    act: dict[str, Any] = {"by": "A. Bee", "why": "test", "clock": lambda: lab.clock, "code_version": "v"}
    quarantine, blocked = open_quarantine(lab.study), open_block_list(lab.study)
    looked_at = list(release_held(lab.study, log, quarantine, blocked=blocked, **act))
    (released,) = [one for one in looked_at if one.commit]
    assert released.waiting == 1
    void(lab.study, log, "site-a", str(log.head().seq - 1), **act)
    told_night(lab)
    head = str(log.head().seq)
    # A file that could not be read was received once more when the rules changed; by one set of rules it comes once.
    assert found(lab, head) == [("site-b", "FILE_NO_MAPPING", "", "changes", 2, 1)]
    for gone in ("site-a/1.ndjson", "site-b/2.ndjson", "site-b/broken.csv"):
        (lab.folder / "landing" / gone).unlink()
    assert found(lab, head) == []
    told = dyadlog("rules", "preview", "-s", lab.folder)
    assert told.code == 0
    assert "The files of 4 of them are not in the landing folders any more" in told.out
