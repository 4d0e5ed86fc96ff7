"""Night after night on a study with planted faults: every fault asks once, and findings live as a plain model of them says."""

from __future__ import annotations

import csv
import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dyadlog.assets.intake.receive import open_log, receive
from dyadlog.assets.quality.report import gather, night_of, write_site_reports
from dyadlog.assets.simulation.delivery import received_on
from dyadlog.assets.simulation.simulate import Plan, simulate
from dyadlog.assets.simulation.truth import truth_table
from dyadlog.assets.warehouse.build import build_all
from dyadlog.schemas.faults import faults
from dyadlog.schemas.simulation import Parameters
from dyadlog.schemas.study import Study, read_study
from tests.conftest import LONG

PLAN = (
    Plan(seed=3, sites=6, clients=240, nights=30, faults="realistic")
    if LONG
    else Plan(seed=7, sites=3, clients=60, nights=3, faults="realistic")
)
# What the fold calls a fact, and the code under which a site is told.
CODES = {"conflict": "FACT_CONFLICT"}


@dataclass
class Expected:
    """A finding as a site's data manager would keep it on paper."""

    status: str = ""
    answered: bool = False
    allowed: tuple[int, int] = (0, 0)
    before: tuple[int, int] | None = None
    history: list[str] = field(default_factory=list)

    def night(self, now: tuple[int, int] | None, *, answer: bool) -> None:
        """`now` is how bad it is tonight: severity and count; None if it is not open."""
        if now is None:
            self.status, self.answered = "resolved", False
        else:
            if answer:
                self.answered, self.allowed = True, self.before or now
            # An answer holds for what the site was told, not for more, nor for worse.
            self.answered = self.answered and now[0] <= self.allowed[0] and now[1] <= self.allowed[1]
            was_open = self.before is not None
            fresh = "reopened" if self.history else "new"
            self.status = "acknowledged" if self.answered else "persisting" if was_open else fresh
        self.before = now
        self.history.append(self.status)


Nights = list[dict[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lives")
    simulate(folder, Parameters(), PLAN)
    return folder


@pytest.fixture(scope="module")
def nights(box: Path) -> tuple[Nights, list[dict[str, set[str]]]]:
    """The reports of every night by site, and the findings that each site answered in that night's delivery."""
    study, dice = _copy(box), random.Random(5)
    told: Nights = []
    answers: list[dict[str, set[str]]] = []
    delivered = truth_table(box, "delivery").sort("night", "site_id", "file_name")
    for night, files in _by_night(delivered):
        for site_id, name in files:
            target = study.folder / "landing" / site_id / name
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(box / "landing" / site_id / name, target)
        answers.append(
            {s: _answers(study, s, told[-1][s], night, dice) for s in study.site_ids} if told else {}
        )
        log = open_log(study)
        for _ in receive(study, log, clock=lambda night=night: received_on(night)):  # type: ignore[misc]
            pass
        built = build_all(study, log)
        pages = write_site_reports(gather(study, built.path, night_of(built.path)))
        told.append(
            {
                site_id: json.loads(page.with_name("report.json").read_bytes()) | {"page": page}
                for site_id, page in zip(study.site_ids, pages, strict=True)
            }
        )
    return told, answers


def _copy(box: Path) -> Study:
    folder = box / "told"
    folder.mkdir()
    (folder / "study.yaml").write_bytes((box / "study.yaml").read_bytes())
    if (box / "mappings").is_dir():
        shutil.copytree(box / "mappings", folder / "mappings")
    return read_study(folder)


def _by_night(delivered: Any) -> Iterator[tuple[int, list[tuple[str, str]]]]:
    for (night,), files in delivered.partition_by("night", as_dict=True, maintain_order=True).items():
        yield int(night), files.select("site_id", "file_name").rows()


def _answers(study: Study, site_id: str, told: dict[str, Any], night: int, dice: random.Random) -> set[str]:
    """Sites answer some of what they were told the night before, in the next delivery."""
    still = [
        one["finding_id"]
        for one in told["changes"]["findings"]
        if one["status"] in ("new", "persisting", "reopened")
    ]
    chosen = {name for name in still if dice.random() < 0.25}
    events = [
        {
            "event_id": f"answer-{night}-{name}",
            "event_type": "finding.acknowledged",
            "recorded_day": night,
            "payload": {"finding_id": name, "note": "under_review"},
        }
        for name in sorted(chosen)
    ]
    if events:
        path = study.folder / "landing" / site_id / f"answers-{night:03d}.ndjson"
        path.write_text("".join(json.dumps(event) + "\n" for event in events))
    return chosen


def test_every_planted_fault_of_form_has_one_card(box: Path, nights: tuple[Nights, Any]) -> None:
    last = nights[0][-1]
    kinds = faults().faults
    looked_at = Counter[str]()
    for row in truth_table(box, "fault").iter_rows(named=True):
        fault = kinds[row["fault"]]
        if fault.kind != "conformance":
            continue
        report = last[row["site_id"]]
        wanted = {CODES.get(code, code) for code in fault.codes}
        if fault.shows == "line":
            # A line has the one code, and nothing else that could come of it.
            with report["page"].with_name("corrections.csv").open() as file:
                wanted = {
                    one["code"]
                    for one in csv.DictReader(file)
                    if (one["file"], one["line"]) == (row["file_name"], str(row["line_number"]))
                }
            assert wanted <= fault.codes, row
        asks = [card for card in report["todo"] if card["code"] in wanted]
        assert len(asks) == 1, (row, asks)
        looked_at[row["fault"]] += 1
    assert sum(looked_at.values()) > (80 if LONG else 10)
    assert len(looked_at) > (12 if LONG else 6)


def test_findings_live_as_a_plain_model_says(nights: tuple[Nights, list[dict[str, set[str]]]]) -> None:
    worst = ("crashed", "warn", "fail")
    seen = Counter[str]()
    told, answers = nights
    for site_id in told[0]:
        known: dict[str, Expected] = {}
        for reports, given in zip(told, answers, strict=True):
            lives = {one["finding_id"]: one for one in reports[site_id]["changes"]["findings"]}
            for name in lives.keys() | known.keys():
                one = lives.get(name)
                now = (worst.index(one["outcome"]), one["n"]) if one and one["resolved_on"] is None else None
                known.setdefault(name, Expected()).night(now, answer=name in given.get(site_id, set()))
                assert one is not None, "a finding was forgotten"
                assert one["status"] == known[name].status, (site_id, name, known[name].history)
            seen.update(one.status for one in known.values())
    wanted = {"new", "persisting", "acknowledged", "resolved"} | ({"reopened"} if LONG else set())
    assert wanted <= set(seen), seen
