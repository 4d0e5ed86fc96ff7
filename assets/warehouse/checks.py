"""The laws that block publication, and the digest of what is published."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import duckdb

from dyadlog.schemas.frames import failures
from dyadlog.schemas.marts import contracts

# Digest of a table's rows by site; under '' where the table has no sites, or a row is about all of them.
Contents = Mapping[str, str]


@dataclass
class Broken:
    """Where the laws are broken, with the sentences that say so.

    Args:
        unbalanced: how often, by law of conservation.
        double: keys of a table that are not unique.
        contracts: what is not as its contract says.
    """

    unbalanced: Counter[str] = field(default_factory=Counter)
    double: dict[str, int] = field(default_factory=dict)
    contracts: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.unbalanced or self.double or self.contracts)

    def add(self, other: Broken) -> None:
        """Take in what was found elsewhere, about other rows."""
        self.unbalanced += other.unbalanced
        for name, keys in other.double.items():
            self.double[name] = self.double.get(name, 0) + keys
        self.contracts |= other.contracts

    def sentences(self) -> dict[str, list[str]]:
        """For each law the sentences that say where it is broken."""
        return {
            "conservation": [f"{n} {what}" for what, n in self.unbalanced.items()],
            "unique_keys": [
                f"{name}: {keys} keys ({', '.join(contracts()[name].grain)}) are not unique"
                for name, keys in self.double.items()
            ],
            "contracts": sorted(self.contracts),
        }


def check_balance(duck: duckdb.DuckDBPyConnection) -> Broken:
    """Conservation, recomputed from the log's rows, not from the receipts' own sums."""
    found = {what: duck.execute(sql).fetchone() for what, sql in CONSERVATION.items()}
    return Broken(Counter({what: row[0] for what, row in found.items() if row and row[0]}))


def check_tables(duck: duckdb.DuckDBPyConnection, names: Iterable[str]) -> Broken:
    """Unique keys and contracts of some published tables."""
    broken = Broken()
    for name in names:
        key = ", ".join(contracts()[name].grain)
        ((double,),) = duck.execute(
            f"select count(*) from (select 1 from {name} group by {key} having count(*) > 1)"
        ).fetchall()
        if double:
            broken.double[name] = double
        broken.contracts.update(_contract(duck, name))
    return broken


_BALANCE = """
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
-- with what was erased since: every row of a receipt that is not here must be there
whole as (
  select commit_seq, sum(lines) as lines, sum(facts) as facts, sum(accepted) as accepted,
         sum(duplicate) as duplicate, sum(held_back) as held_back
  from (select * from counted union all by name select * from log.erased) group by commit_seq
)
select count(*)
from (
  select commit_seq, kind, lines, facts, accepted, duplicate, held_back from log.commit
  union all
  select commit_seq, kind, lines, facts, accepted, duplicate, held_back from log.act
) as told left join whole as counted using (commit_seq)
where told.lines <> told.accepted + told.duplicate + told.held_back
   or (told.kind in ('delivery', 'release') and (coalesce(counted.lines, 0), coalesce(counted.facts, 0), coalesce(counted.accepted, 0),
       coalesce(counted.duplicate, 0), coalesce(counted.held_back, 0))
       <> (told.lines, told.facts, told.accepted, told.duplicate, told.held_back))
   or (told.kind not in ('delivery', 'release') and counted.lines is not null)
   or (told.kind in ('rejected_file', 'void') and told.lines <> 0)
"""

_RELEASED_ONCE = """
with entered as (
  select act.about as commit_seq, fact.line_number, count(distinct act.commit_seq) as times
  from log.act as act
  inner join log.fact as fact using (commit_seq)
  where act.kind = 'release'
  group by act.about, fact.line_number
),
held as (
  select distinct commit_seq, line_number
  from log.fact
  where status = 'held_back' and commit_seq in (select about from log.act)
)
select count(*)
from entered left join held using (commit_seq, line_number)
where entered.times > 1 or held.line_number is null
"""


# Each counts what breaks it.
CONSERVATION = {
    "deliveries do not balance against the log": _BALANCE,
    "released lines were not held back, or came in twice": _RELEASED_ONCE,
}


def _contract(duck: duckdb.DuckDBPyConnection, name: str) -> list[str]:
    table = contracts()[name]
    found = duck.execute(f"select column_name, column_type from (describe {name})").fetchall()
    stated = [(column, spec.type) for column, spec in table.columns.items()]
    if found != stated:
        off = [f"{a} {b}" for a, b in found if (a, b) not in stated] or ["order of columns"]
        return [f"{name}: not as its contract says: {', '.join(off)}"]
    # Pandera looks at the columns in which anything can be wrong, and at each combination of values once.
    filled = ", ".join(f'count("{column}")' for column in table.columns)
    ((rows, *counts),) = duck.execute(f"select count(*), {filled} from {name}").fetchall()
    asked = [
        column
        for (column, spec), n in zip(table.columns.items(), counts, strict=True)
        if spec.values or (n < rows and spec.empty is None)
    ]
    if not rows or not asked:
        return []
    frame = duck.sql(
        "select distinct {} from {}".format(", ".join(f'"{column}"' for column in asked), name)
    ).pl()
    wrong = {(code, column) for _, code, column in failures(table.frame_schema(asked), frame)}
    return [f"{name}.{column}: {code}" for code, column in sorted(wrong)]


def contents(duck: duckdb.DuckDBPyConnection, name: str) -> Contents:
    """Digest of a table's rows, whatever their order, by site: how many, and the sum of DuckDB's hashes of the rows.

    It tells two builds apart and guards nothing against a forger: that is the work of the log. One and the same version
    of DuckDB gives the same hash everywhere; the version is locked.
    """
    site = "coalesce(site_id, '')" if "site_id" in contracts()[name].columns else "''"
    rows = duck.execute(
        f"select {site} as site, count(*) || ' ' || sum(hash(t)) from {name} as t group by site"
    ).fetchall()
    return dict(rows)


def digest(found: Mapping[str, Contents], schema: str) -> str:
    """Digest of all tables of a schema."""
    whole = hashlib.sha256()
    for name in sorted(name for name in found if name.startswith(f"{schema}.")):
        told = "".join(f"{site} {content}\n" for site, content in sorted(found[name].items()))
        whole.update(f"{name}\n{told}".encode())
    return whole.hexdigest()
