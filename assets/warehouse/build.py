"""From the log to one published DuckDB file.

The marts are a pure function of (commits up to a head, code, study.yaml). They are built in a working file,
checked, copied in a fixed order into a fresh file with a pinned storage version, fsynced, and only then shown
by switching `marts/current.duckdb`. A reader that holds yesterday's file keeps it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from dyadlog.assets.event_log.log import EventLog, Head
from dyadlog.assets.event_log.storage import fsync
from dyadlog.assets.version import code_version
from dyadlog.assets.warehouse import inputs, steps
from dyadlog.assets.warehouse.models import Model, models
from dyadlog.assets.warehouse.published import as_of_file, build_file, building, marts_folder, show
from dyadlog.schemas.frames import failures
from dyadlog.schemas.marts import contracts
from dyadlog.schemas.study import Study

# Clients of DuckDB 1.2 must be able to open what analysts get.
STORAGE_VERSION = "v1.2.0"
PUBLISHED = ("marts", "quality")

Expectations = Callable[[duckdb.DuckDBPyConnection, Study], None]


class BuildError(Exception):
    """The marts failed a check before publication; yesterday's stay in place."""


@dataclass(frozen=True)
class Step:
    """What building one model took: rows, seconds, and the process' peak memory so far (MB)."""

    model: str
    rows: int
    seconds: float
    peak_megabytes: float


@dataclass
class Build:
    """One build of the marts.

    Args:
        head: the newest commit that went in.
        path: the file.
        digest: digest of the sorted content of all marts.
        steps: what each model took.
    """

    head: Head
    path: Path
    digest: str
    steps: list[Step] = field(default_factory=list)


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
        with building(study), duckdb.connect(str(folder / "work.duckdb")) as duck:
            duck.execute(f"set temp_directory='{folder / 'spill'}'")
            duck.execute("set preserve_insertion_order=false")
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


def load(duck: duckdb.DuckDBPyConnection, study: Study, log: EventLog, upto: int) -> None:
    """Put the inputs of the models in place: the log up to a commit and the study's constants."""
    inputs.load_log(duck, log, upto)
    inputs.load_study(duck, study)
    inputs.load_checks(duck)
    for layer in ("staging", "intermediate", "marts", "quality"):
        duck.execute(f"create schema {layer}")


def run_model(duck: duckdb.DuckDBPyConnection, model: Model) -> Step:
    """Build one model's table."""
    start = time.perf_counter()
    duck.execute(f"create table {model.name} as {model.sql}")
    seconds = time.perf_counter() - start
    ((rows,),) = duck.execute(f"select count(*) from {model.name}").fetchall()
    return Step(model.name, rows, seconds, _peak_megabytes())


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def check_invariants(duck: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    """The laws that block publication.

    Conservation is recomputed from the log's rows, not from the receipts' own sums.

    Returns:
        for each law the sentences that say where it is broken.
    """
    ((unbalanced,),) = duck.execute(_CONSERVATION).fetchall()
    broken: dict[str, list[str]] = {
        "conservation": [f"{unbalanced} deliveries do not balance against the log"] if unbalanced else [],
        "unique_keys": [],
        "contracts": [],
    }
    for name, table in contracts().items():
        key = ", ".join(table.grain)
        ((double,),) = duck.execute(
            f"select count(*) from (select 1 from {name} group by {key} having count(*) > 1)"
        ).fetchall()
        if double:
            broken["unique_keys"].append(f"{name}: {double} keys ({key}) are not unique")
        broken["contracts"] += _contract(duck, name)
    return broken


_CONSERVATION = """
with line as (
  select commit_seq, line_number,
         bool_or(status = 'held_back') as held_back, bool_and(status = 'duplicate') as duplicate, count(*) as facts
  from log.fact group by commit_seq, line_number
),
counted as (
  select commit_seq, count(*) as lines, sum(facts) as facts,
         count(*) filter (where held_back) as held_back,
         count(*) filter (where duplicate and not held_back) as duplicate,
         count(*) filter (where not held_back and not duplicate) as accepted
  from line group by commit_seq
),
-- with what was erased since; every row of a receipt that is not here must be there
whole as (
  select commit_seq, sum(lines) as lines, sum(facts) as facts, sum(accepted) as accepted,
         sum(duplicate) as duplicate, sum(held_back) as held_back
  from (select * from counted union all by name select * from log.erased) group by commit_seq
)
select count(*)
from log.commit as told left join whole as counted using (commit_seq)
where told.lines <> told.accepted + told.duplicate + told.held_back
   or (told.kind = 'delivery' and (coalesce(counted.lines, 0), coalesce(counted.facts, 0), coalesce(counted.accepted, 0),
       coalesce(counted.duplicate, 0), coalesce(counted.held_back, 0))
       <> (told.lines, told.facts, told.accepted, told.duplicate, told.held_back))
   or (told.kind <> 'delivery' and counted.lines is not null)
   or (told.kind = 'rejected_file' and told.lines <> 0)
"""


def _contract(duck: duckdb.DuckDBPyConnection, name: str) -> list[str]:
    table = contracts()[name]
    found = duck.execute(f"select column_name, column_type from (describe {name})").fetchall()
    stated = [(column, spec.type) for column, spec in table.columns.items()]
    if found != stated:
        off = [f"{a} {b}" for a, b in found if (a, b) not in stated] or ["order of columns"]
        return [f"{name}: not as its contract says: {', '.join(off)}"]
    frame = duck.sql(f"select * from {name}").pl()
    wrong = {(code, column) for _, code, column in failures(table.frame_schema(), frame)}
    return [f"{name}.{column}: {code}" for code, column in sorted(wrong)]


def digest_tables(duck: duckdb.DuckDBPyConnection, schemas: tuple[str, ...] = ("marts",)) -> str:
    """Digest of the content of all tables of some schemas, whatever the order of rows."""
    whole = hashlib.sha256()
    for name in sorted(contracts()):
        if name.split(".")[0] not in schemas:
            continue
        ((content,),) = duck.execute(
            f"select coalesce(sha256(string_agg(line, '' order by line)), '') from (select md5(t::varchar) as line from {name} as t)"
        ).fetchall()
        whole.update(f"{name}\n{content}\n".encode())
    return whole.hexdigest()


def write(duck: duckdb.DuckDBPyConnection, study: Study, head: Head, target: Path) -> Build:
    """Copy the checked tables into a fresh file, in a fixed order; nobody sees it before it is shown."""
    target.parent.mkdir(exist_ok=True)
    digest = digest_tables(duck)
    ((work,),) = duck.execute(
        "select path from duckdb_databases() where database_name = current_database()"
    ).fetchall()
    fresh = Path(work).parent / "fresh.duckdb"
    duck.execute(f"attach '{fresh}' as fresh (storage_version '{STORAGE_VERSION}')")
    for schema in (*PUBLISHED, "meta"):
        duck.execute(f"create schema fresh.{schema}")
    for name, table in contracts().items():
        duck.execute(f"create table fresh.{name} as select * from {name} order by {', '.join(table.grain)}")
        notes = models()[name].notes.replace("'", "''")
        duck.execute(f"comment on table fresh.{name} is '{notes}'")
        for column, spec in table.columns.items():
            duck.execute(
                f"comment on column fresh.{name}.\"{column}\" is '{spec.comment.replace(chr(39), chr(39) * 2)}'"
            )
    duck.execute(
        "create table fresh.meta.build as select $study as study, $seq::bigint as commit_seq, $head as commit_sha256, "
        "$code as code_version, $rules as rules_digest, $digest as marts_digest, $simulated::boolean as is_simulated",
        {
            "study": study.protocol.study,
            "seq": head.seq,
            "head": head.sha256,
            "code": code_version(),
            "rules": study.rules_digest,
            "digest": digest,
            "simulated": study.protocol.simulated,
        },
    )
    duck.execute("detach fresh")
    fsync(fresh)
    fresh.replace(target)
    fsync(target.parent)
    return Build(head, target, digest)


def build_all(
    study: Study,
    log: EventLog,
    *,
    expectations: Expectations | None = None,
    threads: int | None = None,
    told: Callable[[Step], None] | None = None,
    as_of: Head | None = None,
) -> Build:
    """Build, check and publish the marts of the log's head, or only build those of an earlier head.

    Args:
        study: the protocol.
        log: the event log.
        expectations: fills `checks.expectation`; runs when all models it may look at are there.
        threads: DuckDB threads.
        told: called after each model.
        as_of: an earlier head of the log; its marts are left beside the published ones.

    Raises:
        BuildError: an invariant does not hold; nothing was published.
    """
    head = as_of or log.head()
    with working_database(study, threads=threads) as duck:
        taken = []
        for step in run_models(duck, study, log, head, expectations=expectations):
            taken.append(step)
            if told:
                told(step)
        if broken := [sentence for sentences in check_invariants(duck).values() for sentence in sentences]:
            raise BuildError("; ".join(broken))
        build = write(duck, study, head, as_of_file(study, head) if as_of else build_file(study, head))
        build.steps = taken
    if not as_of:
        show(study, build.path)
    return build


def run_models(
    duck: duckdb.DuckDBPyConnection,
    study: Study,
    log: EventLog,
    head: Head,
    *,
    expectations: Expectations | None = None,
) -> Iterator[Step]:
    """Run all models in order; the expectations run when all they may look at is there."""
    load(duck, study, log, head.seq)
    early = [model for model in models().values() if "checks.expectation" not in model.reads]
    late = [model for model in models().values() if model not in early]
    for model in early:
        yield run_model(duck, model)
    if expectations:
        start = time.perf_counter()
        expectations(duck, study)
        ((rows,),) = duck.execute("select count(*) from checks.expectation").fetchall()
        yield Step("checks.expectation", rows, time.perf_counter() - start, _peak_megabytes())
    for model in late:
        yield run_model(duck, model)
