"""From the log to one published DuckDB file.

The marts are a pure function of (commits up to a head, code, study.yaml). They are built in a working file,
checked, copied into a fresh file with a pinned storage version, fsynced, and only then shown
by switching `marts/current.duckdb`. A reader that holds yesterday's file keeps it.

Models with `scope: site` run for the sites with news only; the results of the others are kept (`kept.py`).
"""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import duckdb

from dyadlog.assets.event_log.log import EventLog, Head
from dyadlog.assets.warehouse import inputs
from dyadlog.assets.warehouse.checks import (
    Broken,
    Contents,
    check_balance,
    check_tables,
    contents,
    digest,
)
from dyadlog.assets.warehouse.file import Build, write_file
from dyadlog.assets.warehouse.kept import Result, Shelf, built_by_site, show_tables, site_keys
from dyadlog.assets.warehouse.models import Model, models
from dyadlog.assets.warehouse.published import as_of_file, build_file, show
from dyadlog.assets.warehouse.work import Step, beside, peak_megabytes, run_model, working_database
from dyadlog.schemas.marts import contracts
from dyadlog.schemas.study import Study

__all__ = [
    "Build",
    "BuildError",
    "Building",
    "Step",
    "build_all",
    "building",
    "run_model",
    "run_models",
    "working_database",
]

LAYERS = ("staging", "intermediate", "marts", "quality")

# Facts of the sites that are built together: enough to be quick, few enough for little memory.
BATCH = 500_000


class Expectations(Protocol):
    """Fills `checks.expectation` when all models it may look at are there."""

    def __call__(
        self, duck: duckdb.DuckDBPyConnection, study: Study, *, site_keys: Mapping[str, str] | None = None
    ) -> None:
        """With keys, what was found about a site may be remembered under its own."""


class BuildError(Exception):
    """The marts failed a check before publication; yesterday's stay in place."""


def load(
    duck: duckdb.DuckDBPyConnection,
    study: Study,
    log: EventLog,
    upto: int,
    sites: Collection[str] | None = None,
) -> None:
    """Put the inputs of the models in place: the log up to a commit and the study's constants.

    Args:
        duck: where.
        study: the protocol.
        log: the event log.
        upto: number of the last commit.
        sites: only these sites; all if None.
    """
    commits = log.commits()[:upto]
    if sites is not None:
        commits = [commit for commit in commits if commit.receipt.site_id in sites]
    inputs.load_log(duck, log, commits)
    inputs.load_study(duck, study, sites)
    inputs.load_checks(duck, study, commits)
    for layer in LAYERS:
        duck.execute(f"create schema {layer}")


class Building:
    """One build, step by step: `run`, `broken`, `write`.

    Args:
        study: the protocol.
        log: the event log.
        head: the newest commit that goes in.
        duck: an empty working database.
        shelf: the kept results of the sites.
    """

    def __init__(
        self, study: Study, log: EventLog, head: Head, duck: duckdb.DuckDBPyConnection, shelf: Shelf
    ) -> None:
        self._study = study
        self._log = log
        self._head = head
        self._duck = duck
        self._shelf = shelf
        self._broken = Broken()
        self._keys = site_keys(study, log, head.seq)
        self._results: dict[str, Result] = {}
        self._contents: dict[str, Contents] = {}
        self._seconds: defaultdict[str, float] = defaultdict(float)

    def run(self, expectations: Expectations | None = None) -> Iterator[Step]:
        """Build all tables."""
        known = {site_id: self._shelf.find(site_id, key) for site_id, key in self._keys.items()}
        self._results = {site_id: result for site_id, result in known.items() if result}
        for sites in self._batches([site_id for site_id in known if site_id not in self._results]):
            self._build_sites(sites)
        load(self._duck, self._study, self._log, self._head.seq)
        show_tables(self._duck, self._results)
        for name in built_by_site():
            rows = sum(result.rows[name] for result in self._results.values())
            yield Step(name, rows, self._seconds[name], peak_megabytes())
        rest = [model for name, model in models().items() if name not in built_by_site()]
        judge = partial(expectations, site_keys=self._keys) if expectations else None
        yield from _run(self._duck, self._study, rest, judge)
        self._look_at([model.name for model in rest])

    def _batches(self, sites: list[str]) -> Iterator[list[str]]:
        """Sites that are built together."""
        batch: list[str] = []
        facts = 0
        for site_id in sites:
            commits = (c for c in self._log.of_site(site_id) if c.seq <= self._head.seq)
            own = sum(segment.rows for commit in commits for segment in commit.segments)
            if batch and facts + own > BATCH:
                yield batch
                batch, facts = [], 0
            batch.append(site_id)
            facts += own
        if batch:
            yield batch

    def _build_sites(self, sites: list[str]) -> None:
        with beside(self._duck) as duck:
            load(duck, self._study, self._log, self._head.seq, sites)
            rows: dict[str, dict[str, int]] = {site_id: {} for site_id in sites}
            for name in built_by_site():
                self._seconds[name] += run_model(duck, models()[name]).seconds
                counted = duck.execute(f"select site_id, count(*) from {name} group by site_id").fetchall()
                for site_id in sites:
                    rows[site_id][name] = dict(counted).get(site_id, 0)
            published = [name for name in built_by_site() if name in contracts()]
            broken = check_balance(duck)
            broken.add(check_tables(duck, published))
            self._broken.add(broken)
            found = {name: contents(duck, name) for name in published}
            for site_id in sites:
                own = {name: found[name][site_id] for name in published if site_id in found[name]}
                result = self._shelf.write(duck, site_id, rows[site_id], own)
                self._results[site_id] = result if broken else self._shelf.keep(result, self._keys[site_id])

    def _look_at(self, names: Sequence[str]) -> None:
        """Check the tables that were built over all sites, and gather the digests of all."""
        published = [name for name in names if name in contracts()]
        self._broken.add(check_tables(self._duck, published))
        self._contents = {name: contents(self._duck, name) for name in published}
        for name in set(contracts()) - set(published):
            self._contents[name] = {
                site_id: result.contents[name]
                for site_id, result in self._results.items()
                if name in result.contents
            }

    def broken(self) -> dict[str, list[str]]:
        """For each law that blocks publication the sentences that say where it is broken."""
        return self._broken.sentences()

    def write(self, target: Path) -> Build:
        """Write the checked tables into a file; nobody sees it before it is shown."""
        build = Build(self._head, target, digest(self._contents, "marts"), digest(self._contents, "quality"))
        erasures = (c.seq for c in self._log.commits()[: self._head.seq] if c.kind == "erasure")
        write_file(self._duck, self._study, build, self._contents, erased_at=max(erasures, default=0))
        return build

    def keep_only_this(self) -> None:
        """Drop the kept results that a night after this one cannot need."""
        self._shelf.keep_only(self._keys)


@contextlib.contextmanager
def building(study: Study, log: EventLog, head: Head, *, threads: int | None = None) -> Iterator[Building]:
    """Begin a build."""
    with working_database(study, threads=threads) as duck, Shelf(study).opened() as shelf:
        yield Building(study, log, head, duck, shelf)


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
    with building(study, log, head, threads=threads) as made:
        taken = []
        for step in made.run(expectations):
            taken.append(step)
            if told:
                told(step)
        if broken := [sentence for sentences in made.broken().values() for sentence in sentences]:
            raise BuildError("; ".join(broken))
        build = made.write(as_of_file(study, head) if as_of else build_file(study, head))
        build.steps = taken
        if not as_of:
            made.keep_only_this()
    if not as_of:
        show(study, build.path)
    return build


def run_models(duck: duckdb.DuckDBPyConnection, study: Study, log: EventLog, head: Head) -> Iterator[Step]:
    """Run all models over all sites at once, without expectations and without keeping anything."""
    load(duck, study, log, head.seq)
    yield from _run(duck, study, list(models().values()))


def _run(
    duck: duckdb.DuckDBPyConnection,
    study: Study,
    wanted: list[Model],
    expectations: Callable[[duckdb.DuckDBPyConnection, Study], None] | None = None,
) -> Iterator[Step]:
    """Run models in order; the expectations run when all they may look at is there."""
    early = [model for model in wanted if "checks.expectation" not in model.reads]
    late = [model for model in wanted if model not in early]
    for model in early:
        yield run_model(duck, model)
    if expectations:
        start = time.perf_counter()
        expectations(duck, study)
        ((rows,),) = duck.execute("select count(*) from checks.expectation").fetchall()
        yield Step("checks.expectation", rows, time.perf_counter() - start, peak_megabytes())
    for model in late:
        yield run_model(duck, model)
