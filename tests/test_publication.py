"""What analysts see: never half a build, never locked out, open to old clients."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from dyadlog.assets.warehouse import build as warehouse
from dyadlog.assets.warehouse import work
from dyadlog.assets.warehouse.build import BuildError
from dyadlog.assets.warehouse.file import STORAGE_VERSION
from dyadlog.assets.warehouse.models import read_model
from dyadlog.assets.warehouse.published import KEEP
from dyadlog.schemas.marts import contracts
from tests.conftest import Lab, client, phq, session

OLD_CLIENT = "1.2.2"


def test_a_reader_keeps_its_answers_and_a_new_one_sees_the_new_ones(lab: Lab) -> None:
    lab.drop("site-a", "1.ndjson", [client(), session(1)])
    lab.night()
    current = lab.folder / "marts/current.duckdb"
    ask = "select count(*) from marts.session"
    with duckdb.connect(str(current), read_only=True) as reader:
        assert reader.execute(ask).fetchall() == [(1,)]
        for number in range(2, KEEP + 4):  # until the reader's own file has been tidied away
            lab.drop("site-a", f"{number}.ndjson", [session(number)])
            lab.night()
        assert reader.execute(ask).fetchall() == [(1,)]
        other = subprocess.run(
            [
                sys.executable,
                "-c",
                f"import duckdb; print(duckdb.connect({str(current)!r}, read_only=True).sql('{ask}').fetchall())",
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        assert other.stdout.strip() == f"[({KEEP + 3},)]"
    assert len(list((lab.folder / "marts").glob("0*.duckdb"))) == KEEP


def test_old_clients_can_open_the_file(lab: Lab, tmp_path: Path) -> None:
    lab.drop("site-a", "1.ndjson", [client(), session(1), phq(1, 2)])
    build = lab.night()
    place = tmp_path / "old"
    got = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "-q",
            "--no-deps",
            "--target",
            str(place),
            f"duckdb=={OLD_CLIENT}",
        ],
        capture_output=True,
        check=False,
    )
    if got.returncode:
        pytest.skip(f"duckdb {OLD_CLIENT} cannot be installed here")
    script = (
        "import duckdb; "
        f"d = duckdb.connect({str(build.path)!r}, read_only=True); "
        "print(duckdb.__version__, d.execute('select score from marts.outcome_score').fetchall())"
    )
    seen = subprocess.run(
        [sys.executable, "-S", "-c", script],
        env={"PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert seen.stdout.strip() == f"{OLD_CLIENT} [(18.0,)]"
    assert STORAGE_VERSION == "v1.2.0"


def test_a_broken_law_blocks_publication_and_yesterday_stays(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.drop("site-a", "1.ndjson", [client(), session(1)])
    lab.night()
    before = lab.rows("select * from meta.build")
    lab.drop("site-a", "2.ndjson", [session(2)])
    real = warehouse.load

    def lose_a_row(duck, *given):  # type: ignore[no-untyped-def]
        real(duck, *given)
        duck.execute("create or replace table fact_copy as select * from log.fact limit 2")
        duck.execute("create or replace view log.fact as select * from fact_copy")

    monkeypatch.setattr(warehouse, "load", lose_a_row)
    with pytest.raises(BuildError, match="1 deliveries do not balance against the log"):
        lab.night()
    assert lab.rows("select * from meta.build") == before
    assert list((lab.folder / "marts").glob("work-*")) == []


def test_every_published_column_explains_itself(lab: Lab) -> None:
    lab.night()
    silent = lab.rows(
        "select table_name, column_name from duckdb_columns() "
        "where schema_name in ('marts', 'quality') and coalesce(comment, '') = ''"
    )
    assert silent == []
    there = lab.rows(
        "select schema_name || '.' || table_name from duckdb_tables() where schema_name <> 'meta' order by 1"
    )
    assert [name for (name,) in there] == sorted(contracts())


def test_a_study_without_any_delivery_publishes_empty_marts(lab: Lab) -> None:
    lab.night()
    assert lab.rows("select count(*) from marts.session") == [(0,)]
    assert {row[0] for row in lab.rows("select site_id from quality.finding where code = 'SITE_SILENT'")} == {
        "site-a",
        "site-b",
        "site-c",
    }


def test_a_model_that_cannot_wait_on_disk_gets_all_memory(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "MEMORY", "60MB")
    text = "-- marts.long: one long list\n-- grain: numbers\n-- scope: study\nselect list_sort(list(range)) as numbers from range(10_000_000)"
    limit = "select current_setting('memory_limit')"
    with warehouse.working_database(lab.study) as duck:
        duck.execute("create schema marts")
        before = duck.execute(limit).fetchall()
        with pytest.raises(duckdb.OutOfMemoryException):
            duck.execute(read_model(text, "marts.long").sql)
        assert warehouse.run_model(duck, read_model(text, "marts.long")).rows == 1
        assert duck.execute(limit).fetchall() == before
