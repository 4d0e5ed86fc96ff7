"""Law: an erased person is gone from every live byte, stays out, and is missed by nobody else's figures."""

from __future__ import annotations

import gzip
import json
import random
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from dyadlog.assets.erasure.certificate import Certificate
from dyadlog.assets.erasure.person import erase_person
from dyadlog.assets.event_log import segment, storage
from dyadlog.assets.event_log.log import EventLog
from dyadlog.assets.event_log.quarantine import Held
from dyadlog.assets.event_log.records import Act, Change, Gone, Less, Receipt, Swap
from dyadlog.assets.event_log.rewrite import leaves_by_part, proved
from dyadlog.assets.event_log.verify import verify
from dyadlog.assets.intake.receive import (
    at_work,
    merge_segments,
    open_log,
    open_quarantine,
    open_witness,
)
from dyadlog.assets.intake.void import void
from dyadlog.assets.warehouse import inputs
from dyadlog.orchestration.cli import app
from dyadlog.orchestration.night import night
from dyadlog.orchestration.watch import Watcher
from dyadlog.schemas.errors import LogDamagedError, StudyError, UserError
from tests.conftest import LONG, STUDY, Lab, client, phq, rating, session

CASES = 1_000 if LONG else 15
GONE = "zq7-Gone"
MARK = "zqMark"


def life(name: str, dice: random.Random, mark: str = "") -> list[dict[str, Any]]:
    """Facts of one client with corrections, retractions, repetitions and lines that are refused."""
    own = f"{mark}{name}"
    facts = [client(name, payload={"arm": f"arm-{mark}"} if mark else {})]
    for number in range(1, dice.randint(2, 5)):
        facts += [session(number, name), phq(number, dice.randint(0, 3), name), rating(number, 3, name)]
    facts = [{**fact, "event_id": f"{own}-{nth}"} for nth, fact in enumerate(facts)]
    for fact in dice.sample(facts, 2):
        facts.append({**fact, "revision": 2, "op": "retract", "reason_code": "other"})
    facts += dice.sample(facts, 2)
    facts.append({"event_id": f"{own}-bad", "client_id": name, "event_type": f"{mark}no.such"})
    facts.append({"event_id": facts[1]["event_id"], "event_type": "no client"})
    return facts


def lines(facts: Iterable[dict[str, Any]], name: str | None = None) -> str:
    """NDJSON; of one client, a line that is no JSON at all as well."""
    text = "".join(json.dumps(fact) + "\n" for fact in facts)
    return text + (f'{{"client_id": "{name}", {MARK}\n' if name else "")


def told_by(path: Path) -> Iterator[str]:
    """All that a file says: its bytes, and what they say when unpacked."""
    data = path.read_bytes()
    yield data.decode("latin-1")
    if path.suffix == ".gz":
        yield gzip.decompress(data).decode()
    if path.suffix == ".parquet":
        frame = pl.read_parquet(path)
        yield from (str(frame[name].to_list()) for name in frame.columns)
    if path.suffix == ".duckdb" and not path.is_symlink():
        with duckdb.connect(str(path), read_only=True) as duck:
            tables = duck.execute("select table_schema || '.' || table_name from information_schema.tables")
            for (table,) in tables.fetchall():
                yield str(duck.execute(f"select * from {table}").fetchall())


def holding(folder: Path, words: Iterable[str] = (GONE, MARK)) -> set[str]:
    """Files of a study folder that say one of these words."""
    pattern = re.compile("|".join(map(re.escape, words)))
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix()
        for path in files
        if any(pattern.search(text) for text in [str(path.name), *told_by(path)])
    }


def prove(lab: Lab) -> int:
    study = lab.study
    return verify(open_log(study), witness=open_witness(study), quarantine=open_quarantine(study))


def nothing(_log: EventLog) -> None:
    """No marts are made anew."""


def take_out(lab: Lab, name: str = GONE, site: str = "site-a", **more: Any) -> tuple[Certificate, Path]:
    return erase_person(
        lab.study, site, name, by="steward", why="asked", rebuild=nothing, clock=lambda: lab.clock, **more
    )


def facts_of(lab: Lab) -> list[tuple[Any, ...]]:
    """Accepted facts, without what depends on the packaging."""
    log = open_log(lab.study)
    with duckdb.connect() as duck:
        inputs.load_log(duck, log, log.commits())
        names = ", ".join([*segment.ENVELOPE, "payload"])
        return duck.execute(f"select {names} from log.fact where status = 'accepted' order by all").fetchall()


# --- the law ----------------------------------------------------------------------------------


@given(seed=st.integers(0, 10**6), compacted=st.booleans(), again=st.booleans())
@settings(max_examples=CASES)
def test_an_erased_person_is_gone_and_nobody_else_is(
    tmp_path_factory: pytest.TempPathFactory, seed: int, compacted: bool, again: bool
) -> None:
    folder, dice = tmp_path_factory.mktemp("erasure"), random.Random(seed)
    lab, never = Lab(folder / "study"), Lab(folder / "never")
    theirs = life(GONE, dice, MARK)
    others = [fact for name in ("c1", "zq7", "c3") for fact in life(name, dice)]
    # Somebody else's correction of what was first said about the person, and somebody else's repetition of its key.
    others.append({**theirs[1], "client_id": "c1", "event_id": "shared", "revision": 2, "op": "correct"})
    others[-1]["reason_code"] = "wrong_client"
    theirs.append({**theirs[1], "event_id": "shared"})
    every = [(True, fact) for fact in theirs] + [(False, fact) for fact in others]
    dice.shuffle(every)
    cut = dice.randint(1, len(every) - 1)
    for number, part in enumerate((every[:cut], every[cut:])):
        name = GONE if dice.random() < 0.5 else None
        lab.drop("site-a", f"{number}.ndjson", lines((fact for _, fact in part), name))
        never.drop("site-a", f"{number}.ndjson", lines(fact for is_theirs, fact in part if not is_theirs))
        lab.receive()
        never.receive()
    lab.drop("site-b", "1.ndjson", lines(life("c1", dice)))
    lab.receive()
    if compacted:
        merge_segments(lab.study, open_log(lab.study), "site-a", 2, clock=lambda: lab.clock)
        open_witness(lab.study).update(open_log(lab.study))
    assert holding(lab.folder)
    take_out(lab)
    assert holding(lab.folder) == set()
    assert prove(lab) == len(open_log(lab.study).commits())
    mine = [row for row in facts_of(lab) if row[segment.ENVELOPE.index("site_id")] == "site-a"]
    assert mine == facts_of(never)
    if again:  # the same lines in new files: counted, and nothing more
        lab.drop("site-a", "again.ndjson", lines(theirs, GONE))
        (commit,) = lab.receive()
        assert commit.receipt.balances
        assert commit.receipt.held_back == commit.receipt.lines == commit.receipt.codes["PERSON_ERASED"]
        assert holding(lab.folder) == {"landing/site-a/again.ndjson"}
        assert [row for row in facts_of(lab) if row in set(mine)] == facts_of(never)
        take_out(lab)
        assert holding(lab.folder) == set()
        assert prove(lab) == len(open_log(lab.study).commits())


def test_the_whole_study_folder_after_real_nights(lab: Lab, dyadlog: Any) -> None:
    dice = random.Random(5)
    others = {name: life(name, dice) for name in ("c1", "c2")}
    asks = {"event_id": f"{MARK}-ends", "event_type": "consent.withdrawn", "client_id": GONE, "study_day": 5}
    asks["payload"] = {"mode": "erase"}
    never = Lab(lab.folder.parent / "never")
    for number, facts in enumerate(others.values()):
        theirs = (
            [asks] if number else [client(GONE), session(1, GONE), phq(1, 2, GONE), *life(GONE, dice, MARK)]
        )
        lab.drop("site-a", f"{number}.ndjson", lines([*facts, *theirs], GONE))
        lab.drop("site-a", f"packed-{number}.ndjson.gz", gzip.compress(lines(theirs).encode()))
        never.drop("site-a", f"{number}.ndjson", lines(facts))
        for each in (lab, never):
            each.drop("site-b", f"{number}.ndjson", lines(others["c1"]))
        _ = lab.night() if number else night(lab.study, Watcher())  # with Dagster's run history once
    never.night()
    (lab.folder / "releases" / "2026-a").mkdir(parents=True)
    log = open_log(lab.study)
    orphan = segment.encode(
        segment.read(log.storage.read(log.layout.files("site-a")[0].segment.name)).head(9)
    )
    log.put_segment(orphan, 9)  # a night was killed after this
    open_quarantine(lab.study).keep("site-a", [Held(1, 0, [], MARK)])  # and after this
    (lab.folder / "log/tmp/half").write_bytes(orphan[:99] + GONE.encode())
    (lab.folder / "quarantine/last-error.txt").write_text(GONE)
    before = holding(lab.folder)
    assert {name.split("/")[0] for name in before} == {
        "landing",
        "log",
        "marts",
        "quarantine",
        "reports",
        "state",
    }
    dyadlog("build", "--as-of", "3", "-s", lab.folder)
    assert dyadlog("plot", "dyad", "site-a", GONE, "-s", lab.folder, "--as-of", "3").code == 0
    assert GONE in (lab.folder / "pictures/site-a" / f"{GONE}.html").read_text()
    waiting = dyadlog("erase", "-s", lab.folder)
    assert (waiting.code, waiting.out) == (1, f"site-a {GONE}: asked for by a withdrawal of consent\n")

    done = dyadlog("erase", "site-a", GONE, "--by", "A. Steward", "--why", "asked", "-s", lab.folder)
    assert (done.code, done.err) == (0, "")
    assert holding(lab.folder) == set()
    (page,) = (lab.folder / "erasures").iterdir()
    assert GONE not in done.out
    for said in (
        "A. Steward",
        "release 2026-a was cut before",
        "removed: landing/site-a/packed-1.ndjson.gz",
        "removed: pictures/",
    ):
        assert said in done.out
        assert said.removeprefix("removed: ") in page.read_text()
    assert prove(lab) == len(open_log(lab.study).commits())
    digests = [each.rows("select marts_digest from meta.build") for each in (lab, never)]
    assert digests[0] == digests[1]
    assert dyadlog("status", "-s", lab.folder).code == 0
    assert dyadlog("erase", "-s", lab.folder).out == "Nothing waits to be erased\n"

    lab.drop("site-a", "again.ndjson", lines(life(GONE, random.Random(9), MARK), GONE))
    lab.night()
    assert lab.rows("select marts_digest from meta.build") == digests[1]
    assert holding(lab.folder) == {"landing/site-a/again.ndjson"}
    assert dyadlog("erase", "-s", lab.folder).out.startswith("landing/site-a/again.ndjson: holds lines of")
    kept, _ = take_out(lab, keep_landing=True)
    assert kept.todo[0].startswith("landing/site-a/again.ndjson still holds the person's lines")
    take_out(lab)
    assert holding(lab.folder) == set()


# --- stopped in the middle --------------------------------------------------------------------


class Killed(BaseException):
    """The process ended here."""


def test_an_erasure_stopped_at_any_call_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepared(name: str) -> Lab:
        lab, dice = Lab(tmp_path / name), random.Random(1)
        lab.drop("site-a", "1.ndjson", lines([*life(GONE, dice, MARK), *life("c1", dice)], GONE))
        lab.receive()
        lab.drop("site-a", "2.ndjson", lines([*life("c2", dice), phq(9, 1, GONE)]))
        lab.receive()
        return lab

    calls, stop_at = 0, -1
    real = {name: getattr(storage.PosixDisk, name) for name in ("create", "link", "unlink", "sync_folder")}

    def counted(name: str) -> Any:
        def call(self: storage.PosixDisk, *args: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == stop_at:
                raise Killed
            return real[name](self, *args)

        return call

    whole = prepared("whole")
    for name in real:
        monkeypatch.setattr(storage.PosixDisk, name, counted(name))
    take_out(whole)
    total, expected = calls, facts_of(whole)
    moments = range(1, total + 1) if LONG else sorted(random.Random(0).sample(range(1, total + 1), 12))
    for moment in moments:
        stop_at = -1
        lab = prepared(f"at-{moment}")
        calls, stop_at = 0, moment
        with pytest.raises(Killed):
            take_out(lab)
        stop_at = -1
        with suppress(UserError):  # "is still there, run a night to finish": no other complaint
            prove(lab)
        if moment % 2:
            lab.receive()  # a night finishes what was begun in the log
            prove(lab)
        take_out(lab)
        assert holding(lab.folder) == set()
        assert prove(lab) == 3
        assert facts_of(lab) == expected


# --- forged erasures --------------------------------------------------------------------------


def forged(lab: Lab, how: str) -> None:
    """An "erasure" made with the study's own key that does more, or less, than it says."""
    study = lab.study
    log, witness = open_log(study), open_witness(study)
    (stored,) = log.layout.files("site-a")
    frame = proved(log.storage, stored)
    theirs, rest = frame.filter(pl.col("client_id") == GONE), frame.filter(pl.col("client_id") != GONE)
    leaves = {part: [leaf.hex() for leaf in found.values()] for part, found in leaves_by_part(theirs).items()}
    gone, rows = [Gone(0, len(theirs), tuple(leaves[0]))], len(theirs)
    if how == "another row is changed":
        rest = rest.with_columns(
            pl.when(pl.int_range(pl.len()) == 2).then(pl.lit("{}")).otherwise("payload").alias("payload")
        )
    elif how == "a row is added":
        rest = pl.concat([rest, rest.tail(1)])
    elif how == "another row goes too":
        rest = rest.head(-1)
    elif how == "rows are given to another salt":
        rest = rest.with_columns(pl.lit(rest["salt"][0]).alias("salt"))
    elif how == "the order is another":
        rest = rest.reverse()
    elif how == "a hash is made up":
        gone = [Gone(0, len(theirs), ("0" * 64,))]
    elif how == "the count is wrong":
        rows -= 1
    elif how == "all rows go":
        rest = rest.clear()
    new = log.put_segment(segment.encode(rest), len(rest)) if len(rest) else None
    change = Change(
        (Swap((stored.segment.sha256,), new, tuple(gone)),), less=(Less(1, rows, rows, rows, 0, 0),)
    )
    log.append(
        log.head(),
        "erasure",
        Receipt("site-a", "", 0, ""),
        received_at=lab.clock,
        rules_digest="r",
        code_version="v",
        act=Act("x", "y", (1,)),
        change=change,
    )
    witness.update(log)
    log.storage.remove(stored.segment.name)


@pytest.mark.parametrize(
    "how",
    [
        "honest",
        "another row is changed",
        "a row is added",
        "another row goes too",
        "rows are given to another salt",
        "the order is another",
        "a hash is made up",
        "the count is wrong",
        "all rows go",
    ],
)
def test_a_forged_erasure_is_found_even_if_it_is_signed(lab: Lab, how: str) -> None:
    facts = [
        client(),
        client("c2"),
        client(GONE),
        *(phq(n, n % 4, name) for n in range(5) for name in ("c1", GONE)),
    ]
    lab.drop("site-a", "1.ndjson", facts)
    lab.receive()
    forged(lab, how)
    if how == "honest":
        assert prove(lab) == 2
        return
    with pytest.raises(LogDamagedError, match=r"^commit 2: .*(commit 1|than it says)"):
        prove(lab)


def test_damage_to_what_an_erasure_left_is_found(lab: Lab) -> None:
    dice = random.Random(2)
    bad = [{"event_id": f"bad-{name}", "client_id": name, "event_type": "no.such"} for name in (GONE, "c1")]
    lab.drop("site-a", "1.ndjson", lines([*life(GONE, dice, MARK), *life("c1", dice), *bad]))
    lab.receive()
    take_out(lab)
    (left,) = (lab.folder / "log/segments").iterdir()
    (sealed,) = (lab.folder / "quarantine/site-a").iterdir()
    for path in (left, sealed):
        data = path.read_bytes()
        half = len(data) // 2
        for broken in (data[:-1], data + b"x", data[:half] + bytes([data[half] ^ 1]) + data[half + 1 :]):
            path.write_bytes(broken)
            with pytest.raises(LogDamagedError, match=path.name):
                prove(lab)
        path.unlink()
        with pytest.raises(LogDamagedError, match=f"{path.name} is missing"):
            prove(lab)
        path.write_bytes(data)
    assert prove(lab) == 2


# --- what the steward is told -----------------------------------------------------------------


def test_mistakes_of_the_steward(lab: Lab) -> None:
    lab.drop("site-a", "1.ndjson", [client(), session(1)])
    lab.receive()
    before = holding(lab.folder, ["c1"])
    for site, name, by, why, said in (
        ("site-x", "c1", "a", "b", "site-x: no site of this study; its sites are site-a, site-b, site-c"),
        ("site-a", "c2", "a", "b", "site-a: the log holds nothing of this client"),
        ("site-a", "c1", "", "b", "--by: say something"),
        ("site-a", "c1", "a", "c1 asked", "--why: must not name the person"),
    ):
        with pytest.raises(UserError, match=f"^{re.escape(said)}"):
            erase_person(lab.study, site, name, by=by, why=why, rebuild=nothing)
    with (lab.folder / "study.yaml").open("a") as file:
        file.write("consent: {withdrawals: [stop_future, exclude]}\n")
    with pytest.raises(UserError, match=r"^study.yaml: `consent.withdrawals` does not list `erase`"):
        take_out(lab, "c1")
    assert holding(lab.folder, ["c1"]) == before
    assert len(open_log(lab.study).commits()) == 1
    told = CliRunner().invoke(app, ["erase", "site-a", "-s", str(lab.folder)])
    assert isinstance(told.exception, UserError)


def test_erased_persons_stay_out_only_while_the_key_is_there(lab: Lab) -> None:
    lab.drop("site-a", "1.ndjson", [client(GONE), client()])
    lab.receive()
    take_out(lab)
    key = lab.folder / "keys/block-list.key"
    assert key.stat().st_mode & 0o777 == 0o600
    kept = key.read_bytes()
    key.unlink()
    lab.drop("site-a", "2.ndjson", [client(GONE)])
    with pytest.raises(UserError, match=r"^keys/block-list.key is missing: put it back"):
        lab.receive()
    key.write_bytes(kept)
    (commit,) = lab.receive()
    assert commit.receipt.codes == {"PERSON_ERASED": 1}


def test_a_file_name_that_names_the_person_is_said(lab: Lab) -> None:
    lab.drop("site-a", f"{GONE}.ndjson", [client(GONE), client()])
    lab.receive()
    certificate, _ = erase_person(lab.study, "site-a", GONE, by="a", why="b", rebuild=nothing)
    assert "the file name that commit 1 keeps names the person: commits cannot be changed" in certificate.todo


def test_a_reason_that_names_the_person_is_said(lab: Lab) -> None:
    lab.drop("site-a", "1.ndjson", [client(GONE), client()])
    lab.receive()
    log = open_log(lab.study)
    with at_work(lab.study, log):
        void(
            lab.study,
            log,
            "site-a",
            "1",
            by="a",
            why=f"{GONE} twice",
            clock=lambda: lab.clock,
            code_version="v",
        )
    certificate, _ = take_out(lab)
    assert "the reason that commit 2 keeps names the person: commits cannot be changed" in certificate.todo


# --- withdrawals that stop short of it --------------------------------------------------------


def withdrawn(name: str, mode: str, day: int | None = 14) -> dict[str, Any]:
    return {
        "event_id": f"ends-{name}",
        "event_type": "consent.withdrawn",
        "client_id": name,
        "study_day": day,
        "payload": {"mode": mode},
    }


def test_withdrawals_as_study_yaml_allows(lab: Lab) -> None:
    facts: list[dict[str, Any]] = []
    for name in ("stops", "excluded", "erased", "dayless", "stays"):
        facts += [
            client(name),
            *(session(n, name) for n in range(1, 5)),
            *(phq(n, n % 4, name) for n in range(1, 5)),
        ]
    facts += [
        withdrawn("stops", "stop_future"),
        withdrawn("excluded", "exclude"),
        withdrawn("erased", "erase"),
    ]
    facts += [withdrawn("dayless", "stop_future", None)]
    lab.drop("site-a", "1.ndjson", facts)
    sessions = "select client_id, count(*) from marts.session group by all order by all"
    scores = "select client_id, count(*) from marts.outcome_score group by all order by all"
    allowed = (lab.folder / "study.yaml").read_text()
    for modes, expected in (
        ("", [("stays", 4), ("stops", 2)]),
        ("[stop_future, exclude]", [("stays", 4), ("stops", 2)]),
        ("[stop_future]", [("erased", 2), ("excluded", 2), ("stays", 4), ("stops", 2)]),
    ):
        more = f"consent: {{withdrawals: {modes}}}\n" if modes else ""
        (lab.folder / "study.yaml").write_text(allowed + more)
        lab.night()
        assert lab.rows(sessions) == expected
        assert lab.rows(scores) == expected  # a form without a day is of its session's day
    (lab.folder / "study.yaml").write_text(f"{allowed}consent: {{withdrawals: [erase]}}\n")
    with pytest.raises(StudyError, match="no withdrawal can be passed over"):
        _ = lab.study


# --- lines that were refused -------------------------------------------------------------------

ROWS = (
    'files: "*.csv"\nseparator: ";"\nevents:\n  - event_type: session.held\n    event_id: {text: "v-{who}-{nr}"}\n'
    "    envelope: {client_id: %s, session_number: {column: nr}}\n    payload: {format: {column: how, values: {p: phone}}}\n"
)


@pytest.mark.parametrize(("pseudonym", "of_client"), [('{text: "c{who}"}', "c1"), ("{column: who}", "1")])
def test_of_refused_rows_those_of_the_person_leave_and_no_others(
    tmp_path: Path, pseudonym: str, of_client: str
) -> None:
    """What a row says of its client is what the mapping reads: not every 1 in a row is client 1."""
    lab = Lab(tmp_path / "study", STUDY.replace("{id: site-a}", "{id: site-a, mappings: [m.yaml]}"))
    (lab.folder / "m.yaml").write_text(ROWS % pseudonym)
    first = "who;nr;how\n1;1;p\n1;2;zqSecret\n2;1;t\n3;1;t\n"
    lab.drop("site-a", "1.csv", first)
    lab.receive()
    take_out(lab, of_client)
    assert holding(lab.folder, ["zqSecret"]) == set()
    assert _sealed(lab) == {"2;1;t", "3;1;t"}
    lab.drop("site-a", "2.csv", first + "1;3;zqSecret\n4;1;t\n")
    (commit,) = lab.receive()
    assert commit.receipt.codes["PERSON_ERASED"] == 3
    assert commit.receipt.held_back == commit.receipt.lines == 6
    assert holding(lab.folder, ["zqSecret"]) == {"landing/site-a/2.csv"}
    assert _sealed(lab) == {"2;1;t", "3;1;t", "4;1;t"}
    prove(lab)


def _sealed(lab: Lab) -> set[str]:
    files = (lab.folder / "quarantine/site-a").glob("*.ndjson")
    told = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return {one["text"] for one in told if one["fact"]}


def test_a_refused_line_that_names_two_clients_leaves_with_either(lab: Lab) -> None:
    twice = f'{{"event_id": "x", "client_id": "{GONE}", "client_id": "c1", "event_type": "session.held"}}\n'
    lab.drop("site-a", "1.ndjson", twice + json.dumps(client(GONE)) + "\n")
    (commit,) = lab.receive()
    assert "LINE_DUPLICATE_KEY" in commit.receipt.codes
    take_out(lab)
    assert holding(lab.folder) == set()


def test_the_same_file_again_says_what_of_it_was_erased(lab: Lab) -> None:
    told = lines(
        [client(GONE), session(1, GONE), client("c1"), session(1), {"event_id": "bad", "client_id": GONE}]
    )
    lab.drop("site-a", "1.ndjson", told)
    lab.receive()
    take_out(lab)
    lab.drop("site-a", "2.ndjson", told)
    (commit,) = lab.receive()
    receipt = commit.receipt
    assert (commit.kind, receipt.lines, receipt.duplicate, receipt.held_back) == (
        "duplicate_delivery",
        5,
        2,
        3,
    )
    assert receipt.codes["PERSON_ERASED"] == 3
    assert prove(lab) == 3
    lab.build()


def test_what_was_never_taken_in_is_told(lab: Lab) -> None:
    lab.drop("site-a", "1.ndjson", [client(GONE)])
    for name, content in (
        ("2.ndjson.gz", gzip.compress(lines([session(1, GONE)]).encode() * 99)[:-20]),
        ("3.ndjson.part", lines([session(2, GONE)])),
        ("older/4.ndjson", lines([session(3, GONE)])),
        ("5.ndjson", lines([session(4, GONE)]).encode("utf-16")),
        ("6.ndjson", lines([session(4, "c1")])),
    ):
        lab.drop("site-a", name, content)
    lab.receive()
    certificate, _ = take_out(lab)
    told = [said.split(" names the person")[0] for said in certificate.todo if "never taken in" in said]
    assert told == [
        f"landing/site-a/{name}" for name in ("2.ndjson.gz", "3.ndjson.part", "5.ndjson", "older/4.ndjson")
    ]


def test_an_erasure_stopped_after_the_log_is_said_and_the_night_sees_to_the_rest(
    lab: Lab, dyadlog: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> None:
        raise Killed

    lab.drop(
        "site-a", "1.ndjson", [client(GONE), session(1, GONE), phq(1, 2, GONE), *life("c1", random.Random(3))]
    )
    dyadlog("night", "-s", lab.folder)
    dyadlog("build", "--as-of", "1", "-s", lab.folder)
    dyadlog("plot", "dyad", "site-a", GONE, "-s", lab.folder)
    with monkeypatch.context() as patched:
        patched.setattr("dyadlog.assets.erasure.person.clear_memory", die)
        with pytest.raises(Killed):
            take_out(lab)
    stopped = "the erasure of commit 2 was stopped before its end: run `dyadlog erase site-a CLIENT`"
    assert stopped in dyadlog("erase", "-s", lab.folder).out
    assert stopped in " ".join(dyadlog("status", "-s", lab.folder).out.split())
    assert dyadlog("night", "-s", lab.folder).code == 0
    assert holding(lab.folder, [GONE]) == {"landing/site-a/1.ndjson"}
    assert stopped in dyadlog("erase", "-s", lab.folder).out
    sites = lab.folder / "state" / "sites"
    kept = {path.name for path in sites.iterdir()}
    dyadlog("night", "-s", lab.folder)  # once is enough
    assert {path.name for path in sites.iterdir()} == kept
    assert dyadlog("erase", "site-a", GONE, "--by", "a", "--why", "b", "-s", lab.folder).code == 0
    assert holding(lab.folder) == set()
    assert dyadlog("erase", "-s", lab.folder).out == "Nothing waits to be erased\n"
    assert [path.suffix for path in (lab.folder / "erasures").iterdir()] == [".html"]
