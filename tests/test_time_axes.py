"""Law: what was known at a commit or on a day can be built again at any time; each fact tells its own history."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from dyadlog.assets.event_log.history import head_at, history
from dyadlog.assets.intake.receive import open_log
from dyadlog.assets.warehouse.build import build_all
from dyadlog.orchestration.cli import app
from dyadlog.schemas.errors import UserError
from tests.conftest import LONG, Lab, client, phq, session
from tests.test_order import story

NIGHTS = 30 if LONG else 4


def test_marts_as_of_a_commit_are_those_of_that_night(lab: Lab) -> None:
    dice, digests = random.Random(3), {}
    for number in range(NIGHTS):
        for site, told in story(2).items():
            lab.drop(site, f"{number}.ndjson", [client(f"n{number}"), *dice.sample(told, len(told) // 3)])
        lab.clock = datetime(2026, 3, number + 1, 2, tzinfo=UTC)
        night = lab.night()
        digests[night.head] = night.digest
    log = open_log(lab.study)
    current = (lab.folder / "marts/current.duckdb").resolve()
    for number, (head, digest) in enumerate(digests.items()):
        assert head_at(log, str(head.seq)) == head
        assert head_at(log, f"2026-03-{number + 1:02}") == head
        assert build_all(lab.study, log, as_of=head).digest == digest
    assert len(set(digests.values())) == NIGHTS
    assert (lab.folder / "marts/current.duckdb").resolve() == current
    assert head_at(log, "2027-01-01") == log.head()


@pytest.mark.parametrize("when", ["0", "7", "2020-01-01", "yesterday", "2026-13-01", ""])
def test_a_time_that_the_log_does_not_know(lab: Lab, when: str) -> None:
    lab.drop("site-a", "1.ndjson", [client()])
    lab.receive()
    with pytest.raises(UserError, match=f"^--as-of {when}: "):
        head_at(open_log(lab.study), when)


def test_sql_and_build_as_of(lab: Lab) -> None:
    lab.drop("site-a", "1.ndjson", [client(), session(1)])
    lab.receive()
    lab.drop("site-a", "2.ndjson", [session(2), session(3)])
    lab.night()
    count = ["sql", "select count(*) as n from marts.session", "--csv", "-s", str(lab.folder)]
    told = [CliRunner().invoke(app, [*count, *more]).output for more in ([], ["--as-of", "1"])]
    assert told == ["n\n3\n", "n\n1\n"]
    built = CliRunner().invoke(app, ["build", "--as-of", "1", "-s", str(lab.folder)])
    assert built.output.strip().endswith(".duckdb")
    assert len(list((lab.folder / "marts/as-of").iterdir())) == 1


def test_the_history_of_a_fact(lab: Lab) -> None:
    first = phq(1, 2)
    second = phq(1, 3, revision=2, op="correct", reason_code="data_entry_error")
    lab.drop("site-a", "1.ndjson", [client(), first, phq(2, 1)])
    lab.drop("site-b", "1.ndjson", [first])
    lab.receive()
    lab.drop("site-a", "2.ndjson", [second, {"event_id": first["event_id"]}])
    lab.drop("site-a", "3.ndjson", [first])
    lab.receive()
    told = history(open_log(lab.study), "site-a", first["event_id"])
    assert [(s.file_name, s.line_number, s.revision, s.status, s.op) for s in told] == [
        ("1.ndjson", 2, 1, "accepted", "assert"),
        ("2.ndjson", 1, 2, "accepted", "correct"),
        ("3.ndjson", 1, 1, "duplicate", None),
    ]
    assert told[1].reason_code == "data_entry_error"
    assert history(open_log(lab.study), "site-c", first["event_id"]) == []
    shown = CliRunner().invoke(app, ["history", "site-a", first["event_id"], "-s", str(lab.folder)])
    assert shown.exit_code == 0
    assert "correct instrument.completed" in shown.output
    for words, said in ((("site-x", "e"), "no site"), (("site-a", "e"), "has said nothing")):
        with pytest.raises(UserError, match=said):
            CliRunner().invoke(app, ["history", *words, "-s", str(lab.folder)], catch_exceptions=False)


def test_a_clock_that_jumps_changes_no_mart_and_never_goes_back_in_the_log(lab: Lab) -> None:
    start = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
    shifts = [timedelta(0), timedelta(days=-1), timedelta(days=3650), timedelta(hours=1), timedelta(hours=-1)]
    other = Lab(lab.folder.parent / "other")
    for number, shift in enumerate(shifts, 1):
        for each, clock in ((lab, start + shift), (other, start)):
            each.clock = clock
            each.drop("site-a", f"{number}.ndjson", [client(), session(number), phq(number, number % 4)])
            each.receive()
    received = [commit.received_at for commit in open_log(lab.study).commits()]
    assert received == sorted(received)
    assert lab.build().digest == other.build().digest
