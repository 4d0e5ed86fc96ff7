"""What the log remembers locally saves reading and decides nothing: lost, damaged or stale, the answers are the same."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from dyadlog.assets.event_log.cache import CommitCache
from dyadlog.assets.event_log.keys import KeyIndex
from dyadlog.assets.event_log.log import EventLog
from dyadlog.assets.event_log.records import Segment
from dyadlog.assets.event_log.storage import LocalStorage, Scratch
from dyadlog.assets.intake.receive import at_work, merge_segments, open_log
from dyadlog.orchestration.night import night
from dyadlog.orchestration.watch import Watcher
from dyadlog.schemas.errors import LogDamagedError
from tests.conftest import LONG, Lab, client, phq, session
from tests.test_erasure import prove, take_out
from tests.test_log import NOW, append

DAMAGES = 5_000 if LONG else 200


class Counting(LocalStorage):
    """Counts what is read."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads: Counter[str] = Counter()

    def read(self, name: str) -> bytes:
        self.reads[name] += 1
        return super().read(name)


def log_at(folder: Path) -> EventLog:
    return EventLog(Counting(folder / "log"), cache=CommitCache(Scratch(folder / "commits.ndjson")))


def reads(log: EventLog) -> int:
    assert isinstance(log.storage, Counting)
    return log.storage.reads.total()


@pytest.fixture
def grown(tmp_path: Path) -> Path:
    log = log_at(tmp_path)
    for number in range(50):
        append(log, f"{number}")
    return tmp_path


def test_a_start_reads_one_commit_however_long_the_log_is(grown: Path) -> None:
    plain = EventLog(LocalStorage(grown / "log"))
    for ask in (EventLog.head, EventLog.commits):
        log = log_at(grown)
        assert ask(log) == ask(plain)
        assert reads(log) == 1
    log = log_at(grown)
    append(log, "next")
    assert reads(log) == 1
    assert [c.receipt.file_name for c in log_at(grown).commits()] == [*map(str, range(50)), "next"]


def test_a_night_reads_no_commit_twice(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 4):
        lab.drop("site-a", f"{number}.ndjson", [client(), session(number)])
        lab.receive()
    told: Counter[str] = Counter()
    real = LocalStorage.read

    def read(self: LocalStorage, name: str) -> bytes:
        told[name] += name.startswith("commits/")
        return real(self, name)

    monkeypatch.setattr(LocalStorage, "read", read)
    lab.drop("site-b", "1.ndjson", [client(), session(1)])
    assert night(lab.study, Watcher())
    assert told["commits/000000000001.json"] == told["commits/000000000002.json"] == 0
    opened = told["commits/000000000003.json"] + told["commits/000000000004.json"]
    assert 0 < opened <= 8  # the newest is compared at each start, no other is read


def test_the_time_of_receipt_never_goes_back_after_a_start(grown: Path) -> None:
    log = log_at(grown)
    append(log, "late", NOW + timedelta(days=9))
    again = log_at(grown)
    append(again, "early", NOW)
    assert again.commits()[-1].received_at == again.commits()[-2].received_at


def _flip(data: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :]


DAMAGE: list[Callable[[bytes, random.Random], bytes]] = [
    _flip,
    lambda data, dice: data[: dice.randrange(len(data))],
    lambda data, dice: data + data[-dice.randrange(1, len(data)) :],
    lambda data, dice: data[dice.randrange(1, len(data)) :],
    lambda data, dice: b"\n".join(dice.sample(data.splitlines(), len(data.splitlines()))) + b"\n",
]


def test_a_damaged_cache_changes_no_answer(grown: Path) -> None:
    dice = random.Random(0)
    cache = grown / "commits.ndjson"
    good, plain = cache.read_bytes(), EventLog(LocalStorage(grown / "log"))
    for number in range(DAMAGES):
        bad = dice.choice(DAMAGE)(good, dice)
        cache.write_bytes(bad)
        log = log_at(grown)
        if number % 2:
            assert log.head() == plain.head()
        assert log.commits() == plain.commits()
        assert log.head() == plain.head()
        assert list(log_at(grown).commits()) == list(plain.commits())


def test_two_that_write_the_cache_at_once(grown: Path) -> None:
    one, two = log_at(grown), log_at(grown)
    one.head(), two.head()
    for number in range(3):
        append(one, f"one-{number}")
        append(two, f"two-{number}")
    assert [c.receipt.file_name for c in log_at(grown).commits()[-6:]] == [
        f"{who}-{number}" for number in range(3) for who in ("one", "two")
    ]


def test_an_older_log_in_its_place_is_seen(grown: Path) -> None:
    for seq in range(41, 51):
        (grown / f"log/commits/{seq:012d}.json").unlink()
    assert log_at(grown).head().seq == 40
    shutil.rmtree(grown / "log")
    assert log_at(grown).head().seq == 0
    append(log_at(grown), "new")
    assert [c.receipt.file_name for c in log_at(grown).commits()] == ["new"]


def test_the_cache_hides_no_break_in_what_is_new(grown: Path) -> None:
    log_at(grown).head()
    stranger = EventLog(LocalStorage(grown / "stranger"))
    for number in range(51):
        append(stranger, f"x{number}")
    forged = (grown / "stranger/commits/000000000051.json").read_bytes()
    (grown / "log/commits/000000000051.json").write_bytes(forged)
    with pytest.raises(LogDamagedError, match=r"000000000051.json: does not continue"):
        log_at(grown).head()


# --- which segments hold a fact ---------------------------------------------------------------


def _facts(numbers: range) -> pl.DataFrame:
    return pl.DataFrame({"event_id": [f"e{n}" for n in numbers], "revision": [n % 3 + 1 for n in numbers]})


@pytest.fixture
def site(tmp_path: Path) -> list[Segment]:
    segments = []
    for number in range(6):
        path = tmp_path / f"{number:064x}"
        facts = _facts(range(number * 10, number * 10 + 10))
        statuses = ["accepted"] * 9 + ["duplicate"]
        facts.with_columns(pl.Series("status", statuses)).write_parquet(path)
        segments.append(Segment(path.name, path.stat().st_size, 10))
    return segments


def test_the_index_names_the_segments_that_hold_a_fact(site: list[Segment], tmp_path: Path) -> None:
    opened: list[str] = []

    def locate(name: str) -> str:
        opened.append(name)
        return str(tmp_path / name.split("/")[1].split(".")[0])

    index = KeyIndex(tmp_path / "keys")
    assert index.holding("a", site[:4], _facts(range(15, 35, 10)), locate) == site[1:3]
    assert len(opened) == 4
    assert index.holding("a", site, _facts(range(49, 51)), locate) == site[5:]  # 49 is a duplicate there
    assert opened == [s.name for s in site]
    assert KeyIndex(tmp_path / "keys").holding("a", site, _facts(range(100, 110)), locate) == []
    assert len(opened) == 6
    assert index.holding("a", [], _facts(range(5)), locate) == []
    assert index.holding("a", site, _facts(range(0)), locate) == []


def test_a_damaged_index_changes_no_answer(site: list[Segment], tmp_path: Path) -> None:
    dice, index = random.Random(0), KeyIndex(tmp_path / "keys")
    path = tmp_path / "keys/a.keys"

    def ask(segments: list[Segment]) -> list[Segment]:
        return index.holding(
            "a", segments, _facts(range(15, 35, 10)), lambda name: str(tmp_path / name[9:].split(".")[0])
        )

    ask(site)
    good = path.read_bytes()
    for _ in range(DAMAGES // 5):
        path.write_bytes(dice.choice(DAMAGE)(good, dice))
        assert ask(site) == site[1:3]
        assert path.read_bytes()[: len(good)] == good
    assert ask(site[::-1]) == [site[2], site[1]]


def test_deliveries_are_judged_alike_with_and_without_memory(lab: Lab, tmp_path: Path) -> None:
    dice, other = random.Random(1), Lab(tmp_path / "other")
    events = [client(f"c{n}") for n in range(5)] + [
        event for n in range(8) for event in (session(n + 1, f"c{n % 5}"), phq(n + 1, n % 4, f"c{n % 5}"))
    ]
    for number in range(8):
        chosen = [dice.choice(events) | {"study_day": dice.choice([1, 1, 2])} for _ in range(6)]
        receipts = []
        for each in (lab, other):
            each.drop("site-a", f"{number}.ndjson", chosen)
            receipts.append([(c.receipt, c.kind) for c in each.receive()])
        assert receipts[0] == receipts[1]
        shutil.rmtree(other.folder / "state")  # the other one forgets everything after each night
    assert sum(c.receipt.duplicate for c in open_log(lab.study).commits()) > 5


@pytest.mark.parametrize("kind", ["compaction", "erasure"])
def test_a_change_that_its_writer_did_not_live_to_remember_is_read(lab: Lab, kind: str) -> None:
    """What replaces segments rests on commits that are remembered only."""
    for number in range(1, 4):
        lab.drop("site-a", f"{number}.ndjson", [client(), client("gone"), session(number)])
        lab.receive()
    assert len(open_log(lab.study).commits()) == 3
    memory = lab.folder / "state" / "log"
    before = {path: path.read_bytes() for path in memory.rglob("*") if path.is_file()}
    if kind == "erasure":
        take_out(lab, "gone")
    else:
        log = open_log(lab.study)
        with at_work(lab.study, log):
            assert merge_segments(lab.study, log, "site-a", 2, clock=lambda: lab.clock)
    shutil.rmtree(memory, ignore_errors=True)
    for path, data in before.items():  # as a writer leaves it that dies behind its commit
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    log = open_log(lab.study)
    assert log.head().seq == 4
    assert len(log.layout.files("site-a")) == (1 if kind == "compaction" else 3)
    lab.drop("site-a", "4.ndjson", [session(4)])
    assert [commit.seq for commit in lab.receive()] == [5]
    assert prove(lab) == 5
