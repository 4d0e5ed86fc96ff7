"""The working database of a build, and the running of one model in it."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from dyadlog.assets.warehouse import steps
from dyadlog.assets.warehouse.models import Model
from dyadlog.assets.warehouse.published import marts_folder, under_way
from dyadlog.schemas.study import Study

# What DuckDB may hold of a build; what is more waits on disk. Steps in Python come on top of it.
MEMORY = "2GB"


@dataclass(frozen=True)
class Step:
    """What building one model took: rows, seconds, and the process' peak memory so far (MB)."""

    model: str
    rows: int
    seconds: float
    peak_megabytes: float


@contextlib.contextmanager
def working_database(study: Study, *, threads: int | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A fresh working database beside the marts; gone afterwards, whatever happens."""
    marts = marts_folder(study)
    marts.mkdir(parents=True, exist_ok=True)
    for left in marts.glob("work-*"):
        if not _is_alive(int(left.name.split("-")[1])):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"work-{os.getpid()}-", dir=marts))
    try:
        with under_way(study), duckdb.connect() as duck:
            # Nothing here outlives the process, so nothing is written twice for the sake of a crash.
            duck.execute(f"attach '{folder / 'work.duckdb'}' as work (recovery_mode no_wal_writes)")
            duck.execute("use work")
            duck.execute(f"set temp_directory='{folder / 'spill'}'")
            duck.execute("set preserve_insertion_order=false")
            duck.execute(f"set memory_limit='{MEMORY}'")
            steps.register(duck)
            if threads:
                duck.execute(f"set threads={threads}")
            yield duck
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextlib.contextmanager
def beside(duck: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """A second, short-lived database with the settings of the first."""
    names = ("temp_directory", "preserve_insertion_order", "threads", "memory_limit")
    (settings,) = duck.execute(
        f"select {', '.join(f'current_setting({name!r})' for name in names)}"
    ).fetchall()
    with duckdb.connect() as other:
        for name, value in zip(names, settings, strict=True):
            other.execute(f"set {name} = '{value}'")
        steps.register(other)
        yield other


def run_model(duck: duckdb.DuckDBPyConnection, model: Model) -> Step:
    """Build one model's table."""
    start = time.perf_counter()
    try:
        duck.execute(f"create table {model.name} as {model.sql}")
    except duckdb.OutOfMemoryException:  # not all of DuckDB's work can wait on disk
        duck.execute(f"set memory_limit='{_all_memory()}'")
        duck.execute(f"create table {model.name} as {model.sql}")
        duck.execute(f"set memory_limit='{MEMORY}'")
    seconds = time.perf_counter() - start
    ((rows,),) = duck.execute(f"select count(*) from {model.name}").fetchall()
    return Step(model.name, rows, seconds, peak_megabytes())


def _all_memory() -> str:
    """What DuckDB takes if nobody limits it."""
    with duckdb.connect() as other:
        ((limit,),) = other.execute("select current_setting('memory_limit')").fetchall()
    return str(limit)


def peak_megabytes() -> float:
    """Peak memory of the process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
