"""The life of findings, told in plain tables: a row per finding, a column per night."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyadlog.assets.event_log.log import Head
from dyadlog.assets.intake.receive import open_log
from dyadlog.assets.quality.facts import Outcome
from dyadlog.assets.quality.life import Life, lives
from dyadlog.assets.quality.record import (
    FILE,
    FORMAT,
    Answer,
    Record,
    Told,
    finding_id,
    read_earlier,
    to_text,
)
from dyadlog.assets.quality.report import gather, night_of, write_site_reports
from dyadlog.assets.warehouse.build import build_all
from tests.conftest import Lab, client, rating, session

CODE, SUBJECT = "TOTAL_DISAGREES", ""
# A cell: violations; 0 passed; `-` nothing to look at; `.` not there; `?` its check crashed.
OUTCOMES: dict[str, Outcome] = {"-": "not_applicable", "0": "pass"}


def night(nth: int, cell: str, answer: str = "", **more: Any) -> Record:
    """One night of a study in which the finding is about `x`."""
    told = []
    if cell == "?":
        told.append(Told("CHECK_CRASHED", "x", "crashed", 0, 0))
    elif cell != ".":
        told.append(Told(CODE, "x", OUTCOMES.get(cell, "warn"), 0 if cell == "-" else int(cell), 20))
    answers = [Answer(finding_id(CODE, "x"), "source_is_right", "data_manager", answer)] if answer else []
    day = f"2026-03-{nth:02d}"
    given: dict[str, Any] = {"site_commit": nth, "code_version": "1", "rules_digest": "r"}
    return Record(
        FORMAT,
        "site-a",
        f"{day}-{nth:06d}",
        nth,
        f"{day}T02:00:00+00:00",
        findings=told,
        answers=answers,
        shares=[],
        **given | more,
    )


def life(cells: str, answers: str = "") -> Life | None:
    """The finding after some nights: `cells` night by night, `answers` the site's answer as it stands each night."""
    said = answers.split() or [""] * len(cells.split())
    nights = [
        night(nth, cell, "" if token == "-" else token)
        for nth, (cell, token) in enumerate(zip(cells.split(), said, strict=True), 1)
    ]
    return next((one for one in lives(nights[-1], nights[:-1]) if one.code == CODE), None)


@pytest.mark.parametrize(
    ("cells", "status", "nights_open", "since", "reopened"),
    [
        ("3", "new", 1, 1, 0),
        ("0 3", "new", 1, 2, 0),
        (". 3", "new", 1, 2, 0),
        ("3 3", "persisting", 2, 1, 0),
        ("3 5 4", "persisting", 3, 1, 0),
        ("3 0", "resolved", 1, 1, 0),
        ("3 .", "resolved", 1, 1, 0),
        ("3 -", "resolved", 1, 1, 0),
        ("3 0 0", "resolved", 1, 1, 0),
        ("3 0 2", "reopened", 1, 3, 1),
        ("3 0 2 2", "persisting", 2, 3, 1),
        ("3 0 2 0 1", "reopened", 1, 5, 2),
        ("3 ?", "unknown", 1, 1, 0),  # nothing is known of it: not resolved
        ("3 ? 3", "persisting", 2, 1, 0),
        ("3 ? 0", "resolved", 1, 1, 0),
        ("3 0 ?", "resolved", 1, 1, 0),
    ],
)
def test_standing_night_by_night(
    cells: str, status: str, nights_open: int, since: int, reopened: int
) -> None:
    told = life(cells)
    assert told is not None
    assert (told.status, told.nights_open, told.since, told.times_reopened) == (
        status,
        nights_open,
        f"2026-03-{since:02d}",
        reopened,
    )


@pytest.mark.parametrize("cells", ["0", "-", ".", "0 0 -", "?"])
def test_what_was_never_open_has_no_life(cells: str) -> None:
    assert life(cells) is None


@pytest.mark.parametrize(
    ("cells", "answers", "status"),
    [
        ("3 3", "- a", "acknowledged"),
        ("3 3 3", "- a a", "acknowledged"),
        ("3 2", "- a", "acknowledged"),  # less of the same
        ("3 4", "- a", "persisting"),  # it saw three
        ("3 3 4", "- a a", "persisting"),
        ("3 3 4 3", "- a a a", "persisting"),  # once lapsed, lapsed
        ("3 3 4 4", "- a a b", "acknowledged"),  # answered again
        ("3 3 0", "- a a", "resolved"),
        ("3 3 0 3", "- a a a", "reopened"),  # an answer to the past
        ("3 3 ? 3", "- a a a", "acknowledged"),
        ("3 3 3", "- a -", "persisting"),  # taken back
        ("3", "a", "acknowledged"),
    ],
)
def test_an_answer_holds_until_the_finding_grows_or_is_resolved(
    cells: str, answers: str, status: str
) -> None:
    told = life(cells, answers)
    assert told is not None
    assert told.status == status
    assert (told.note is not None) == (status == "acknowledged")


def test_an_answer_to_a_code_is_one_to_all_that_it_said() -> None:
    def told(nth: int, *subjects: str) -> Record:
        one = night(nth, ".")
        answers = [Answer(finding_id(CODE, ""), "under_review", None, "a")] if nth > 1 else []
        return replace(
            one, findings=[Told(CODE, subject, "warn", 1, 9) for subject in subjects], answers=answers
        )

    found = {
        one.subject: one.status
        for one in lives(told(3, "x", "y", "z"), [told(1, "x", "y"), told(2, "x", "y")])
    }
    assert found == {"x": "acknowledged", "y": "acknowledged", "z": "new"}


@pytest.mark.parametrize(
    ("changed", "cause"),
    [
        ({"site_commit": 2}, "data"),
        ({"site_commit": 1, "rules_digest": "s"}, "rules"),
        ({"site_commit": 1, "code_version": "2"}, "rules"),
        ({"site_commit": 2, "rules_digest": "s"}, "both"),
        ({"site_commit": 1}, "study"),
    ],
)
def test_a_change_of_the_rules_is_told_from_one_of_the_data(changed: dict[str, Any], cause: str) -> None:
    before = night(1, "3")
    for cell in ("4", "0", "."):
        (told,) = lives(night(2, cell, **changed), [before])
        assert told.cause == cause
    (told,) = lives(night(2, "3", **changed), [before])
    assert told.cause is None


def test_the_night_before_the_crash_is_what_is_compared_with() -> None:
    same, more = life("3 ? 3"), life("3 ? 4")
    assert same is not None
    assert (same.cause, same.n_before) == (None, 3)
    assert more is not None
    assert (more.cause, more.history) == ("data", [3, None, 4])


@given(st.lists(st.sampled_from(["0", "1", "2", ".", "-", "?"]), min_size=1, max_size=12))
def test_open_and_resolved_never_mix(cells: list[str]) -> None:
    told = life(" ".join(cells))
    was_open = any(cell in "12" for cell in cells)
    assert (told is not None) == was_open
    if told:
        known = [cell for cell in cells if cell != "?"]
        assert (told.status == "resolved") == (known[-1] in ".-0")
        assert (told.resolved_on is not None) == (told.status == "resolved")
        assert len(told.history) == len(cells)


@given(st.permutations(["a", "b", "c", "d"]))
def test_findings_of_one_night_do_not_depend_on_their_order(order: list[str]) -> None:
    def nights(subjects: list[str]) -> list[Life]:
        one = [
            replace(night(nth, "."), findings=[Told(CODE, s, "fail", nth, None) for s in subjects])
            for nth in (1, 2)
        ]
        return lives(one[1], one[:1])

    assert nights(order) == nights(sorted(order))


def test_records_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    site = tmp_path / "site-a"
    nights = [night(nth, cell, "t") for nth, cell in enumerate(["3", "0", "?", "-", "."], 1)]
    for one in nights:
        (site / one.night).mkdir(parents=True)
        (site / one.night / FILE).write_text(to_text(one), "utf-8")
    assert read_earlier(site, 6) == (nights, [])
    assert read_earlier(site, 3) == (nights[:2], [])
    assert read_earlier(tmp_path / "site-b", 6) == ([], [])


def test_a_record_that_is_gone_or_broken_is_named_and_left_out(tmp_path: Path) -> None:
    site = tmp_path / "site-a"
    for nth in range(1, 6):
        one = night(nth, "3")
        (site / one.night).mkdir(parents=True)
        (site / one.night / FILE).write_text(to_text(one), "utf-8")
    names = sorted(entry.name for entry in site.iterdir())
    (site / names[0] / FILE).unlink()
    (site / names[1] / FILE).write_text("{")
    other = json.loads((site / names[2] / FILE).read_text())
    (site / names[2] / FILE).write_text(json.dumps(other | {"site_id": "site-b"}))
    (site / "notes").mkdir()
    found, lost = read_earlier(site, 9)
    assert [one.night for one in found] == names[3:]
    assert lost == names[:3]


def test_a_finding_lives_through_real_nights(lab: Lab) -> None:
    """A wrong total: told, answered through the landing folder, answered to no more when it grows, corrected, resolved."""
    name = finding_id("TOTAL_DISAGREES", "")

    def wrong(number: int, total: float | None = 77, **more: Any) -> dict[str, Any]:
        return rating(number, 3, total=total, **more)

    def answer(event_id: str) -> dict[str, Any]:
        said = {"finding_id": name, "note": "under_review"}
        return {
            "event_id": event_id,
            "event_type": "finding.acknowledged",
            "actor_role": "data_manager",
            "payload": said,
        }

    right = {"revision": 2, "op": "correct", "reason_code": "data_entry_error"}
    nights: list[list[dict[str, Any]]] = [
        [client(), session(1), session(2), session(3), wrong(1), wrong(2, 36)],
        [answer("answer-Qx77")],
        [wrong(2, 76, **right), wrong(3)],
        [wrong(1, 36, **right), wrong(2, 36, **right | {"revision": 3}), wrong(3, 36, **right)],
        [client("c2")],
    ]
    told = []
    for nth, events in enumerate(nights):
        lab.drop("site-a", f"{nth}.ndjson", events)
        build = lab.night().path
        night_id = night_of(build)
        page = write_site_reports(gather(lab.study, build, night_id, sites=["site-a"]))[0]
        report = json.loads((page.parent / "report.json").read_bytes())
        told.append(next((one for one in report["changes"]["findings"] if one["finding_id"] == name), {}))
        card = next((card for card in report["todo"] if card["code"] == "TOTAL_DISAGREES"), {})
        assert card.get("finding_id") == (name if nth < 3 else None)
        assert "Qx77" not in "".join(
            path.read_text("utf-8") for path in page.parent.iterdir() if path.is_file()
        )
        lab.clock += timedelta(days=1)
    assert [(one["status"], one["n"]) for one in told] == [
        ("new", 1),
        ("acknowledged", 1),
        ("persisting", 3),
        ("resolved", 0),
        ("resolved", 0),
    ]
    assert [one["cause"] for one in told] == [None, None, "data", "data", None]
    assert (told[1]["note"], told[2]["lapsed"]) == ("under_review", "under_review")
    assert told[3]["resolved_on"] == told[4]["resolved_on"] == "2026-03-17"
    # An earlier night that is run again replaces its own record and knows nothing of what came after.
    site = lab.folder / "reports/site-a"
    before = {path: path.read_bytes() for path in site.rglob("findings.json")}
    log = open_log(lab.study)
    build = build_all(lab.study, log, as_of=Head(2, log.digest_of(2))).path
    write_site_reports(gather(lab.study, build, night_of(build), sites=["site-a"]))
    assert {path: path.read_bytes() for path in site.rglob("findings.json")} == before
