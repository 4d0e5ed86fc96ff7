"""Great Expectations over the marts: exact counts, honest denominators, crashes told apart from bad data, no values."""

from __future__ import annotations

import builtins
import json
import logging
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dyadlog.assets.event_log.log import EventLog
from dyadlog.assets.intake.receive import open_log, receive
from dyadlog.assets.quality.expectations import export_suite, run_expectations
from dyadlog.assets.warehouse import build
from dyadlog.schemas import expectations as listed_in
from dyadlog.schemas.expectations import Bounds, Expectation, expected
from dyadlog.schemas.study import Study, read_study

STUDY = """
study: small
title: Small
sites: [{id: site-01}, {id: site-02}, {id: site-03}]
measures:
  - {id: wai, instrument: wai-sr, version: client-1-5, rater: client, occasion: post_session, role: alliance}
  - {id: phq, instrument: phq-9, version: "1", rater: client, occasion: pre_session, role: outcome}
"""
ROOT = Path(__file__).parents[1]
MARKER = "Hartmann-1962"
CLIENTS, SESSIONS = 4, 6
SELECT = (
    "select site_id, subject, code, n_violated, n_denominator, verdict from checks.expectation order by all"
)


def _form(event_id: str, client: str, session: int, answers: list[int | None], **more: Any) -> dict[str, Any]:
    alliance = len(answers) == 12
    return {
        "event_id": event_id,
        "event_type": "instrument.completed",
        "client_id": client,
        "session_number": session,
        **more,
        "payload": {
            "instrument": "wai-sr" if alliance else "phq-9",
            "version": "client-1-5" if alliance else "1",
            "rater": "client",
            "occasion": "post_session" if alliance else "pre_session",
            "items": {str(n): answer for n, answer in enumerate(answers, 1) if answer is not None},
        },
    }


def _clean(prefix: str) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    for client in (f"{prefix}{n}" for n in range(CLIENTS)):
        events.append({"event_id": f"c-{client}", "event_type": "client.enrolled", "client_id": client})
        for session in range(1, SESSIONS + 1):
            events.append(
                {
                    "event_id": f"s-{client}-{session}",
                    "event_type": "session.held",
                    "client_id": client,
                    "session_number": session,
                    "study_day": 7 * session,
                    "payload": {"duration_minutes": 50},
                }
            )
            when = {"study_day": 7 * session, "recorded_day": 7 * session}
            events.append(_form(f"w-{client}-{session}", client, session, [3, 4] * 6, **when))
            events.append(_form(f"p-{client}-{session}", client, session, [1] * 9, **when))
    return events


def _faulty() -> list[dict[str, Any]]:
    """A clean site of the same size with planted faults; the counts stand in `PLANTED`."""
    events = _clean(MARKER)
    by_id = {event["event_id"]: event for event in events}
    first, second = f"{MARKER}0", f"{MARKER}1"
    by_id[f"s-{first}-3"]["study_day"] = 1  # earlier than session 2
    by_id[f"s-{second}-5"]["study_day"] = 28  # the day of session 4
    for session, minutes in ((1, 1), (2, 590), (3, 301)):
        by_id[f"s-{second}-{session}"]["payload"]["duration_minutes"] = minutes
    by_id[f"w-{first}-2"]["recorded_day"] = 3
    by_id[f"s-{first}-6"] |= {"event_type": "session.missed", "payload": {}}  # but rated
    for n in range(CLIENTS):
        for session in range(1, SESSIONS):  # 20 of 24
            items = by_id[f"w-{MARKER}{n}-{session}"]["payload"]["items"]
            items |= dict.fromkeys(items, 5)
    for session in range(1, 7):  # 6 of 48 forms lack items: 5 cannot be scored, 1 can
        items = by_id[f"p-{second}-{session}"]["payload"]["items"]
        for gone in ("1",) if session == 6 else ("1", "2", "3", "4", "5"):
            del items[gone]
    events.append(_form("again", first, 1, [2, 3] * 6, recorded_day=99))
    third = f"{MARKER}2"
    for kind in ("s", "w", "p"):  # session 3 becomes session 9: gaps 2-4, 6-9 in the numbers
        by_id[f"{kind}-{third}-3"]["session_number"] = 9
        by_id[f"{kind}-{third}-3"]["study_day"] = 63
        by_id[f"{kind}-{third}-3"]["recorded_day"] = 63
    return events


# subject: violated, looked at, verdict
PLANTED: dict[str, tuple[int, int, str]] = {
    "session_days_in_order": (1, 19, "warn"),
    "session_duration_plausible": (3, 23, "warn"),
    "sessions_per_episode": (0, 4, "pass"),
    "forms_scored": (5, 49, "warn"),
    "forms_filled_in_fully": (6, 49, "pass"),
    "alliance_once_per_session": (1, 24, "warn"),
    "alliance_of_held_session": (1, 24, "warn"),
    "alliance_below_ceiling": (20, 24, "warn"),
    "session.filled": (0, 24, "pass"),
    "session.status.listed": (0, 24, "pass"),
    "alliance_session.filled": (0, 96, "pass"),
    "instrument_score.score.range:wai-sr:client-1-5": (0, 25, "pass"),
    "instrument_score.item_mean.range": (0, 119, "pass"),
    "instrument_score.score.range:phq-9:1": (0, 19, "pass"),
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("study")
    (folder / "study.yaml").write_text(STUDY)
    for site, events in (("site-01", _clean("c")), ("site-02", _faulty())):
        landing = folder / "landing" / site
        landing.mkdir(parents=True)
        (landing / "all.ndjson").write_text("".join(json.dumps(event) + "\n" for event in events))
    return read_study(folder)


@pytest.fixture(scope="module")
def log(study: Study) -> EventLog:
    log = open_log(study)
    for _, done in receive(study, log, clock=lambda: datetime(2026, 1, 1, tzinfo=UTC)):
        assert done is not None
        assert done.receipt.held_back == 0
    return log


@pytest.fixture(scope="module")
def published(study: Study, log: EventLog) -> Path:
    return build.build_all(study, log, expectations=run_expectations).path


@pytest.fixture
def duck(published: Path) -> Any:
    """The marts of a real build, with an empty `checks.expectation`."""
    with duckdb.connect() as duck:
        duck.execute(f"attach '{published}' as built (read_only)")
        duck.execute("create schema marts")
        duck.execute("create schema checks")
        for (name,) in duck.execute(
            "select table_name from information_schema.tables where table_catalog = 'built' and table_schema = 'marts'"
        ).fetchall():
            duck.execute(f"create table marts.{name} as from built.marts.{name}")
        duck.execute(
            "create table checks.expectation (site_id varchar, code varchar, subject varchar, "
            "n_violated bigint, n_denominator bigint, verdict varchar)"
        )
        yield duck


def _answers(duck: duckdb.DuckDBPyConnection, site: str) -> dict[str, tuple[Any, ...]]:
    return {row[1]: row[2:] for row in duck.execute(SELECT).fetchall() if row[0] == site}


def test_planted_violations_are_counted_exactly(study: Study, duck: duckdb.DuckDBPyConnection) -> None:
    run_expectations(duck, study)
    found = _answers(duck, "site-02")
    assert set(found) == set(expected(study))
    assert {name: found[name] for name in PLANTED} == {
        name: ("EXPECTATION_FAILED", *counts) for name, counts in PLANTED.items()
    }


def test_a_clean_site_passes(study: Study, duck: duckdb.DuckDBPyConnection) -> None:
    run_expectations(duck, study)
    found = _answers(duck, "site-01")
    assert {row[3] for row in found.values()} == {"pass", None}
    assert sum(row[1] for row in found.values()) == 0
    # four clients are too few for a share, no session has a format, nothing ruptured
    assert {name for name, row in found.items() if row[3] is None} == {
        "outcome_followed_up",
        "rupture_event.filled",
        "session.format.listed",
    }
    assert all(row[2] == 0 for row in found.values() if row[3] is None)


def test_empty_site_is_not_applicable(study: Study, published: Path) -> None:
    with duckdb.connect(str(published), read_only=True) as reader:
        found = reader.execute(
            "select subject, outcome, n_violated, n_denominator from quality.finding "
            "where site_id = 'site-03' and code = 'EXPECTATION_FAILED' order by subject"
        ).fetchall()
    assert found == [(name, "not_applicable", 0, 0) for name in expected(study)]


def test_contract_violations_fail(study: Study, duck: duckdb.DuckDBPyConnection) -> None:
    duck.execute(
        "update marts.session set status = $1 where site_id = 'site-01' and session_number = 2", [MARKER]
    )
    duck.execute("update marts.session set n_reports = null where site_id = 'site-01' and session_number < 3")
    duck.execute(
        "update marts.instrument_score set score = 61 where site_id = 'site-01' and scale = 'total' "
        "and instrument = 'wai-sr' and session_number = 1"
    )
    duck.execute(
        "update marts.instrument_score set item_mean = 0.9 where site_id = 'site-01' and scale = 'bond' and session_number = 1"
    )
    run_expectations(duck, study)
    found = _answers(duck, "site-01")
    assert found["instrument_score.item_mean.range"] == ("EXPECTATION_FAILED", 4, 120, "fail")
    assert found["session.status.listed"] == ("EXPECTATION_FAILED", 4, 24, "fail")
    assert found["session.filled"] == ("EXPECTATION_FAILED", 8, 24, "fail")
    assert found["instrument_score.score.range:wai-sr:client-1-5"] == ("EXPECTATION_FAILED", 4, 24, "fail")
    assert MARKER not in repr(duck.execute("from checks.expectation").fetchall())


def _broken(name: str, value: str, **bounds: Any) -> Expectation:
    kind: Any = listed_in.IN_SET if "value_set" in bounds else listed_in.BETWEEN
    return Expectation(
        name=name,
        table="marts.session",
        value=value,
        type=kind,
        kwargs=Bounds(**bounds),
        severity="critical",
        says="-",
        why="-",
    )


def test_broken_expectation_crashes_and_does_not_fail(
    study: Study, duck: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = listed_in.listed()
    run_expectations(duck, study)
    whole = _answers(duck, "site-02")
    duck.execute("delete from checks.expectation")
    no_column = _broken("no_column", "no_such_column", value_set=(False,))
    no_number = _broken(
        "no_number", "client_id", max_value=3.0
    )  # text compared with a number: GX itself fails
    monkeypatch.setattr(listed_in, "listed", lambda: (*own, no_column, no_number))
    run_expectations(duck, study)
    found = _answers(duck, "site-02")
    assert found.pop("no_column") == ("CHECK_CRASHED", 0, 0, "crashed")
    assert found.pop("no_number") == ("CHECK_CRASHED", 0, 0, "crashed")
    assert found == whole


def test_error_while_a_site_is_read_spares_the_others(
    study: Study, duck: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = listed_in.listed()
    cast = _broken("cast", "case when site_id = 'site-02' then client_id::integer else 1 end", max_value=3.0)
    monkeypatch.setattr(listed_in, "listed", lambda: (*own, cast))
    run_expectations(duck, study)
    assert {row[0] for row in _answers(duck, "site-02").values()} == {"CHECK_CRASHED"}
    assert {row[0] for row in _answers(duck, "site-01").values()} == {"EXPECTATION_FAILED"}


def test_no_value_of_a_record_gets_out(
    study: Study,
    duck: duckdb.DuckDBPyConnection,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    own = listed_in.listed()
    wrong = _broken("wrong", "client_id", value_set=("x",))
    crash = _broken("crash", "client_id", max_value=3.0)
    cast = _broken("cast", "case when site_id = 'site-01' then client_id::integer end", max_value=3.0)
    monkeypatch.setattr(listed_in, "listed", lambda: (*own, wrong, crash, cast))
    with caplog.at_level(logging.DEBUG):
        run_expectations(duck, study)
    assert _answers(duck, "site-02")["wrong"] == ("EXPECTATION_FAILED", 24, 24, "fail")
    stored = repr(duck.execute("from checks.expectation").fetchall())
    printed = capfd.readouterr()
    for text in (stored, caplog.text, printed.out, printed.err):
        assert MARKER not in text
    assert printed == ("", "")


def test_two_runs_give_identical_rows_in_order(study: Study, duck: duckdb.DuckDBPyConnection) -> None:
    runs = []
    for order in ("event_id", "event_id desc"):
        duck.execute("delete from checks.expectation")
        duck.execute(
            f"create or replace table marts.instrument_score as from marts.instrument_score order by {order}"
        )
        run_expectations(duck, study)
        runs.append(duck.execute("from checks.expectation").fetchall())
    assert runs[0] == runs[1]
    assert runs[0] == sorted(runs[0], key=lambda row: row[:3])


def test_without_great_expectations_the_night_goes_on(
    study: Study, duck: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("great_expectations"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    run_expectations(duck, study)
    assert duck.execute(SELECT).fetchall() == [
        (site, "great_expectations", "CHECK_CRASHED", 0, 0, "crashed") for site in study.site_ids
    ]


def _as_documented(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[str, int, int]]:
    """What a site does with the export: the lines of the documentation, none of our code."""
    text = (ROOT / "docs/expectations.md").read_text("utf-8")
    code = text.split("```python\n")[1].split("```")[0]
    assert "dyadlog" not in code
    told: dict[str, Any] = {}
    monkeypatch.chdir(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Great Expectations' own
        exec(code, told)
    found: dict[str, tuple[str, int, int]] = told["outcomes"]
    return found


def test_a_site_finds_the_same_with_its_own_great_expectations(
    study: Study,
    published: Path,
    dyadlog: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    done = dyadlog("expectations", "site-02", "-s", study.folder, "-o", tmp_path)
    assert (done.code, done.out.split()) == (0, [str(tmp_path / n) for n in ("suite.json", "slice.parquet")])
    text = (tmp_path / "suite.json").read_text("utf-8")
    assert MARKER not in text
    assert (tmp_path / "slice.parquet").stat().st_mode & 0o077 == 0
    with duckdb.connect(str(published), read_only=True) as reader:
        rows = reader.execute(
            "select subject, outcome, n_violated, n_denominator from quality.finding "
            "where site_id = 'site-02' and code = 'EXPECTATION_FAILED'"
        ).fetchall()
    ours = {name: (outcome, violated, of) for name, outcome, violated, of in rows}
    assert {"pass", "warn", "not_applicable"} <= {outcome for outcome, _, _ in ours.values()}
    assert _as_documented(tmp_path, monkeypatch) == ours
    # a text compared with a number: the engine fails, the data are not bad
    suite = json.loads(text)
    crash = next(
        each for each in suite["expectations"] if each["kwargs"]["column"] == "session.status.listed"
    )
    crash["type"], crash["kwargs"] = (
        listed_in.BETWEEN,
        {"column": "session.status.listed", "max_value": 3.0},
    )
    (tmp_path / "suite.json").write_text(json.dumps(suite))
    assert _as_documented(tmp_path, monkeypatch)["session.status.listed"] == ("crashed", 0, 0)
    printed = capfd.readouterr()
    assert MARKER not in printed.out + printed.err


def test_export_for_an_unknown_site_is_refused(study: Study, dyadlog: Any, tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        export_suite(study, "site-99")
    done = dyadlog("expectations", "site-99", "-s", study.folder, "-o", tmp_path)
    assert (done.code, done.err) == (
        2,
        "error: site-99: no site of this study; expected one of site-01, site-02, site-03\n",
    )


def test_the_list_is_small_and_names_are_unique(study: Study) -> None:
    names = [each.name for each in listed_in.listed()]
    assert len(names) <= 12
    assert len(set(names)) == len(names)
    assert list(expected(study)) == sorted(expected(study))


@pytest.mark.parametrize(
    ("table", "kind", "bounds"),
    [
        ("marts.session", listed_in.IN_SET, {"max_value": 1.0}),
        ("marts.session", listed_in.BETWEEN, {"value_set": (1,)}),
        ("marts.session", listed_in.BETWEEN, {}),
        ("marts.nothing", listed_in.BETWEEN, {"max_value": 1.0}),
    ],
)
def test_expectations_that_make_no_sense_are_refused(table: str, kind: Any, bounds: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="Value error"):
        Expectation(
            name="x",
            table=table,
            value="1",
            type=kind,
            kwargs=Bounds(**bounds),
            severity="info",
            says="-",
            why="-",
        )
