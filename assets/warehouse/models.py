"""The SQL models: what each says of itself, and what is read from its SQL."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from itertools import takewhile
from pathlib import Path

import sqlglot
from sqlglot import exp

import dyadlog.dbt_like_sql

_HEADER = re.compile(r"^-- (?P<key>grain|scope|python): (?P<value>.+)$", re.MULTILINE)
_TITLE = re.compile(r"^-- (?P<name>[a-z_]+\.[a-z_]+): (?P<label>.+)$", re.MULTILINE)

# Tables that exist before any model runs.
INPUTS = ("log", "study", "checks")


@dataclass(frozen=True)
class Model:
    """One SELECT that makes one table.

    Args:
        name: `schema.table`.
        label: what it holds, in a few words.
        grain: columns that make a row unique.
        scope: `site` (reads its own site's rows and constants only) or `study`.
        notes: the header comment.
        sql: the text as written.
        reads: tables it reads.
        python: steps in Python that it calls, as its header says (`steps.py`).
    """

    name: str
    label: str
    grain: tuple[str, ...]
    scope: str
    notes: str
    sql: str
    reads: tuple[str, ...]
    python: tuple[str, ...] = ()

    @property
    def schema(self) -> str:
        """The layer: staging, intermediate, marts or quality."""
        return self.name.split(".")[0]


@cache
def models() -> dict[str, Model]:
    """All models in an order in which they can be built."""
    folder = Path(next(iter(dyadlog.dbt_like_sql.__path__)))
    found = {}
    for path in sorted(folder.glob("*/*.sql")):
        model = read_model(path.read_text("utf-8"), f"{path.parent.name}.{path.stem}")
        found[model.name] = model
    order = TopologicalSorter({name: {r for r in model.reads if r in found} for name, model in found.items()})
    return {name: found[name] for name in order.static_order()}


def read_model(text: str, name: str) -> Model:
    """Parse one model.

    Raises:
        ValueError: the header is incomplete or names another model than the file.
    """
    title = _TITLE.search(text)
    header = {match["key"]: match["value"] for match in _HEADER.finditer(text)}
    if (
        not title
        or title["name"] != name
        or set(header) - {"python"} != {"grain", "scope"}
        or header["scope"] not in ("site", "study")
    ):
        raise ValueError(f"{name}: the header must name the model, its grain and its scope")
    notes = "\n".join(line[3:] for line in takewhile(lambda line: line.startswith("--"), text.splitlines()))
    tree = sqlglot.parse_one(text, dialect="duckdb")
    reads = {f"{table.db}.{table.name}" for table in tree.find_all(exp.Table) if table.db}
    grain, python = (
        tuple(part.strip() for part in header.get(key, "").split(",") if part) for key in ("grain", "python")
    )
    return Model(name, title["label"], grain, header["scope"], notes, text, tuple(sorted(reads)), python)


def scope_breaches(model: Model, scopes: dict[str, str]) -> list[str]:
    """Places where a `scope: site` model could mix rows of several sites.

    Args:
        model: the model.
        scopes: scope by model name.

    Returns:
        sentences; none for a model that keeps its promise or promises nothing.
    """
    if model.scope != "site":
        return []
    breaches = [f"reads {name}, which combines sites" for name in model.reads if scopes.get(name) == "study"]
    tree = sqlglot.parse_one(model.sql, dialect="duckdb")
    for window in tree.find_all(exp.Window):
        over = window.args.get("alias")
        if not over and not _names_site(window.args.get("partition_by") or []):
            breaches.append(f"a window without site_id: {window.sql('duckdb')[:80]}")
    breaches += [
        f"a grouping without site_id: {group.sql('duckdb')[:80]}"
        for group in tree.find_all(exp.Group)
        if not _names_site(group.expressions)
    ]
    for join in tree.find_all(exp.Join):
        using = [identifier.name for identifier in join.args.get("using") or []]
        condition = join.args.get("on")
        constant = isinstance(join.this, exp.Table) and (
            join.this.db == "study" or _reads_constants_only(tree, join.this.name)
        )
        constant = constant or join.this.find(exp.Table) is None  # a list of words, say
        if constant or "site_id" in using or (condition is not None and _names_site([condition])):
            continue
        if _joined_to_constants(join):
            continue
        breaches.append(f"a join without site_id: {join.sql('duckdb')[:80]}")
    return breaches


def _names_site(parts: list[exp.Expr]) -> bool:
    return any(column.name == "site_id" for part in parts for column in part.find_all(exp.Column))


def _reads_constants_only(tree: exp.Expr, name: str) -> bool:
    """Whether a CTE of this name reads `study` tables (constants) and nothing else."""
    for cte in tree.find_all(exp.CTE):
        if cte.alias == name:
            tables = list(cte.this.find_all(exp.Table))
            return bool(tables) and all(table.db == "study" for table in tables)
    return False


def _joined_to_constants(join: exp.Join) -> bool:
    select = join.parent
    start = select.args.get("from_") or select.args.get("from") if isinstance(select, exp.Select) else None
    return start is not None and isinstance(start.this, exp.Table) and start.this.db == "study"
