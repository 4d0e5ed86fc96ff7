"""Contracts of the published tables (`marts.yaml`)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

import pandera.polars as pa
import polars as pl

from dyadlog.schemas.yamlfile import Listed, Strict, read_yaml, validate

_POLARS: dict[str, type[pl.DataType]] = {
    "VARCHAR": pl.String,
    "BIGINT": pl.Int64,
    "INTEGER": pl.Int32,
    "DOUBLE": pl.Float64,
    "BOOLEAN": pl.Boolean,
}


class Column(Strict):
    """One column: type, meaning, unit, allowed values, and what an empty cell means (None: never empty)."""

    type: Literal["VARCHAR", "BIGINT", "INTEGER", "DOUBLE", "BOOLEAN"]
    label: str
    unit: str | None = None
    values: Listed[str] | None = None
    empty: str | None = None

    @property
    def comment(self) -> str:
        """One line for people."""
        parts = [self.label]
        if self.unit:
            parts.append(f"[{self.unit}]")
        if self.values:
            parts.append(f"({', '.join(self.values)})")
        if self.empty:
            parts.append(f"- empty: {self.empty}")
        return " ".join(parts)


class Table(Strict):
    """One published table; `grain` names the columns that make a row unique.

    `python` says what of it a step in Python estimates, and how exactly; None: all of it is SQL.
    """

    label: str
    grain: Listed[str]
    python: str | None = None
    columns: dict[str, Column]

    @cached_property
    def _columns(self) -> dict[str, pa.Column]:
        return {
            name: pa.Column(
                _POLARS[column.type],
                checks=[pa.Check.isin(list(column.values))] if column.values else [],
                nullable=column.empty is not None,
            )
            for name, column in self.columns.items()
        }

    def frame_schema(self, names: Sequence[str]) -> pa.DataFrameSchema:
        """The contract of some columns as a Pandera schema for polars frames."""
        return pa.DataFrameSchema({name: self._columns[name] for name in names}, strict=True, ordered=True)


@cache
def contracts() -> dict[str, Table]:
    """All published tables by `schema.table`, in the order of the file."""
    file = read_yaml(Path(__file__).with_name("marts.yaml"))
    shared = file.data["columns"]
    found = {}
    for name, entry in file.data["tables"].items():
        columns = {
            column: {**shared.get(column, {}), **(own or {})} for column, own in entry["columns"].items()
        }
        found[name] = validate(Table, file, {**entry, "columns": columns}, ("tables", name))
    return found
