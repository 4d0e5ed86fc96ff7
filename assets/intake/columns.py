"""Columns as they were written, and as the values they stand for."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from dyadlog.assets.intake.json_sql import RAW
from dyadlog.schemas.catalogue import Field

# (row, reason code, field)
Problem = tuple[int, str, str]

# An id that is written without quotation marks is read as its digits, and is nothing else.
_DIGITS = r"^[0-9]+$"

_NOT_OF_TYPE = {
    "id": "VALUE_NOT_ID",
    "int": "VALUE_NOT_WHOLE",
    "number": "VALUE_NOT_NUMBER",
    "bool": "VALUE_NOT_BOOLEAN",
}


def _cast(column: pl.Expr, kind: str) -> pl.Expr:
    """The value a JSON text stands for, or null if it is of another kind."""
    if kind == "int":
        return column.cast(pl.Int64, strict=False)
    if kind == "number":
        value = column.cast(pl.Float64, strict=False)
        return pl.when(value.is_finite()).then(value)
    if kind == "bool":
        return column.replace_strict({"true": True, "false": False}, default=None, return_dtype=pl.Boolean)
    # No id, code or time holds a quotation mark, an escape or a blank: the checks that follow refuse them.
    return column.str.strip_chars('"')


def typed(fields: dict[str, Field], prefix: str = "") -> list[pl.Expr]:
    """The values of fields, in their types; null where a text is of another kind."""
    return [
        _cast(pl.col(RAW + prefix + name), spec.type).alias(prefix + name) for name, spec in fields.items()
    ]


def absent(frame: pl.DataFrame, fields: Iterable[str]) -> list[pl.Expr]:
    """Empty columns of the fields that the block does not use."""
    return [pl.lit(None, pl.String).alias(RAW + name) for name in fields if RAW + name not in frame.columns]


def not_converted(frame: pl.DataFrame, fields: dict[str, Field], prefix: str = "") -> Iterable[Problem]:
    """Values that are written as something else than their type."""
    wrong = {}
    for name, spec in fields.items():
        raw = pl.col(RAW + prefix + name)
        if spec.type == "id":
            wrong[name] = ~raw.str.starts_with('"')
        elif spec.type in _NOT_OF_TYPE:
            wrong[name] = raw.is_not_null() & pl.col(prefix + name).is_null()
    found = frame.select(**wrong)
    for name in found.columns:
        if found[name].any():
            rows = frame.filter(found[name])
            if fields[name].type == "id":
                rows = rows.filter(~pl.col(RAW + prefix + name).str.contains(_DIGITS))
            yield from at(rows, _NOT_OF_TYPE[fields[name].type], name)


def at(rows: pl.DataFrame, code: str, where: str) -> Iterable[Problem]:
    """The same problem for each row."""
    return ((row, code, where) for row in rows["row"])
