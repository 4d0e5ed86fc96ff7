"""Law: the events that `explain` names make the number, and each one marked changes it."""

from __future__ import annotations

import json
import random
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dyadlog.assets.event_log.log import EventLog
from dyadlog.assets.intake.receive import open_log, receive
from dyadlog.assets.warehouse import inputs, steps
from dyadlog.assets.warehouse.build import build_all
from dyadlog.assets.warehouse.explain import Explanation, explain
from dyadlog.assets.warehouse.models import models
from dyadlog.assets.warehouse.worlds import chain, is_constant, is_separable
from dyadlog.orchestration.cli import MISTAKE
from dyadlog.orchestration.examples import init_study
from dyadlog.schemas.marts import contracts
from dyadlog.schemas.study import Study, read_study
from tests.conftest import LONG, Lab, client, phq, session

MARTS = [name for name in contracts() if name.startswith("marts.")]
ROWS = 12 if LONG else 1


@dataclass
class Built:
    """The example study with its marts."""

    study: Study
    log: EventLog
    path: Path

    def explain(self, mart: str, key: dict[str, Any], *columns: str) -> list[Explanation]:
        words = {column: "" if value is None else str(value) for column, value in key.items()}
        return explain(self.study, self.log, self.log.head().seq, self.path, mart, words, columns)


def built(study: Study) -> Built:
    log = open_log(study)
    return Built(study, log, build_all(study, log).path)


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("explain") / "study"
    init_study(folder, "quickstart", None)
    study = read_study(folder)
    list(receive(study, open_log(study)))
    return built(study)


def some_rows(example: Built, mart: str) -> list[dict[str, Any]]:
    with duckdb.connect(str(example.path), read_only=True) as duck:
        found = duck.execute(f"select * from {mart} order by {', '.join(contracts()[mart].grain)}")
        names = [column[0] for column in found.description or []]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    return random.Random(mart).sample(rows, min(ROWS, len(rows)))


def made_from(example: Built, site_id: str, events: frozenset[str], mart: str, key: dict[str, Any]) -> Any:
    """The row, when the log holds these events only: the models run as ever, without the tricks of `explain`."""
    with closing(duckdb.connect()) as duck:
        steps.register(duck)
        inputs.load_log(duck, example.log, example.log.commits())
        inputs.load_study(duck, example.study)
        for layer in ("staging", "intermediate", "marts"):
            duck.execute(f"create schema {layer}")
        duck.execute(
            "create table kept as select * from log.fact where site_id = ? and list_contains(?, event_id)",
            [site_id, sorted(events)],
        )
        duck.execute("drop view log.fact")
        duck.execute("create table log.fact as select * from kept")
        duck.execute(f"attach '{example.path}' as published (read_only)")
        for name in filter(is_constant, models()):
            duck.execute(f"create table {name} as select * from published.{name}")
        for model in chain(mart):
            duck.execute(f"create table {model.name} as {model.sql}")
        same = " and ".join(f"{column} is not distinct from ${column}" for column in key)
        found = duck.execute(f"select * from {mart} where {same}", key)
        names = [column[0] for column in found.description or []]
        row = found.fetchone()
        return None if row is None else dict(zip(names, row, strict=True))


@pytest.mark.parametrize("mart", MARTS)
def test_the_named_events_are_enough_for_every_column_of_every_mart(example: Built, mart: str) -> None:
    rows = some_rows(example, mart)
    assert rows or models()[mart].python == (
        "hlm_slopes",
    )  # only a rule that the example has not asks for it
    for row in rows:
        key = {column: row[column] for column in contracts()[mart].grain}
        told = example.explain(mart, key, *contracts()[mart].columns)
        made: dict[frozenset[str], Any] = {}
        for cell in told:
            assert repr(cell.value) == repr(row[cell.column])
            assert cell.path[0][:2] == (mart, cell.column)
            if not is_separable(mart):
                assert cell.rests_on
                assert not cell.events
                continue
            events = frozenset(one.event_id for one in cell.events)
            if events not in made:
                made[events] = made_from(example, row["site_id"], events, mart, key)
            assert made[events] is not None
            assert repr(made[events][cell.column]) == repr(cell.value), f"{mart}.{cell.column}"


def test_all_marts_of_one_site_are_explained_by_events() -> None:
    assert [mart for mart in MARTS if models()[mart].scope == "site" and not is_separable(mart)] == []
    assert {mart for mart in MARTS if not is_separable(mart)} == {
        "marts.outcome_reference",
        "marts.course_slope",
        "marts.not_on_track_local",
        "marts.pooled_outcome",
        "marts.arm_contrast",
        "marts.outcome_model",
        "marts.variance_share",
        "marts.survival_test",
        "marts.dropout_model",
        "marts.response_surface",
        "marts.truth_bias",
        "marts.rupture_reference",
    }


def test_an_event_is_marked_exactly_if_the_cell_is_another_one_without_it(example: Built) -> None:
    mart = "marts.session"
    (row,) = some_rows(example, mart)[:1]
    key = {column: row[column] for column in contracts()[mart].grain}
    (cell,) = example.explain(mart, key, "attended_seq")
    named = frozenset(one.event_id for one in cell.events)
    for event in named:
        without = made_from(example, row["site_id"], named - {event}, mart, key)
        differs = without is None or without["attended_seq"] != cell.value
        assert differs == next(one.decides for one in cell.events if one.event_id == event)


def test_lines_files_and_rules_of_a_number(lab: Lab) -> None:
    corrected = phq(1, 2)
    lab.drop("site-a", "1.ndjson", [client(), session(1), session(2), session(3), phq(2, 1), corrected])
    lab.receive()
    again = phq(1, 3, revision=2, op="correct", reason_code="data_entry_error")
    lab.drop("site-a", "2.ndjson", [phq(3, 0), session(1, "c2"), again])
    lab.drop("site-b", "1.ndjson", [client(), session(1), phq(1, 3)])
    lab.receive()
    key = {"site_id": "site-a", "client_id": "c1", "rule_id": "first_last"}
    (cell,) = built(lab.study).explain("marts.outcome_client", key, "change")
    assert cell.value == -27.0
    assert [
        (t.event_id, t.file_name, t.line_number, t.revision, t.holds, t.decides) for t in cell.events
    ] == [
        ("enrol-c1", "1.ndjson", 1, 1, True, True),
        ("held-c1-1", "1.ndjson", 2, 1, True, True),
        ("held-c1-3", "1.ndjson", 4, 1, True, True),
        (corrected["event_id"], "1.ndjson", 6, 1, False, True),
        (phq(3, 0)["event_id"], "2.ndjson", 1, 1, True, True),
        (corrected["event_id"], "2.ndjson", 3, 2, True, True),
    ]
    assert ("staging.event", "payload") in {(table, column) for table, column, _ in cell.path}
    (rule,) = cell.constants["study.outcome_rule"]  # type: ignore[misc]
    assert rule["rule_id"] == "first_last"  # type: ignore[index]
    assert cell.constants["marts.outcome_reference"]


def test_constants_that_apply_are_named(example: Built) -> None:
    mart, rule_id = "marts.rupture_event", "drop_stricter_sd_k1"
    with duckdb.connect(str(example.path), read_only=True) as duck:
        grain = contracts()[mart].grain
        found = duck.execute(
            f"select {', '.join(grain)} from {mart} where rule_id = ? order by all", [rule_id]
        ).fetchone()
    key = dict(zip(grain, found or (), strict=True))
    (cell,) = example.explain(mart, key, "threshold")
    (rule,) = cell.constants["study.rupture_rule"]  # type: ignore[misc]
    assert (rule["rule_id"], rule["spread"], rule["k"]) == (rule_id, "stricter", 1.0)  # type: ignore[index]
    (reference,) = cell.constants["marts.rupture_reference"]  # type: ignore[misc]
    assert reference["mean_own_sd"]  # type: ignore[index]


@pytest.fixture
def one_night(lab: Lab) -> Lab:
    lab.drop("site-a", "1.ndjson", [client(), session(1), session(2, kind="missed"), phq(1, 2), phq(2, 1)])
    lab.night()
    return lab


def test_explain_is_written_for_people_and_for_machines(one_night: Lab, dyadlog) -> None:  # type: ignore[no-untyped-def]
    words = ["explain", "session", "site_id=site-a", "session_number=2", "status", "-s", one_night.folder]
    shown = dyadlog(*words)
    assert shown.code == 0, shown.err
    assert "marts.session.status = missed" in shown.out
    assert "staging.session_event.report" in shown.out
    assert "missed-c1-2" in shown.out
    told = json.loads(dyadlog(*words, "--json").out)
    assert told["value"] == "missed"
    assert told["key"]["client_id"] == "c1"
    assert [one["line_number"] for one in told["events"]] == [1, 3]
    one_night.drop("site-a", "2.ndjson", [session(2)])
    one_night.night()
    assert json.loads(dyadlog(*words, "--json").out)["value"] == "held"
    assert json.loads(dyadlog(*words, "--json", "--as-of", 1).out)["value"] == "missed"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("marts.nonsense", "status"), "marts.nonsense is no mart; there are marts.session"),
        (("quality.receipt", "lines"), "quality.receipt is no mart"),
        (("session", "site_id=site-a", "nonsense"), "marts.session has no column nonsense; it has site_id"),
        (("session", "sessions=1", "status"), "marts.session has no column sessions"),
        (("session", "client_id=secret", "status"), "marts.session has no row with this key; its key is"),
        (("session", "client_id=c1", "status"), "several rows with this key; say session_number too"),
        (("session", "client_id=c1"), "name one column after the key"),
        (("session", "status", "study_day"), "name one column after the key"),
    ],
)
def test_what_cannot_be_explained_gets_one_sentence(one_night: Lab, dyadlog, words, said: str) -> None:  # type: ignore[no-untyped-def]
    done = dyadlog("explain", *words, "-s", one_night.folder)
    assert done.code == MISTAKE
    assert said in done.err
    assert "secret" not in done.err
    assert len(done.err.splitlines()) == 1
