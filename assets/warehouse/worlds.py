"""What a mart's row would be, had a site told us less: many subsets of its events in one build.

Models that keep `scope: site` never mix rows of two sites. So every subset becomes a site of its own, and one build
shows all of them side by side. Figures that combine sites are taken as published and count as constants.
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from dyadlog.assets.event_log.log import EventLog
from dyadlog.assets.warehouse import inputs, steps
from dyadlog.assets.warehouse.models import Model, models, scope_breaches
from dyadlog.schemas.study import Study

Row = dict[str, Any]


def is_constant(name: str) -> bool:
    """Whether a table holds figures of the whole study, which rows of sites are compared with.

    What a step in Python estimates from all clients together is such a figure, even where it is about one of them.
    """
    model = models().get(name)
    if model is None or model.scope != "study":
        return False
    return "site_id" not in model.grain or not steps.BY_ROW.issuperset(model.python)


@cache
def is_separable(name: str) -> bool:
    """Whether a row rests on events of its own site only, once the figures of the study are taken as they are."""
    model = models()[name]
    if "site_id" not in model.grain or is_constant(name):
        return False
    sql = model.sql
    for other in filter(is_constant, model.reads):
        sql = re.sub(rf"\b{re.escape(other)}\b", f"study.{other.split('.')[1]}", sql)
    reads = tuple(r for r in model.reads if r in models() and not is_constant(r))
    if scope_breaches(replace(model, sql=sql, scope="site", reads=reads), {}):
        return False
    return all(is_separable(other) for other in reads)


def chain(name: str, *, through_constants: bool = False) -> list[Model]:
    """The models that lead to a table and itself, in the order of building."""
    wanted, waiting = set(), [name]
    while waiting:
        model = models()[waiting.pop()]
        wanted.add(model.name)
        waiting += [
            r
            for r in model.reads
            if r in models() and r not in wanted and (through_constants or not is_constant(r))
        ]
    return [model for model in models().values() if model.name in wanted]


class Worlds:
    """Builds one table from chosen events of one site.

    Args:
        study: the protocol.
        log: the event log.
        upto: the last commit that counts.
        published: the marts of that commit, for figures of the whole study.
        mart: the table.
        site_id: the site.
    """

    def __init__(
        self, study: Study, log: EventLog, upto: int, published: Path, mart: str, site_id: str
    ) -> None:
        self.duck = duckdb.connect()
        steps.register(self.duck)
        self.mart = mart
        self._site = site_id
        self._chain = chain(mart)
        inputs.load_log(self.duck, log, log.commits()[:upto])
        inputs.load_study(self.duck, study)
        for layer in ("staging", "intermediate", "marts"):
            self.duck.execute(f"create schema {layer}")
        self.duck.execute(
            "create table arrived as select * from log.fact where status = 'accepted' and site_id = $site",
            {"site": site_id},
        )
        self.duck.execute("drop view log.fact")
        # What study.yaml says of the site holds in each of its worlds.
        self._of_site = [
            name
            for name, columns in inputs.TABLES.items()
            if name.startswith("study.") and "site_id" in columns
        ]
        for name in self._of_site:
            kept = f"create table kept_{name.split('.')[1]} as select * from {name} where site_id = $site"
            self.duck.execute(kept, {"site": site_id})
        self.duck.execute(f"attach '{str(published).replace(chr(39), chr(39) * 2)}' as published (read_only)")
        self.constants = sorted({r for model in self._chain for r in model.reads if is_constant(r)})
        for name in self.constants:
            self.duck.execute(f"create table {name} as select * from published.{name}")

    def close(self) -> None:
        """Release DuckDB."""
        self.duck.close()

    def events(self, client_id: str | None) -> frozenset[str]:
        """Events of the site, or those that ever spoke of one client."""
        found = self.duck.execute(
            "select distinct event_id from arrived where $client is null or client_id = $client",
            {"client": client_id},
        ).fetchall()
        return frozenset(event for (event,) in found)

    def groups(self, among: Set[str]) -> list[frozenset[str]]:
        """Events of one kind and form belong together."""
        found = self.duck.execute(
            "select event_id, array_agg(distinct (event_type, payload ->> '$.instrument', payload ->> '$.version', "
            "payload ->> '$.rater'))::varchar from arrived group by event_id"
        ).fetchall()
        groups: dict[str, set[str]] = {}
        for event, kind in found:
            if event in among:
                groups.setdefault(kind, set()).add(event)
        return [frozenset(groups[kind]) for kind in sorted(groups)]

    def rows(self, key: Row, worlds: Sequence[Set[str]]) -> list[Row | None]:
        """The row with a key in each world; None where there is no such row.

        Args:
            key: columns of the grain and their values.
            worlds: the events that each world knows.
        """
        member = pl.DataFrame(
            [(f"{self._site}~{n}", event) for n, world in enumerate(worlds) for event in sorted(world)],
            schema={"world": pl.String, "event_id": pl.String},
            orient="row",
        )
        self.duck.register("member", member.to_arrow())
        self.duck.execute(
            "create or replace table log.fact as select arrived.* replace (member.world as site_id) "
            "from arrived inner join member using (event_id)"
        )
        for name in self._of_site:
            self.duck.execute(
                f"create or replace table {name} as select kept.* replace (world as site_id) "
                f"from kept_{name.split('.')[1]} as kept cross join (select distinct world from member)"
            )
        self.duck.unregister("member")
        for model in self._chain:
            self.duck.execute(f"create or replace table {model.name} as {model.sql}")
        rest = {column: value for column, value in key.items() if column != "site_id"}
        same = " and ".join(f"{column} is not distinct from ${column}" for column in rest) or "true"
        found = self.duck.execute(f"select * from {self.mart} where {same}", rest)
        names = [column[0] for column in found.description or []]
        by_world = {
            row["site_id"]: row for row in (dict(zip(names, r, strict=True)) for r in found.fetchall())
        }
        made = [by_world.get(f"{self._site}~{n}") for n in range(len(worlds))]
        return [row and {**row, "site_id": self._site} for row in made]
