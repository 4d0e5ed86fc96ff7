"""Which columns a column is made of, read from the models' SQL."""

from __future__ import annotations

from functools import cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import OptimizeError, SqlglotError
from sqlglot.lineage import lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope

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
    schema = {table: dict.fromkeys(_columns(table), "varchar") for table in (*TABLES, *models())}
    layers = {table.split(".")[0] for table in schema}
    nested: dict[str, object] = {
        layer: {
            table.split(".")[1]: columns for table, columns in schema.items() if table.startswith(f"{layer}.")
        }
        for layer in layers
    }
    # Qualified once for all columns: that is the costly part.
    try:
        tree = qualify(
            sqlglot.parse_one(models()[name].sql, dialect="duckdb"),
            dialect="duckdb",
            schema=nested,
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
    found: dict[str, list[tuple[str, str]]] = {}
    for column in _columns(name):
        try:
            node = lineage(column, tree, nested, scope=scope, dialect="duckdb", trim_selects=False)
        except SqlglotError:
            found[column] = []
            continue
        sources = set()
        for part in node.walk():
            if isinstance(part.expression, exp.Table) and part.expression.db:
                origin = f"{part.expression.db}.{part.expression.name}"
                sources.add((origin, part.name.split(".")[-1]))
        found[column] = sorted(s for s in sources if s[0] in models() or s[0].startswith("log."))
    return found


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
