"""The asset graph, run by the real Dagster."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import dagster as dg
import pytest

from dyadlog.assets.warehouse import build as warehouse
from dyadlog.assets.warehouse.models import models
from dyadlog.orchestration.graph import INVARIANTS, JOB, all_sites, build_definitions, site_checks
from tests.conftest import STUDY, Lab, client, phq, session

ROOT = Path(__file__).parents[1]
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def run(lab: Lab, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    job = build_definitions(lab.study).resolve_job_def(JOB)
    return job.execute_in_process(
        instance=instance, tags=all_sites(lab.study), run_config=QUIET, raise_on_error=False
    )


def tell_always(lab: Lab) -> None:
    with (lab.folder / "study.yaml").open("a") as file:
        file.write("notify: {files: [{name: all.ndjson, when: always}]}\n")


def outcomes(lab: Lab) -> list[str]:
    lines = (lab.folder / "notices/all.ndjson").read_text().splitlines()
    return [json.loads(line)["outcome"] for line in lines]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as one:
        yield one


def test_one_run_covers_all_sites_and_every_model_is_an_asset(lab: Lab, instance: dg.DagsterInstance) -> None:
    lab.drop("site-a", "1.ndjson", [client(), session(1), phq(1, 2)])
    lab.drop("site-c", "1.ndjson", [client()])
    tell_always(lab)
    result = run(lab, instance)
    assert result.success
    made = {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()}
    assert made == {name.replace(".", "/") for name in models()} | {
        "event_log",
        "published_database",
        "site_reports",
    }
    told = {e.check_name: e for e in result.get_asset_check_evaluations()}
    assert set(told) == {*INVARIANTS, "site_a", "site_b", "site_c"}
    assert all(told[name].passed for name in INVARIANTS)
    assert set(instance.get_materialized_partitions(dg.AssetKey("event_log"))) == set(lab.study.site_ids)
    scored = instance.get_latest_materialization_event(dg.AssetKey(["marts", "outcome_score"]))
    assert scored is not None
    told = scored.asset_materialization.metadata
    assert told["dagster/row_count"].value == 1
    assert {"seconds", "peak_megabytes", "commit"} <= set(told)
    assert lab.rows("select score from marts.outcome_score") == [(18.0,)]
    # Nobody watches here, and still the night sheet says what each step took.
    sheet = json.loads((lab.folder / "reports/night.json").read_bytes())
    parts = ["deliveries received", "marts built and checked", "expectations judged", "marts published"]
    assert [step["step"] for step in sheet["steps"]] == [*parts, "pages of the sites"]
    assert all(step["seconds"] >= 0 and step["peak_megabytes"] > 50 for step in sheet["steps"])
    assert len(sheet["models"]) == 12
    assert outcomes(lab) == ["completed"]


def test_every_site_has_a_summary_with_its_page(lab: Lab, instance: dg.DagsterInstance) -> None:
    bad = phq(2, [0, 1, 2, 3, 9, 0, 0, 0, 0])
    lab.drop("site-a", "1.ndjson", [client("Hartmann"), session(1, "Hartmann"), bad])
    lab.drop("site-b", "1.ndjson", [client()])
    result = run(lab, instance)
    assert result.success
    told = {e.check_name: e for e in result.get_asset_check_evaluations()}
    outcomes = {
        name: (told[name].passed, told[name].severity.value) for name in ("site_a", "site_b", "site_c")
    }
    assert outcomes == {"site_a": (False, "ERROR"), "site_b": (True, "WARN"), "site_c": (False, "WARN")}
    said = told["site_a"].metadata
    assert said["verdict"].value == "Accepted, with 1 line held back."
    assert (said["accepted"].value, said["held_back"].value) == (2, 1)
    assert "never delivered" in str(told["site_c"].metadata["verdict"].value)
    for name in ("site_a", "site_b", "site_c"):
        page = Path(unquote(urlsplit(str(told[name].metadata["page"].value)).path))
        assert name.replace("_", "-") in page.read_text("utf-8")
    reports = instance.get_latest_materialization_event(dg.AssetKey("site_reports"))
    assert reports is not None
    sheet = str(reports.asset_materialization.metadata["night_sheet"].value)  # type: ignore[union-attr]
    assert Path(unquote(urlsplit(sheet).path)).is_file()
    assert "Hartmann" not in repr(told) + repr(reports)


def test_sites_whose_ids_dagster_cannot_tell_apart_have_checks_of_their_own(tmp_path: Path) -> None:
    sites = "sites: [{id: a-1}, {id: a.1}, {id: b-1}]"
    lab = Lab(tmp_path, STUDY.replace("sites: [{id: site-a}, {id: site-b}, {id: site-c}]", sites))
    names = site_checks(lab.study)
    assert len(set(names.values())) == 3
    assert names["b-1"] == "b_1"
    build_definitions(lab.study)


def test_a_broken_invariant_blocks_publication_and_reports(
    lab: Lab, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.drop("site-a", "1.ndjson", [client()])
    tell_always(lab)
    assert run(lab, instance).success
    before = sorted(p.name for p in (lab.folder / "marts").iterdir())
    lab.drop("site-a", "2.ndjson", [session(1)])
    real = warehouse.load

    def lose(duck, *given):  # type: ignore[no-untyped-def]
        real(duck, *given)
        duck.execute("create or replace table kept as select * from log.fact limit 1")
        duck.execute("create or replace view log.fact as select * from kept")

    monkeypatch.setattr(warehouse, "load", lose)
    result = run(lab, instance)
    assert not result.success
    assert [e.check_name for e in result.get_asset_check_evaluations() if not e.passed] == ["conservation"]
    made = {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()}
    assert not made & {"published_database", "site_reports"}
    assert outcomes(lab) == ["completed", "failed"]
    assert sorted(p.name for p in (lab.folder / "marts").iterdir()) == before


def test_lineage_scope_and_source_are_on_the_assets(lab: Lab) -> None:
    graph = build_definitions(lab.study).resolve_asset_graph()
    node = graph.get(dg.AssetKey(["marts", "instrument_score"]))
    assert dg.AssetKey(["intermediate", "answer"]) in node.parent_keys
    assert node.metadata["scope"] == "site"
    assert "keyed" in str(node.metadata["dagster/column_lineage"])
    assert "select" in (node.description or "")


def test_schedule_and_sensor(lab: Lab) -> None:
    definitions = build_definitions(lab.study)
    schedule = definitions.resolve_schedule_def("nightly_schedule")
    assert schedule.cron_schedule == "0 2 * * *"
    sensor = definitions.resolve_sensor_def("new_deliveries")
    with dg.build_sensor_context() as context:
        assert isinstance(sensor(context), dg.SkipReason)
        lab.drop("site-a", "1.ndjson", [client()])
        request = sensor(context)
        assert isinstance(request, dg.RunRequest)
        assert request.tags == all_sites(lab.study)


def test_the_workspace_opens_on_the_example_study(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-w", str(ROOT / "workspace.yaml")],
        cwd=tmp_path,
        env={"PATH": "", "HOME": str(tmp_path), "DAGSTER_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Validation successful" in done.stderr + done.stdout
