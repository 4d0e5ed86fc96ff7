"""The event log: accounts, chain, races, damage."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from dyadlog.assets.event_log.log import EventLog, RacedError
from dyadlog.assets.event_log.records import Receipt
from dyadlog.assets.event_log.storage import ABANDONED_SECONDS, LocalStorage
from dyadlog.assets.event_log.verify import verify
from dyadlog.assets.intake.receive import open_log
from dyadlog.schemas.errors import LogDamagedError
from tests.conftest import Lab, client, session

NOW = datetime(2026, 3, 14, 2, 0, tzinfo=UTC)


def receipt(name: str = "a") -> Receipt:
    return Receipt("site-a", name, 1, name * 64)


def append(log: EventLog, name: str = "a", when: datetime = NOW) -> None:
    log.append(
        log.head(), "rejected_file", receipt(name), received_at=when, rules_digest="r", code_version="v"
    )


def test_put_takes_a_name_once(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path / "log")
    assert storage.put("a/b", b"first")
    assert not storage.put("a/b", b"second")
    assert storage.read("a/b") == b"first"
    assert storage.names("tmp") == []


def test_of_two_writers_that_saw_the_same_head_one_starts_again(tmp_path: Path) -> None:
    one, two = (EventLog(LocalStorage(tmp_path)) for _ in range(2))
    seen = two.head()
    append(one)
    with pytest.raises(RacedError):
        two.append(seen, "rejected_file", receipt("b"), received_at=NOW, rules_digest="r", code_version="v")
    append(two, "b")
    assert [c.receipt.file_name for c in two.commits()] == ["a", "b"]
    assert verify(two) == 2


def test_the_time_of_receipt_never_goes_back(tmp_path: Path) -> None:
    log = EventLog(LocalStorage(tmp_path))
    append(log, "a", NOW)
    append(log, "b", NOW.replace(year=2020))
    assert log.commits()[1].received_at == log.commits()[0].received_at


def test_two_nights_at_once_do_no_harm(lab: Lab) -> None:
    for number in range(6):
        lab.drop("site-a", f"{number}.ndjson", [client(), session(number + 1)])
    nights = [threading.Thread(target=lab.receive) for _ in range(3)]
    for one in nights:
        one.start()
    for one in nights:
        one.join()
    log = open_log(lab.study)
    assert verify(log) == 6
    assert sum(c.receipt.accepted for c in log.commits()) == 7  # one client, six sessions
    assert sum(c.receipt.duplicate for c in log.commits()) == 5


def test_the_quiet_path_knows_a_file_without_reading_it(lab: Lab) -> None:
    lab.drop("site-a", "1.ndjson", [client()])
    assert len(lab.receive()) == 1
    (lab.folder / "state" / "landing.json").unlink(missing_ok=True)
    assert lab.receive() == []  # without the memory of stamps, the log knows the bytes


def test_a_refused_file_is_looked_at_again_when_the_rules_change(lab: Lab) -> None:
    lab.drop("site-a", "visits.csv", "client;number\nc1;1\n")
    assert [c.receipt.codes for c in lab.receive()] == [{"FILE_NO_MAPPING": 1}]
    assert lab.receive() == []
    (lab.folder / "m.yaml").write_text(
        'files: "*.csv"\nseparator: ";"\nevents:\n  - event_type: session.held\n    event_id: {text: "v-{number}"}\n'
        "    envelope: {client_id: {column: client}, session_number: {column: number}}\n"
    )
    text = (lab.folder / "study.yaml").read_text()
    (lab.folder / "study.yaml").write_text(text.replace("{id: site-a}", "{id: site-a, mappings: [m.yaml]}"))
    assert [c.receipt.accepted for c in lab.receive()] == [1]


def test_what_a_killed_writer_left_is_cleared_away_once_it_is_surely_abandoned(lab: Lab) -> None:
    tmp = lab.folder / "log/tmp"
    tmp.mkdir(parents=True)
    for name, age in (("old", 2 * ABANDONED_SECONDS), ("young", 0)):
        (tmp / name).write_text("half")
        os.utime(tmp / name, (time.time() - age,) * 2)
    lab.receive()
    assert [p.name for p in tmp.iterdir()] == ["young"]


def damaged(lab: Lab) -> str:
    with pytest.raises(LogDamagedError) as error:
        verify(open_log(lab.study))
    return str(error.value)


@pytest.fixture
def told(lab: Lab) -> Lab:
    lab.drop("site-a", "1.ndjson", [client(), session(1)])
    lab.drop("site-b", "1.ndjson", [client(), session(1)])
    lab.drop("site-c", "1.ndjson", [client(), session(2)])
    lab.receive()
    return lab


def test_a_changed_segment_is_found_and_named(told: Lab) -> None:
    commit = open_log(told.study).commits()[1]
    path = told.folder / "log" / commit.segments[0].name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert damaged(told) == f"commit 2: {commit.segments[0].name} has other bytes than were written"


def test_a_missing_segment_is_found(told: Lab) -> None:
    commit = open_log(told.study).commits()[0]
    (told.folder / "log" / commit.segments[0].name).unlink()
    assert damaged(told) == f"commit 1: {commit.segments[0].name} is missing"


def test_a_changed_commit_breaks_the_chain(told: Lab) -> None:
    path = told.folder / "log/commits/000000000001.json"
    path.write_text(path.read_text().replace('"accepted":2', '"accepted":1'))
    assert damaged(told) == "commits/000000000001.json: has other bytes than were written"


def test_a_missing_commit_is_found(told: Lab) -> None:
    (told.folder / "log/commits/000000000002.json").unlink()
    assert damaged(told) == "commits/000000000002.json is missing although later ones are there"
