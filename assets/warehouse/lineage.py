"""Which columns a column is made of, read from the models' SQL."""

from __future__ import annotations

from functools import cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import OptimizeError, SqlglotError
from sqlglot.lineage import lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope
from sqlglot.schema import MappingSchema

from dyadlog.assets.warehouse.inputs import TABLES
from dyadlog.assets.warehouse.models import models
from dyadlog.schemas.marts import contracts


@cache
def column_lineage(name: str) -> dict[str, list[tuple[str, str]]]:
    """For each column of a model the (table, column) pairs it is made of.

    Args:
        name: a model.

    Returns:
        columns in their order; an empty list where the SQL does not tell (a constant).
    """
    # Qualified once for all columns: that is the costly part.
    try:
        tree = qualify(
            sqlglot.parse_one(models()[name].sql, dialect="duckdb"),
            dialect="duckdb",
            schema=_schema(),
            validate_qualify_columns=False,
            identify=False,
        )
    except OptimizeError:
        # rows taken as a whole (struct): a column comes from the one of its name
        return {
            column: [(table, column) for table in models()[name].reads if column in _columns(table)]
            for column in _columns(name)
        }
    scope = build_scope(tree)
    found: dict[str, list[tuple[str, str]]] = {column: [] for column in _columns(name)}
    try:
        nodes = lineage(None, tree, _schema(), dialect="duckdb", scope=scope, trim_selects=False, copy=False)
    except SqlglotError:
        return found
    for column in found:
        sources = set()
        for part in nodes[column].walk() if column in nodes else ():
            if isinstance(part.expression, exp.Table) and part.expression.db:
                origin = f"{part.expression.db}.{part.expression.name}"
                sources.add((origin, part.name.split(".")[-1]))
        found[column] = sorted(s for s in sources if s[0] in models() or s[0].startswith("log."))
    return found


@cache
def _schema() -> MappingSchema:
    """Every table with its columns; made once, as that is most of the cost."""
    schema = MappingSchema(dialect="duckdb")
    for table in (*TABLES, *models()):
        schema.add_table(table, dict.fromkeys(_columns(table), "varchar"), match_depth=False)
    return schema


def ancestry(name: str, column: str) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """A column and all it is made of, down to the log: (table, column, what it is made of), nearest first."""
    told, waiting, seen = [], [(name, column)], {(name, column)}
    while waiting:
        table, part = waiting.pop(0)
        sources = column_lineage(table).get(part, []) if table in models() else []
        told.append((table, part, sources))
        waiting += [source for source in sources if source not in seen]
        seen.update(sources)
    return told


@cache
def _columns(name: str) -> tuple[str, ...]:
    if name in TABLES:
        return tuple(TABLES[name])
    contract = contracts().get(name)
    if contract:
        return tuple(contract.columns)
    tree = sqlglot.parse_one(models()[name].sql, dialect="duckdb")
    return (
        tuple(tree.named_selects) if isinstance(tree, exp.Query) else ()
    )  # staging and intermediate models that others read name their columns
