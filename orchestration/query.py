"""Analysts' SQL on the published file: read-only, jailed, shown as a table or as CSV."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import duckdb

from dyadlog.assets.warehouse.published import as_of_file, current
from dyadlog.schemas.errors import UserError
from dyadlog.schemas.study import Study

SHOWN_ROWS = 200


def connect(study: Study, path: Path | None = None) -> duckdb.DuckDBPyConnection:
    """Open the published marts read-only, without access to files, network, extensions or settings.

    Args:
        study: the study.
        path: other marts than the published ones.

    Raises:
        UserError: nothing is published yet.
    """
    path = path or current(study)
    if path is None:
        raise UserError(f"{study.folder}: no marts yet; run `dyadlog night -s {study.folder}` first")
    duck = duckdb.connect(str(path), read_only=True)
    duck.execute("set enable_external_access=false")
    duck.execute("set lock_configuration=true")
    return duck


def ask(study: Study, query: str, *, as_csv: bool, as_of: str | None = None) -> None:
    """Run one statement and write its result to standard output.

    Args:
        study: the study.
        query: the statement.
        as_csv: as text with commas, not as a table.
        as_of: ask the marts as they would have been at this commit or day, by today's code and rules.

    Raises:
        UserError: DuckDB does not accept the statement, or there was no such commit.
    """
    with connect(study, marts_as_of(study, as_of) if as_of else None) as duck:
        try:
            result = duck.execute(query)
            names = [column[0] for column in result.description or []]
            if as_csv:
                writer = csv.writer(sys.stdout, lineterminator="\n")
                writer.writerow(names)
                while rows := result.fetchmany(10_000):
                    writer.writerows(rows)
                return
            rows = result.fetchmany(SHOWN_ROWS + 1)
        except duckdb.Error as error:
            raise UserError(f"DuckDB does not accept the statement: {error}") from None
    _table(names, rows)


def marts_as_of(study: Study, as_of: str) -> Path:
    """The marts of an earlier commit or day; built if they are not there.

    Raises:
        UserError: there was no such commit.
    """
    from dyadlog.assets.event_log.history import head_at
    from dyadlog.assets.intake.receive import open_log

    log = open_log(study)
    head = head_at(log, as_of)
    path = as_of_file(study, head)
    if not path.exists():
        from dyadlog.assets.quality.expectations import run_expectations
        from dyadlog.assets.warehouse.build import build_all

        build_all(study, log, expectations=run_expectations, as_of=head)
    return path


def _table(names: list[str], rows: list[tuple[object, ...]]) -> None:
    from rich import box
    from rich.table import Table

    from dyadlog.orchestration.screen import console

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for position, name in enumerate(names):
        numeric = all(isinstance(row[position], int | float | None) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows[:SHOWN_ROWS]:
        table.add_row(
            *("" if cell is None else f"{cell:.6g}" if isinstance(cell, float) else str(cell) for cell in row)
        )
    out = console()
    out.print(table)
    if len(rows) > SHOWN_ROWS:
        out.print(f"the first {SHOWN_ROWS} rows; --csv writes all")
