"""Versions of events: what an old line says is said in the newest version, for ever in the same words."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dyadlog.assets.event_log.upcast import newest, newest_of, upcast
from dyadlog.assets.intake.receive import open_log
from dyadlog.assets.warehouse.inputs import load_log
from dyadlog.schemas.catalogue import Catalogue, EventType, catalogue
from dyadlog.schemas.errors import StudyError
from dyadlog.schemas.yamlfile import YamlFile, validate
from tests.conftest import LONG, Lab, client, session
from tests.intake.oracle import reasons

CORPUS = Path(__file__).with_name("golden") / "upcasts.ndjson"
# The corpus grows at its end. These lines were here before and stay: number of lines and their SHA-256.
FROZEN = (13, "673bade3c9d123dc71008a6a781f3c0f92eab1bff9b16d40108b9580b436593e")

Payload = dict[str, Any]


def now_of(expression: str, payloads: list[str | None]) -> list[str]:
    """What an SQL expression makes of payloads."""
    with duckdb.connect() as duck:
        duck.execute("create table fact (n integer, payload varchar)")
        duck.executemany("insert into fact values (?, ?)", list(enumerate(payloads)))
        return [said for (said,) in duck.execute(f"select {expression} from fact order by n").fetchall()]


# --- the catalogue's own steps ------------------------------------------------------------------


def test_no_line_of_the_corpus_was_changed() -> None:
    lines, digest = FROZEN
    told = CORPUS.read_bytes().splitlines(keepends=True)
    assert hashlib.sha256(b"".join(told[:lines])).hexdigest() == digest
    steps = {(name, n) for name, event in catalogue().events.items() for n in event.upcasts}
    given = [json.loads(line)["arrived"] for line in told]
    assert {(e["event_type"], e.get("schema_version", 1)) for e in given} >= steps


def test_old_lines_become_what_they_became(lab: Lab) -> None:
    """Through intake, log and view; the log itself keeps what arrived."""
    cases = [json.loads(line) for line in CORPUS.read_text().splitlines()]
    lab.drop("site-a", "old.ndjson", [case["arrived"] for case in cases])
    (commit,) = lab.receive()
    assert commit.receipt.accepted == len(cases)
    log = open_log(lab.study)
    with duckdb.connect() as duck:
        load_log(duck, log, log.commits())
        told = duck.execute("select schema_version, payload from log.fact order by line_number").fetchall()
        kept = duck.execute("select schema_version from log.arrived order by line_number").fetchall()
    for case, (version, payload) in zip(cases, told, strict=True):
        assert version == case["version"]
        assert payload == case["payload"], case["arrived"]["event_id"]
    assert [version for (version,) in kept] == [case["arrived"].get("schema_version") or 1 for case in cases]


def said_in(event: EventType, version: int) -> st.SearchStrategy[Payload]:
    """Payloads of one version, by the catalogue."""
    kinds = {
        "code": lambda field: st.sampled_from(field.values),
        "bool": lambda field: st.booleans(),
        "number": lambda field: st.floats(field.min, field.max) | st.integers(int(field.min), int(field.max)),
    }
    fields = event.versions[version]
    values = {name: kinds[field.type](field) for name, field in fields.items()}
    needed = {name: value for name, value in values.items() if fields[name].required}
    rest = {name: st.none() | value for name, value in values.items() if name not in needed}
    return st.fixed_dictionaries(needed, optional=rest)


@pytest.mark.parametrize("kind", [name for name, event in catalogue().events.items() if event.upcasts])
def test_what_was_accepted_is_acceptable_in_the_newest_version(kind: str, lab: Lab) -> None:
    event, study = catalogue().events[kind], lab.study

    @settings(max_examples=1_000 if LONG else 25)
    @given(payloads=st.lists(said_in(event, 1), min_size=1, max_size=20))
    def check(payloads: list[Payload]) -> None:
        head = {"event_id": "e", "event_type": kind, "client_id": "c1", "session_number": 1}
        for payload in payloads:
            assert not reasons(json.dumps({**head, "payload": payload}), study, "site-a")
        for said in now_of(upcast(event, 1), [json.dumps(payload) for payload in payloads]):
            line = {**head, "schema_version": event.newest, "payload": json.loads(said)}
            assert not reasons(json.dumps(line), study, "site-a")

    check()


# --- any steps --------------------------------------------------------------------------------------


@st.composite
def kinds_with_steps(draw: st.DrawFn) -> EventType:
    """A kind of event with some versions; names, words and new fields change from one to the next."""
    words = ["u", "v", "w"]
    code = {"type": "code", "label": "l", "values": words}
    fields: dict[str, Any] = {"a": code, "b": {"type": "bool", "label": "l"}}
    fields |= {"c": {"type": "int", "label": "l", "min": 0, "max": 99}}
    versions, upcasts = {1: dict(fields)}, {}
    for number in range(1, draw(st.integers(2, 4))):
        step: dict[str, Any] = {"rename": {}, "values": {}, "derive": {}}
        before = dict(fields)
        for name in sorted(before):
            new = f"{name[0]}{number}"
            if name[0] != "d" and draw(st.booleans()):
                step["rename"][name] = new
                fields[new] = fields.pop(name)
            else:
                new = name
            spec = fields[new]
            if spec["type"] == "code" and draw(st.booleans()):
                after = draw(st.permutations(spec["values"]))
                step["values"][new] = dict(zip(spec["values"], after, strict=True))
            if spec["type"] == "bool" and draw(st.booleans()):
                step["values"][new] = {"true": "yes", "false": "no"}
                fields[new] = code | {"values": ["yes", "no", "unknown"]}
        if draw(st.booleans()):
            of = draw(st.sampled_from(sorted(before)))
            step["derive"] = {f"d{number}": f"{{{of}}} is not null and length({{{of}}}::varchar) > 1"}
            fields[f"d{number}"] = {"type": "bool", "label": "l"}
        upcasts[number], versions[number + 1] = step, dict(fields)
    return EventType.model_validate({"label": "l", "versions": versions, "upcasts": upcasts})


FIRST = st.fixed_dictionaries(
    {},
    optional={
        "a": st.none() | st.sampled_from(["u", "v", "w"]),
        "b": st.none() | st.booleans(),
        "c": st.none() | st.integers(0, 99),
    },
)


def plain(payload: Payload) -> str:
    return json.dumps({name: value for name, value in payload.items() if value is not None}, sort_keys=True)


@settings(max_examples=2_000 if LONG else 60)
@given(event=kinds_with_steps(), payloads=st.lists(FIRST, min_size=1, max_size=8), data=st.data())
def test_steps_compose_and_lose_nothing(
    event: EventType, payloads: list[Payload], data: st.DataObject
) -> None:
    texts = [json.dumps(payload) for payload in payloads]
    at_once = now_of(upcast(event, 1), texts)
    middle = data.draw(st.integers(1, event.newest))
    part = EventType.model_validate(
        event.model_dump()
        | {
            "versions": {n: f for n, f in event.model_dump()["versions"].items() if n <= middle},
            "upcasts": {n: u for n, u in event.model_dump()["upcasts"].items() if n < middle},
        }
    )
    assert now_of(upcast(event, middle), now_of(upcast(part, 1), texts)) == at_once
    told = [json.loads(said) for said in at_once]
    for one, first in zip(told, payloads, strict=True):
        for other, second in zip(told, payloads, strict=True):
            assert (plain(one) == plain(other)) == (plain(first) == plain(second))
    with duckdb.connect() as duck:  # what is newest already stays as it is, letter by letter
        duck.execute("create table fact (event_type varchar, schema_version integer, payload varchar)")
        duck.executemany(
            "insert into fact values ('k', ?, ?)", [(event.newest, f" {text}") for text in texts]
        )
        stays = duck.execute(f"select payload from (select * replace ({newest_of({'k': event})}) from fact)")
        assert [text for (text,) in stays.fetchall()] == [f" {text}" for text in texts]


GOOD: dict[str, Any] = {
    "label": "l",
    "versions": {
        1: {"a": {"type": "code", "label": "l", "values": ["u", "v"]}},
        2: {"b": {"type": "code", "label": "l", "values": ["x", "v"]}},
    },
    "upcasts": {1: {"rename": {"a": "b"}, "values": {"b": {"u": "x"}}}},
}
INT = {"type": "int", "label": "l", "min": 0, "max": 9}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"upcasts": {}}, "expected an upcast from version 1 to 2"),
        ({"versions": {1: {}, 3: {}}, "upcasts": {}}, "versions numbered from 1 without a gap, not [1, 3]"),
        ({"versions": {2: {}}, "upcasts": {}}, "versions numbered from 1 without a gap, not [2]"),
        ({"upcasts": {1: GOOD["upcasts"][1], 2: {}}}, "no upcast from version 2: there is no version 3"),
        ({"upcasts": {1: {}}}, "a has no place in the new version"),
        ({"upcasts": {1: {"rename": {"a": "b", "c": "d"}}}}, "`rename`: the old version has no field c"),
        ({"upcasts": {1: {"rename": {"a": "b"}}}}, "u is no value of b in the new version"),
        (
            {"upcasts": {1: {"rename": {"a": "b"}, "values": {"b": {"u": "v"}}}}},
            "`values`: two values of b become one",
        ),
        (
            {"upcasts": {1: {"rename": {"a": "b"}, "values": {"b": {"u": "x", "z": "v"}}}}},
            "`values`: z was no value of b",
        ),
        (
            {"upcasts": {1: GOOD["upcasts"][1] | {"derive": {"c": "1"}}}},
            "`derive`: c is no field that is new",
        ),
        (
            {"versions": {1: {}, 2: {"n": INT}}, "upcasts": {1: {"derive": {"n": "{m} + 1"}}}},
            "`derive`: the old version has no field m",
        ),
        (
            {"versions": {1: {"n": INT}, 2: {"n": INT | {"max": 8}}}, "upcasts": {1: {}}},
            "the range of n is narrower",
        ),
        (
            {"versions": {1: {"n": INT}, 2: {"n": INT | {"required": True}}}, "upcasts": {1: {}}},
            "n is required, but the old version may lack it",
        ),
    ],
)
def test_a_broken_chain_is_told_at_the_start(change: dict[str, Any], message: str) -> None:
    data = {"envelope": {}, "events": {"k": GOOD | change}, "missing_codes": []}
    file = YamlFile("catalogue.yaml", data, {("events", "k"): 7})
    with pytest.raises(StudyError) as told:
        validate(Catalogue, file)
    assert message in str(told.value)
    assert str(told.value).startswith("catalogue.yaml:7: key `events.k`")
    validate(Catalogue, file, data | {"events": {"k": GOOD}})


# --- mixed versions ---------------------------------------------------------------------------------


def ended(name: str, payload: Payload, version: int = 1) -> dict[str, Any]:
    return {
        "event_id": f"end-{name}",
        "event_type": "treatment.ended",
        "client_id": name,
        "study_day": 90,
        "schema_version": version,
        "payload": {"initiator": "client"} | payload,
    }


def test_a_site_that_moves_to_a_new_version_says_the_same(tmp_path: Path) -> None:
    """Old and new lines of the same facts, in any order: duplicates of each other, and the same marts."""
    base = [e for n in (1, 2, 3) for e in (client(f"c{n}"), session(1, f"c{n}"))]
    old = [ended("c1", {"planned": True}), ended("c2", {"planned": None}), ended("c3", {"planned": False})]
    new = [
        ended("c1", {"ending": "planned"}, 2),
        ended("c2", {}, 2),
        ended("c3", {"ending": "unplanned_crisis"}, 2),
    ]
    digests = []
    for order in ((old, new), (new, old)):
        lab = Lab(tmp_path / str(len(digests)))
        for night, lines in enumerate(order):
            lab.drop("site-a", f"{night}.ndjson", base + lines)
            lab.receive()
        digests.append(lab.build().digest)
        receipts = [c.receipt for c in open_log(lab.study).commits()]
        assert [(r.accepted, r.duplicate) for r in receipts] == [(9, 0), (1, 8)]
        told = lab.rows("select client_id, end_planned from marts.dropout order by 1")
        assert told == [("c1", True), ("c2", None), ("c3", None)]  # two kinds of ending of c3 contradict
    assert len(set(digests)) == 1


def test_models_see_newest_versions_only(lab: Lab) -> None:
    lab.drop("site-a", "a.ndjson", [client(), session(1), ended("c1", {"planned": False})])
    lab.receive()
    log = open_log(lab.study)
    with duckdb.connect() as duck:
        load_log(duck, log, log.commits())
        (plan,) = duck.execute("explain select status from log.fact").fetchone()[1:]  # type: ignore[index]
        assert "json_merge_patch" not in plan  # who does not ask for payloads does not pay
        assert duck.execute(
            "select payload from log.fact where event_type = 'treatment.ended'"
        ).fetchall() == [('{"initiator":"client","ending":"unplanned"}',)]
    assert "treatment.ended" in newest()
