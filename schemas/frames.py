"""Pandera schemas of events, made from the catalogue and the instrument registry.

One schema per (kind of event, version) and, for questionnaires, per form. A check's error text is the reason
code that it stands for, so that no value of a record ever gets into a message.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import pandera.polars as pa
import polars as pl

from dyadlog.schemas.catalogue import ID_PATTERN, TIME_PATTERN, Field, catalogue
from dyadlog.schemas.instruments import Version

POLARS_TYPE: dict[str, type[pl.DataType]] = {
    "id": pl.String,
    "code": pl.String,
    "int": pl.Int64,
    "number": pl.Float64,
    "bool": pl.Boolean,
    "time": pl.String,
}

ITEM_PREFIX = "item."
PAYLOAD_PREFIX = "payload."


def _is_whole(data: pa.PolarsData) -> pl.LazyFrame:
    values = pl.col(data.key)
    return data.lazyframe.select(values.is_null() | (values == values.round(0)))


def _distinct_match(pattern: str, code: str) -> pa.Check:
    """Ids repeat: match each distinct one once."""

    def matches(data: pa.PolarsData) -> pl.LazyFrame:
        column = data.lazyframe.select(data.key).collect()[data.key]
        distinct = column.unique()
        wrong = distinct.filter(~distinct.str.contains(pattern))
        if wrong.is_empty():
            return pl.LazyFrame({data.key: [True]}).select(pl.repeat(True, len(column)).alias(data.key))
        return pl.LazyFrame({data.key: (~column.is_in(wrong.implode())).fill_null(value=True)})

    return pa.Check(matches, error=code)


def _checks(field: Field) -> list[pa.Check]:
    match field.type:
        case "id":
            return [_distinct_match(ID_PATTERN, "VALUE_NOT_ID")]
        case "time":
            return [_distinct_match(TIME_PATTERN, "TIME_NOT_ISO")]
        case "code":
            return [pa.Check.isin(list(field.values or ()), error="VALUE_NOT_IN_LIST")]
        case "int" | "number":
            return [pa.Check.in_range(field.min, field.max, error="VALUE_OUT_OF_RANGE")]
        case _:
            return []


def _column(field: Field, *, required: bool) -> pa.Column:
    return pa.Column(POLARS_TYPE[field.type], checks=_checks(field), nullable=not required)


@cache
def envelope_schema(event_type: str) -> pa.DataFrameSchema:
    """Schema of the envelope columns for one kind of event.

    Columns are named as in the catalogue; `reason_code` is checked for presence by `REASON_MISSING` elsewhere,
    because it depends on `op`.
    """
    known = catalogue()
    needs = known.events[event_type].needs
    return pa.DataFrameSchema(
        {
            name: _column(field, required=field.required or name in needs)
            for name, field in known.envelope.items()
        },
        strict="filter",
    )


@cache
def payload_schema(event_type: str, version: int) -> pa.DataFrameSchema:
    """Schema of the payload columns (`payload.<field>`) of one kind of event and version."""
    fields = catalogue().events[event_type].versions[version]
    return pa.DataFrameSchema(
        {
            f"{PAYLOAD_PREFIX}{name}": _column(field, required=field.required)
            for name, field in fields.items()
        },
        strict="filter",
    )


def form_schema(form: Version) -> pa.DataFrameSchema:
    """Schema of the answers (`item.<item>`, float, null = missing) of one form."""
    checks = [pa.Check.in_range(form.min, form.max, error="ANSWER_OUT_OF_RANGE")]
    if form.whole:
        checks.append(pa.Check(_is_whole, error="ANSWER_NOT_WHOLE"))
    return pa.DataFrameSchema(
        {f"{ITEM_PREFIX}{item}": pa.Column(pl.Float64, checks=checks, nullable=True) for item in form.items},
        strict="filter",
    )


def failures(schema: pa.DataFrameSchema, frame: pl.DataFrame) -> Iterable[tuple[int, str, str]]:
    """Validate a frame without converting or dropping anything.

    Returns:
        (row number in the frame, reason code, column) per violation; values stay inside.

    Raises:
        RuntimeError: the schema itself could not be run (a defect of Dyadlog, not of the data).
    """
    try:
        schema.validate(frame, lazy=True)
    except pa.errors.SchemaErrors as error:
        cases = error.failure_cases
        if cases["index"].null_count():
            broken = sorted(set(cases["check"].to_list()))
            raise RuntimeError(f"schema check without rows: {broken}") from None
        return [
            (row, "FIELD_MISSING" if check == "not_nullable" else check, column)
            for row, check, column in zip(cases["index"], cases["check"], cases["column"], strict=True)
        ]
    return ()
