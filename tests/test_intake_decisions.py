"""Which line is refused for what: tables of lines and reasons."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dyadlog.schemas.codes import codes
from dyadlog.schemas.study import Study
from tests.intake.oracle import reasons
from tests.intake.workbench import SITE, Site, form, held, judge, judge_each, study_in


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study_in(tmp_path_factory.mktemp("study"), kilobytes=300)


def raw(event: dict[str, Any], **texts: str) -> str:
    """The event as JSON, with some envelope fields written exactly as given."""
    fields = {name: json.dumps(value) for name, value in event.items()} | texts
    return "{" + ",".join(f"{json.dumps(name)}:{text}" for name, text in fields.items()) + "}"


def raw_payload(event: dict[str, Any], **texts: str) -> str:
    fields = {name: json.dumps(value) for name, value in event["payload"].items()} | texts
    return raw(event, payload="{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}")


GOOD = json.dumps(held())
DEEP = "[" * 100_000 + "]" * 100_000

TABLE: dict[str, list[tuple[str, str]]] = {
    "a good line": [
        (GOOD, ""),
        (json.dumps(form()), ""),
        (json.dumps(held(), indent=None, separators=(" , ", " : ")), ""),
        ("  \t" + GOOD + "  ", ""),
        (raw(held(), payload="null"), ""),
        (raw(held(), revision="null", op="null", schema_version="null", site_id="null"), ""),
        (json.dumps(held(site_id=SITE, revision=2, op="correct", reason_code="other")), ""),
        (json.dumps(held(op="retract", reason_code="other", payload={})), ""),
        (json.dumps({k: v for k, v in held(op="retract", reason_code="other").items() if k != "payload"}), ""),
    ],
    "not JSON": [
        ("garbage", "LINE_NOT_JSON@line"),
        ("   ", "LINE_NOT_JSON@line"),
        (GOOD[:-1], "LINE_NOT_JSON@line"),
        (GOOD + "}", "LINE_NOT_JSON@line"),
        (GOOD + GOOD, "LINE_NOT_JSON@line"),
        ("[" + GOOD + "]", "LINE_NOT_JSON@line"),
        ("17", "LINE_NOT_JSON@line"),
        ("null", "LINE_NOT_JSON@line"),
        (GOOD.replace('"', "'"), "LINE_NOT_JSON@line"),
        (GOOD.replace("3", "03"), "LINE_NOT_JSON@line"),
        (GOOD.replace("3", "+3"), "LINE_NOT_JSON@line"),
        (GOOD.replace("c1", "c\t1"), "LINE_NOT_JSON@line"),
        (GOOD.replace("c1", r"\ud800"), "LINE_NOT_JSON@line"),
        (GOOD + "\0", "LINE_NOT_JSON@line"),
        ("\ufeff" * 2 + GOOD, "LINE_NOT_JSON@line"),
        ("// " + GOOD, "LINE_NOT_JSON@line"),
    ],
    "a comma too many": [
        (GOOD[:-1] + ",}", "LINE_NOT_JSON@line"),
        (GOOD[:-1] + ", \t }", "LINE_NOT_JSON@line"),
        (GOOD[:-1] + ",\r}", "LINE_NOT_JSON@line"),
        (GOOD[:-2] + ",}}", "LINE_NOT_JSON@line"),
        (raw_payload(form(), items='{"1":3,}'), "LINE_NOT_JSON@line"),
        (raw(held(), client_id='["a",]'), "LINE_NOT_JSON@line"),
        (raw_payload(held(), format='"phone" , '), "LINE_NOT_JSON@line"),
    ],
    "NaN and Infinity, wherever they stand": [
        (line, "LINE_NOT_JSON@line")
        for word in ("NaN", "nan", "-NaN", "Infinity", "-Infinity", "inf")
        for line in (
            raw(held(), session_number=word),
            raw(held(), client_id=word),
            raw(held(), event_type=word),
            raw(held(), op=word),
            raw(held(), occurred_at=word),
            raw(held(), payload=word),
            raw(held(), colour=word),
            raw_payload(held(), duration_minutes=word),
            raw_payload(held(), format=word),
            raw_payload(form(), claimed_total=word),
            raw_payload(form(), version=word),
            raw_payload(form(), items='{"1":' + word + "}"),
            raw_payload(form(), items=word),
            raw_payload(form(), missing='{"1":' + word + "}"),
        )
    ],
    "a name twice": [
        (GOOD[:-1] + ',"event_id":"s1"}', "LINE_DUPLICATE_KEY@envelope"),
        (GOOD[:-1] + ',"event_id":null}', "LINE_DUPLICATE_KEY@envelope"),
        (GOOD[:-1] + r',"event\u005fid":"s1"}', "LINE_DUPLICATE_KEY@envelope"),
        (GOOD[:-1] + ',"payload":{}}', "LINE_DUPLICATE_KEY@envelope"),
        (GOOD[:-2] + ',"format":"phone"}}', "LINE_DUPLICATE_KEY@payload"),
        (raw_payload(form(), items='{"1":3,"1":3}'), "LINE_DUPLICATE_KEY@items"),
        (raw_payload(form(), items=r'{"1":3,"\u0031":3}'), "LINE_DUPLICATE_KEY@items"),
        (raw_payload(form(), missing='{"1":"declined","1":"declined"}'), "LINE_DUPLICATE_KEY@missing"),
    ],
    "a name that is not known": [
        (json.dumps(held(colour="red")), "FIELD_UNKNOWN@envelope"),
        (json.dumps(held(colour=None)), "FIELD_UNKNOWN@envelope"),
        (json.dumps(held(Client_ID="c1")), "FIELD_UNKNOWN@envelope"),
        (raw(held(), **{"event_id\0": '"x"'}), "FIELD_UNKNOWN@envelope"),
        (raw(held(), **{"": '"x"'}), "FIELD_UNKNOWN@envelope"),
        (json.dumps(held(payload={"colour": 1})), "FIELD_UNKNOWN@payload"),
        (json.dumps(held(payload={"items": {"1": 1}})), "FIELD_UNKNOWN@payload"),
        (json.dumps(form({"13": 3})), "ITEM_UNKNOWN@items"),
        (json.dumps(form({'1"': 3})), "ITEM_UNKNOWN@items"),
        (json.dumps(form({"01": 3})), "ITEM_UNKNOWN@items"),
        (json.dumps(form(payload={"missing": {"13": "declined"}})), "ITEM_UNKNOWN@missing"),
        (json.dumps(form(payload={"missing": {'1"]$': "declined"}})), "ITEM_UNKNOWN@missing"),
    ],
    "kind and version": [
        ("{}", "FIELD_MISSING@event_type"),
        (json.dumps(held(event_type=None)), "FIELD_MISSING@event_type"),
        (json.dumps(held(event_type="session.hold")), "EVENT_TYPE_UNKNOWN@event_type"),
        (json.dumps(held(event_type=17)), "EVENT_TYPE_UNKNOWN@event_type"),
        (json.dumps(held(event_type=["session.held"])), "EVENT_TYPE_UNKNOWN@event_type VALUE_NOT_ID@event_type"),
        (json.dumps(held(schema_version=2)), "EVENT_VERSION_FUTURE@schema_version"),
        (json.dumps(held(schema_version=10**17)), "EVENT_VERSION_FUTURE@schema_version"),
        (json.dumps(held(schema_version=0)), "VALUE_OUT_OF_RANGE@schema_version"),
        (json.dumps(held(schema_version="1")), "VALUE_NOT_WHOLE@schema_version"),
        (json.dumps(held(event_type="treatment.ended", schema_version=2, payload={"initiator": "client", "ending": "planned"})), ""),
        (json.dumps(held(event_type="treatment.ended", schema_version=2, payload={"initiator": "client", "planned": True})), "FIELD_UNKNOWN@payload"),
        (json.dumps(held(event_type="treatment.ended", schema_version=3, payload={"initiator": "client"})), "EVENT_VERSION_FUTURE@schema_version"),
    ],
    "fields that are needed": [
        (json.dumps(held(event_id=None)), "FIELD_MISSING@event_id"),
        (json.dumps(held(client_id=None)), "FIELD_MISSING@client_id"),
        (json.dumps(held(client_id="")), "VALUE_NOT_ID@client_id"),
        (json.dumps(held(session_number=None)), "FIELD_MISSING@session_number"),
        (json.dumps(form(payload={"rater": None})), "FIELD_MISSING@rater"),
        (json.dumps(form(payload={"items": None})), "FIELD_MISSING@items"),
        (json.dumps({k: v for k, v in held(event_type="rupture.marked").items() if k != "payload"}), "FIELD_MISSING@perspective"),
        (json.dumps(held(event_type="rupture.marked", payload={})), "FIELD_MISSING@perspective"),
        (json.dumps(held(op="correct")), "REASON_MISSING@reason_code"),
        (json.dumps(held(op="retract")), "REASON_MISSING@reason_code"),
    ],
    "something else than an object": [
        (json.dumps(held(payload=[1])), "FIELD_NOT_OBJECT@payload"),
        (json.dumps(held(payload="{}")), "FIELD_NOT_OBJECT@payload"),
        (json.dumps(held(payload=0)), "FIELD_NOT_OBJECT@payload"),
        (json.dumps(form(payload={"items": [1, 2]})), "FIELD_NOT_OBJECT@items"),
        (json.dumps(form(payload={"items": "{}"})), "FIELD_NOT_OBJECT@items"),
        (json.dumps(form(payload={"missing": [1]})), "FIELD_NOT_OBJECT@missing"),
        (json.dumps(form(payload={"missing": "declined"})), "FIELD_NOT_OBJECT@missing"),
    ],
    "ids": [
        (json.dumps(held(client_id=17)), ""),
        (json.dumps(held(client_id=10**40)), ""),
        (raw(held(), client_id=r'"\u0063\u0031"'), ""),
        (json.dumps(held(client_id="1.50")), ""),
        (raw(held(), client_id="1.50"), "VALUE_NOT_ID@client_id"),
        (raw(held(), client_id="1e5"), "VALUE_NOT_ID@client_id"),
        (json.dumps(held(client_id=-5)), "VALUE_NOT_ID@client_id"),
        (json.dumps(held(client_id=10**64)), "VALUE_NOT_ID@client_id"),
        (json.dumps(held(client_id="a b")), "VALUE_NOT_ID@client_id"),
        (json.dumps(held(client_id="é")), "VALUE_NOT_ID@client_id"),
        (json.dumps(held(client_id="c1\n")), "VALUE_NOT_ID@client_id"),
        (json.dumps(held(client_id='"c1"')), "VALUE_NOT_ID@client_id"),
        (json.dumps(held(client_id="c1\0")), "VALUE_NOT_ID@client_id"),
        (json.dumps(held(client_id="c" * 64)), ""),
        (json.dumps(held(client_id="c" * 65)), "VALUE_NOT_ID@client_id"),
        (json.dumps(held(client_id=["c1"])), "VALUE_NOT_ID@client_id"),
        (json.dumps(held(client_id={"a": "c1"})), "VALUE_NOT_ID@client_id"),
        (json.dumps(held(client_id=True)), "VALUE_NOT_ID@client_id"),
        *(
            (json.dumps(held(client_id=word)), "VALUE_NOT_ID@client_id")
            for word in ("true", "False", "NULL", "nan", "Inf", "infinity")
        ),
        (json.dumps(form(payload={"version": 1.5})), "INSTRUMENT_UNKNOWN@instrument VALUE_NOT_ID@version"),
        (json.dumps(form(payload={"version": ["client-1-5"]})), "INSTRUMENT_UNKNOWN@instrument VALUE_NOT_ID@version"),
    ],
    "numbers": [
        (json.dumps(held(session_number="4")), "VALUE_NOT_WHOLE@session_number"),
        (json.dumps(held(session_number=4.5)), "VALUE_NOT_WHOLE@session_number"),
        (json.dumps(held(session_number=4.0)), "VALUE_NOT_WHOLE@session_number"),
        (json.dumps(held(session_number=True)), "VALUE_NOT_WHOLE@session_number"),
        (json.dumps(held(session_number=[4])), "VALUE_NOT_WHOLE@session_number"),
        (json.dumps(held(session_number=10**30)), "VALUE_NOT_WHOLE@session_number"),
        (json.dumps(held(session_number=2**63)), "VALUE_NOT_WHOLE@session_number"),
        (json.dumps(held(session_number=2**63 - 1)), "VALUE_OUT_OF_RANGE@session_number"),
        (json.dumps(held(session_number=-1)), "VALUE_OUT_OF_RANGE@session_number"),
        (json.dumps(held(revision=0)), "VALUE_OUT_OF_RANGE@revision"),
        (json.dumps(held(revision="2")), "VALUE_NOT_WHOLE@revision"),
        (json.dumps(held(payload={"duration_minutes": 0})), "VALUE_OUT_OF_RANGE@duration_minutes"),
        (json.dumps(held(payload={"duration_minutes": "50"})), "VALUE_NOT_WHOLE@duration_minutes"),
        (json.dumps(form(payload={"claimed_total": "31"})), "VALUE_NOT_NUMBER@claimed_total"),
        (raw_payload(form(), claimed_total="1e999"), "VALUE_NOT_NUMBER@claimed_total"),
        (json.dumps(form(payload={"claimed_total": 1e9})), "VALUE_OUT_OF_RANGE@claimed_total"),
        (json.dumps(form(payload={"claimed_total": 31.5})), ""),
    ],
    "codes, booleans": [
        (json.dumps(held(op="asserted")), "VALUE_NOT_IN_LIST@op"),
        (json.dumps(held(actor_role="Client")), "VALUE_NOT_IN_LIST@actor_role"),
        (json.dumps(held(actor_role=["client"])), "VALUE_NOT_IN_LIST@actor_role"),
        (json.dumps(held(actor_role={})), "VALUE_NOT_IN_LIST@actor_role"),
        (json.dumps(held(payload={"format": "by phone"})), "VALUE_NOT_IN_LIST@format"),
        (json.dumps(held(payload={"format": True})), "VALUE_NOT_IN_LIST@format"),
        (json.dumps(held(event_type="treatment.ended", payload={"initiator": "client", "planned": True})), ""),
        (json.dumps(held(event_type="treatment.ended", payload={"initiator": "client", "planned": 1})), "VALUE_NOT_BOOLEAN@planned"),
        (json.dumps(held(event_type="treatment.ended", payload={"initiator": "client", "planned": "true"})), "VALUE_NOT_BOOLEAN@planned"),
    ],
    "site and time": [
        (json.dumps(held(site_id="site-b")), "SITE_WRONG@site_id"),
        (json.dumps(held(site_id=SITE.upper())), "SITE_WRONG@site_id"),
        (json.dumps(held(occurred_at="2026-03-14T09:30:00Z")), "TIME_NOT_ALLOWED@occurred_at"),
        (json.dumps(held(recorded_at="yesterday")), "TIME_NOT_ALLOWED@recorded_at TIME_NOT_ISO@recorded_at"),
    ],
    "questionnaires": [
        (json.dumps(form({})), ""),
        (json.dumps(form({"1": None}, payload={"missing": {"1": "declined"}})), ""),
        (raw_payload(form(), items='{"1":3.0,"2":1e0,"3":-0.0}'), "ANSWER_OUT_OF_RANGE@items.3"),
        (raw_payload(form(), items='{"1":3.0,"2":1e0}'), ""),
        (json.dumps(form({"1": 6})), "ANSWER_OUT_OF_RANGE@items.1"),
        (json.dumps(form({"1": 0, "2": -1})), "ANSWER_OUT_OF_RANGE@items.1 ANSWER_OUT_OF_RANGE@items.2"),
        (json.dumps(form({"1": 10**400})), "ANSWER_OUT_OF_RANGE@items.1"),
        (raw_payload(form(), items='{"1":1e999}'), "ANSWER_OUT_OF_RANGE@items.1"),
        (json.dumps(form({"1": 2.5})), "ANSWER_NOT_WHOLE@items.1"),
        (json.dumps(form({"1": "4"})), "ANSWER_NOT_A_NUMBER@items.1"),
        (json.dumps(form({"1": True})), "ANSWER_NOT_A_NUMBER@items.1"),
        (json.dumps(form({"1": [4]})), "ANSWER_NOT_A_NUMBER@items.1"),
        (json.dumps(form({"1": {}})), "ANSWER_NOT_A_NUMBER@items.1"),
        (json.dumps(form({"1": ""})), "ANSWER_NOT_A_NUMBER@items.1"),
        (json.dumps(form(payload={"instrument": "wai-xs"})), "INSTRUMENT_UNKNOWN@instrument"),
        (json.dumps(form(payload={"version": "client-1-9"})), "INSTRUMENT_UNKNOWN@instrument"),
        (json.dumps(form(payload={"rater": "therapist"})), "RATER_NOT_ALLOWED@rater"),
        (json.dumps(form(payload={"missing": {"1": "lost"}})), "MISSING_CODE_UNKNOWN@missing"),
        (json.dumps(form(payload={"missing": {"1": None}})), "MISSING_CODE_UNKNOWN@missing"),
        (json.dumps(form(payload={"missing": {"1": ["declined"]}})), "MISSING_CODE_UNKNOWN@missing"),
    ],
    "a retraction carries no unchecked content": [
        (json.dumps(held(op="retract", reason_code="other", payload={"note": "Mr X"})), "FIELD_UNKNOWN@payload"),
        (json.dumps(held(op="retract", reason_code="other", payload="Mr X")), "FIELD_NOT_OBJECT@payload"),
        (json.dumps(form({"1": 9}, op="retract", reason_code="other")), "ANSWER_OUT_OF_RANGE@items.1"),
    ],
    "deep and long": [
        (DEEP, "LINE_NOT_JSON@line"),
        (raw(held(), colour=DEEP), "LINE_NOT_JSON@line"),
        (raw(held(), client_id=DEEP), "LINE_NOT_JSON@line"),
        (raw(held(), payload=DEEP), "LINE_NOT_JSON@line"),
        (raw_payload(form(), items='{"1":' + DEEP + "}"), "LINE_NOT_JSON@line"),
        (raw_payload(form(), missing='{"1":' + DEEP + "}"), "LINE_NOT_JSON@line"),
        (raw(held(), payload=DEEP.replace("[", '{"a":').replace("]", "}")[:100_000]), "LINE_NOT_JSON@line"),
        (GOOD + " " * (300 * 1024 - len(GOOD)), ""),
        (GOOD + " " * (300 * 1024 - len(GOOD) + 1), "LINE_TOO_LONG@line"),
        ("é" * (150 * 1024 + 1), "LINE_TOO_LONG@line"),
    ],
}  # fmt: skip

CASES = [
    pytest.param(line, expected.split(), id=f"{title}-{n}")
    for title, cases in TABLE.items()
    for n, (line, expected) in enumerate(cases)
]


@pytest.mark.parametrize(("line", "expected"), CASES)
def test_line(study: Study, line: str, expected: list[str]) -> None:
    assert judge_each(study, [line]) == [expected]


def test_all_lines_of_the_table_in_one_file(study: Study) -> None:
    lines = [str(case.values[0]) for case in CASES]
    assert judge(study, lines) == [case.values[1] for case in CASES]


def test_the_oracle_agrees_with_the_table(study: Study) -> None:
    for case in CASES:
        line, expected = case.values
        assert bool(reasons(str(line), study, SITE)) == bool(expected), str(line)[:200]


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("2026-03-14T09:30:00+01:00", []),
        ("2026-03-14T09:30Z", []),
        ("2026-03-14T09:30:00.123456-05:00", []),
        ("2026-03-14", ["TIME_NOT_ISO@occurred_at"]),
        ("2026-03-14T09:30:00", ["TIME_NOT_ISO@occurred_at"]),
        ("14.03.2026 09:30", ["TIME_NOT_ISO@occurred_at"]),
        ("2026-13-14T09:30:00Z", ["TIME_NOT_ISO@occurred_at"]),
        ("2026-02-30T09:30:00Z", ["TIME_NOT_ISO@occurred_at"]),
        ("2026-03-14T25:30:00Z", ["TIME_NOT_ISO@occurred_at"]),
        ("٢٠٢٦-03-14T09:30:00Z", ["TIME_NOT_ISO@occurred_at"]),
        (20260314, ["TIME_NOT_ISO@occurred_at"]),
        (True, ["TIME_NOT_ISO@occurred_at"]),
    ],
)
def test_calendar_times_where_the_study_allows_them(
    tmp_path: Path, time: object, expected: list[str]
) -> None:
    absolute = study_in(tmp_path, basis="absolute")
    line = json.dumps(held(occurred_at=time))
    assert judge(absolute, [line]) == [expected]
    assert bool(reasons(line, absolute, SITE)) == bool(expected)


TABLE_FILE = """\
who;nr;status;how
c1;1;held;p
c1;2;held;NA
c1;3;held;x
c1;4;held
c1;5;held;"p
c1;six;held;t
c1;7;;p
c 1;8;held;p
"""

TABLE_CODES = {
    2: "",
    3: "",
    4: "VALUE_NOT_MAPPED@format",
    5: "LINE_RAGGED@line",
    6: "LINE_QUOTING@line",
    7: "VALUE_NOT_WHOLE@session_number",
    8: "LINE_NO_RULE@line",
    9: "VALUE_NOT_ID@client_id VALUE_NOT_ID@event_id",
}


def test_rows_of_a_table(tmp_path: Path) -> None:
    site = Site(study_in(tmp_path))
    receipt = site.send("v.csv", TABLE_FILE)
    assert (receipt.lines, receipt.accepted, receipt.held_back) == (8, 2, 6)
    rows = site.rows().select("line_number", pl_codes()).rows()
    assert dict(rows) == TABLE_CODES


def pl_codes() -> Any:
    import polars as pl

    return pl.col("codes").list.join(" ").fill_null("")


def test_every_code_about_lines_is_in_a_table() -> None:
    seen = {code.split("@")[0] for case in CASES for code in case.values[1]}
    seen |= {code.split("@")[0] for text in TABLE_CODES.values() for code in text.split()}
    # In the table of times; in tests/test_erasure.py; in tests/test_doubts.py.
    seen |= {"TIME_NOT_ISO", "PERSON_ERASED", "ID_REVEALS"}
    assert {name for name, code in codes().items() if code.scope == "line"} <= seen


def test_many_distinct_shapes_kinds_and_forms_in_one_block(study: Study) -> None:
    n = 5_000
    shapes = [json.dumps(held(**{f"colour_{k}": 1})) for k in range(n)]
    kinds = [json.dumps(held(event_type=f"kind-{k}")) for k in range(n)]
    versions = [json.dumps(held(schema_version=k + 2)) for k in range(n)]
    forms = [json.dumps(form({}, payload={"version": f"v{k}"})) for k in range(n)]
    missing = [json.dumps(form({}, payload={"missing": {"1": f"v{k}"}})) for k in range(n)]
    for lines, expected in (
        (missing, "MISSING_CODE_UNKNOWN@missing"),
        (shapes, "FIELD_UNKNOWN@envelope"),
        (kinds, "EVENT_TYPE_UNKNOWN@event_type"),
        (versions, "EVENT_VERSION_FUTURE@schema_version"),
        (forms, "INSTRUMENT_UNKNOWN@instrument"),
    ):
        assert judge(study, lines) == [[expected]] * n
