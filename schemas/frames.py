"""Pandera schemas of events, made from the catalogue and the instrument registry.

One schema per (kind of event, version) and, for questionnaires, per form. A check's error text is the reason
code that it stands for, so that no value of a record ever gets into a message.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import cache

import pandera.polars as pa
import polars as pl
from pandera.config import ValidationDepth, config_context

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

# Answers of a form are listed in a pattern up to this many steps.
_LISTED = 100

ITEM_PREFIX = "item."
PAYLOAD_PREFIX = "payload."

# What programs write where a value is missing: as ids they would join what does not belong together.
_NO_ID = r"(?i)^(true|false|null|nan|inf|infinity)$"
# Distinct values in a block up to which a column counts as one that repeats itself.
_FEW = 5_000
_TIME = re.compile(TIME_PATTERN, re.ASCII)


def _is_whole(data: pa.PolarsData) -> pl.LazyFrame:
    values = pl.col(data.key)
    return data.lazyframe.select(values.is_null() | (values == values.round(0)))


def _wrong_ids(distinct: pl.Series) -> pl.Series:
    return distinct.filter(~distinct.str.contains(ID_PATTERN) | distinct.str.contains(_NO_ID))


def _wrong_times(distinct: pl.Series) -> pl.Series:
    return pl.Series([time for time in distinct.drop_nulls() if not _is_time(time)], dtype=pl.String)


def _is_time(text: str) -> bool:
    """Whether it is written as agreed and such a day and hour exist."""
    if not _TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _finder(find: Callable[[pl.Series], pl.Series], code: str) -> pa.Check:
    def right(data: pa.PolarsData) -> pl.LazyFrame:
        column = data.lazyframe.select(data.key).collect()[data.key]
        wrong = find(column)
        if wrong.is_empty():
            return pl.LazyFrame({data.key: [True]}).select(pl.repeat(True, len(column)).alias(data.key))
        return pl.LazyFrame({data.key: (~column.is_in(wrong.implode())).fill_null(value=True)})

    return pa.Check(right, error=code)


def _checks(field: Field) -> list[pa.Check]:
    match field.type:
        case "id":
            return [_finder(_wrong_ids, "VALUE_NOT_ID")]
        case "time":
            return [_finder(_wrong_times, "TIME_NOT_ISO")]
        case "code":
            return [pa.Check.isin(list(field.values or ()), error="VALUE_NOT_IN_LIST")]
        case "int" | "number":
            return [pa.Check.in_range(field.min, field.max, error="VALUE_OUT_OF_RANGE")]
        case _:
            return []


def _column(field: Field, *, required: bool) -> pa.Column:
    # `required` is about the column: `Judge` shows Pandera some columns at a time.
    return pa.Column(POLARS_TYPE[field.type], checks=_checks(field), nullable=not required, required=False)


@cache
def envelope_schema() -> pa.DataFrameSchema:
    """Schema of the envelope columns, named as in the catalogue.

    Whether a field must be there beyond what every event needs depends on the kind of event and on `op`, and is
    looked at where these are known.
    """
    return pa.DataFrameSchema(
        {name: _column(field, required=field.required) for name, field in catalogue().envelope.items()},
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
        {
            f"{ITEM_PREFIX}{item}": pa.Column(pl.Float64, checks=checks, nullable=True, required=False)
            for item in form.items
        },
        strict="filter",
    )


def sure_answers(form: Version) -> str | None:
    """Pattern of the answers, as DuckDB writes JSON, that `form_schema` is sure to accept.

    Made of the same range: it spares taking apart what is right. Whatever it does not match is judged by the schema.
    Names of items are checked elsewhere.

    Returns:
        a regular expression; None where the range cannot be listed.
    """
    if not form.whole or not float(form.min).is_integer() or form.max - form.min > _LISTED:
        return None
    values = "|".join(str(value) for value in range(int(form.min), int(form.max) + 1))
    return rf'^\{{("[^"\\]*":({values}|null),?)*\}}$'


class Pairs(list[tuple[str, object]]):
    """An object of a JSON text, with names that stand there twice."""


def answer_mistakes(answers: object, form: Version) -> Iterable[tuple[str, str]]:
    """The slow, exact look at one set of answers that is not plain numbers: (reason code, field)."""
    if not isinstance(answers, dict):
        yield "FIELD_NOT_OBJECT", "items"
        return
    for item, answer in answers.items():
        if item not in form.items or answer is None:
            continue
        if isinstance(answer, bool) or not isinstance(answer, int | float):
            yield "ANSWER_NOT_A_NUMBER", f"items.{item}"
        elif not form.min <= answer <= form.max:
            yield "ANSWER_OUT_OF_RANGE", f"items.{item}"
        elif form.whole and answer != int(answer):
            yield "ANSWER_NOT_WHOLE", f"items.{item}"


def missing_mistakes(reasons: object, form: Version) -> Iterable[str]:
    """What is wrong with the reasons why answers are missing (item -> missing code)."""
    if not isinstance(reasons, Pairs):
        yield "FIELD_NOT_OBJECT"
        return
    names = [name for name, _ in reasons]
    if len(set(names)) < len(names):
        yield "LINE_DUPLICATE_KEY"
    if not set(form.items).issuperset(names):
        yield "ITEM_UNKNOWN"
    if not all(isinstance(code, str) and code in catalogue().missing_codes for _, code in reasons):
        yield "MISSING_CODE_UNKNOWN"


class Judge:
    """Validates frame after frame with one Pandera schema, without converting or dropping anything.

    All checks are about single values, and values repeat: Pandera sees each distinct value of a column once.

    Args:
        schema: columns with checks that look at one value at a time.
    """

    def __init__(self, schema: pa.DataFrameSchema) -> None:
        self._columns = schema.columns
        # Schemas of the columns that had to be looked at together.
        self._schemas: dict[tuple[str, ...], pa.DataFrameSchema] = {}
        self._right: dict[str, set[object]] = {name: set() for name in schema.columns}

    def failures(self, frame: pl.DataFrame) -> list[tuple[int, str, str]]:
        """What is wrong in a frame that has all columns of the schema.

        Returns:
            (row number in the frame, reason code, column) per violation; values stay inside.

        Raises:
            RuntimeError: the schema itself could not be run (a defect of Dyadlog, not of the data).
        """
        unique = frame.select(pl.col(list(self._columns)).unique().implode())
        distinct = {name: self._unseen(name, unique[name][0]) for name in unique.columns}
        wrong: dict[tuple[str, str], set[object]] = {}
        # Columns with few values apart, so that they are not stretched to the length of those with many.
        for few in (True, False):
            some = [values for values in distinct.values() if len(values) and (len(values) <= _FEW) == few]
            longest = max(map(len, some), default=0)
            shown = pl.DataFrame(
                [values.extend_constant(values[0], longest - len(values)) for values in some]
            )
            for index, code, column in failures(self._schema(tuple(shown.columns)), shown):
                wrong.setdefault((code, column), set()).add(shown[column][index])
        for name in {name for name in unique.columns if len(unique[name][0]) <= _FEW} - {c for _, c in wrong}:
            self._right[name].update(distinct[name].to_list())
            if len(self._right[name]) > 10 * _FEW:
                self._right[name].clear()
        return [
            (row, code, column)
            for (code, column), values in wrong.items()
            for row in _rows(frame[column], values).arg_true()
        ]

    def _schema(self, names: tuple[str, ...]) -> pa.DataFrameSchema:
        if names not in self._schemas:
            self._schemas[names] = pa.DataFrameSchema({name: self._columns[name] for name in names})
        return self._schemas[names]

    def _unseen(self, name: str, values: pl.Series) -> pl.Series:
        if len(values) > _FEW:
            return values.alias(name)
        return pl.Series(name, list(set(values.to_list()) - self._right[name]), values.dtype)


def _rows(column: pl.Series, values: set[object]) -> pl.Series:
    return (
        column.is_null()
        if None in values
        else column.is_in(pl.Series([*values], dtype=column.dtype).implode())
    )


def failures(schema: pa.DataFrameSchema, frame: pl.DataFrame) -> Iterable[tuple[int, str, str]]:
    """Validate a frame without converting or dropping anything.

    Returns:
        (row number in the frame, reason code, column) per violation; values stay inside.

    Raises:
        RuntimeError: the schema itself could not be run (a defect of Dyadlog, not of the data).
    """
    if frame.is_empty():
        return ()
    try:
        # Nobody's environment may switch the checks off.
        with config_context(validation_enabled=True, validation_depth=ValidationDepth.SCHEMA_AND_DATA):
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
