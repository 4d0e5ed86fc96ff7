"""From facts to the lines that sites deliver: event lines, or rows of one long table."""

from __future__ import annotations

import polars as pl

from dyadlog.assets.simulation.answers import as_cells, as_gaps, as_json, as_matrix
from dyadlog.assets.simulation.facts import ITEMS, NIGHT, RECORDED_ON, SCHEMA, SPOKEN
from dyadlog.schemas.catalogue import Field, catalogue
from dyadlog.schemas.frames import PAYLOAD_PREFIX
from dyadlog.schemas.instruments import Version, shipped_instruments
from dyadlog.schemas.simulation import simulation

Table = pl.DataFrame

LINE = "line"
SEPARATOR = ";"
_ROW = "_row"


def event_lines(facts: Table) -> Table:
    """Lines of NDJSON.

    Args:
        facts: columns of `facts.SCHEMA`; `items` has an entry for every item of the form, or is null as a whole.

    Returns:
        `night`, `line` (without line break), in the order of the facts.
    """
    made = []
    by_kind = facts.with_row_index(_ROW).partition_by("event_type", as_dict=True, maintain_order=True)
    for (kind,), part in by_kind.items():
        event = catalogue().events[str(kind)]
        fields = event.versions[SPOKEN]
        head = _members(catalogue().envelope, "", part)
        plain = part.filter(pl.col(ITEMS).is_null())
        made.append(
            plain.select(_ROW, NIGHT, _line(head, _members(fields, PAYLOAD_PREFIX, plain)).alias(LINE))
        )
        for form, same in _by_form(part.drop_nulls(ITEMS)):
            answers = as_matrix(same[ITEMS], len(form.items))
            same = same.with_columns(
                as_json(answers, form).alias("_answers"),
                as_gaps(answers, form, "not_answered").alias("_gaps"),
            )
            payload = [
                *_members(fields, PAYLOAD_PREFIX, same),
                pl.lit(',"items":'),
                pl.col("_answers"),
                _if_given("_gaps", pl.lit(',"missing":'), pl.col("_gaps")),
            ]
            made.append(same.select(_ROW, NIGHT, _line(head, payload).alias(LINE)))
    return pl.concat(made).sort(_ROW).drop(_ROW)


def _line(head: list[pl.Expr], payload: list[pl.Expr]) -> pl.Expr:
    """One JSON object; every member begins with a comma, and the first one's is cut off."""
    said = pl.concat_str(*payload).str.slice(1) if payload else pl.lit("")
    return pl.concat_str(
        pl.lit("{"), pl.concat_str(*head).str.slice(1), pl.lit(',"payload":{'), said, pl.lit("}}")
    )


def _members(fields: dict[str, Field], prefix: str, facts: Table) -> list[pl.Expr]:
    """`,"name":value` for each field that some fact has, empty where a fact has none."""
    return [
        _if_given(prefix + name, pl.lit(f',"{name}":'), _value(field, prefix + name))
        for name, field in fields.items()
        if facts[prefix + name].null_count() < len(facts)
    ]


def _if_given(column: str, *texts: pl.Expr) -> pl.Expr:
    return pl.when(pl.col(column).is_null()).then(pl.lit("")).otherwise(pl.concat_str(*texts))


def _value(field: Field, column: str) -> pl.Expr:
    if field.type in ("id", "code", "time"):
        return pl.concat_str(pl.lit('"'), pl.col(column), pl.lit('"'))
    return _text(column, SCHEMA[column])


def _by_form(facts: Table) -> list[tuple[Version, Table]]:
    names = [PAYLOAD_PREFIX + "instrument", PAYLOAD_PREFIX + "version"]
    return [
        (shipped_instruments()[str(instrument)].versions[str(version)], part)
        for (instrument, version), part in facts.partition_by(
            names, as_dict=True, maintain_order=True
        ).items()
    ]


def table_lines(facts: Table) -> Table:
    """Rows of a long table with one fact each; an empty cell is a missing value.

    Args:
        facts: columns of `facts.SCHEMA`.

    Returns:
        `night`, `line`, in the order of the facts; `table_header` names the cells.
    """
    names = [name for name in facts.columns if name in _cells()]
    cells = [_cell(name, facts) for name in names]
    body = facts.select(NIGHT, pl.concat_str(*cells, separator=SEPARATOR).alias(LINE))
    return body.with_columns(pl.concat_str(LINE, _item_cells(facts), separator=SEPARATOR))


def table_header() -> str:
    """Names of the cells of `table_lines`."""
    return SEPARATOR.join([*_cells().values(), *(f"i{item}" for item in range(1, widest() + 1))])


def _cells() -> dict[str, str]:
    """Columns of facts that a table has, with their names there."""
    times = {name for name, field in catalogue().envelope.items() if field.type == "time"}
    return {
        name: name.removeprefix(PAYLOAD_PREFIX)
        for name in SCHEMA
        if name not in {NIGHT, RECORDED_ON, ITEMS, *times}
    }


def widest() -> int:
    """Items of the longest form of the simulated protocol."""
    return max(
        len(shipped_instruments()[d.instrument].versions[d.version].items) for d in simulation().battery
    )


def _cell(name: str, facts: Table) -> pl.Expr:
    if facts[name].null_count() == len(facts):
        return pl.lit("")
    return _text(name, facts.schema[name]).fill_null("")


def _item_cells(facts: Table) -> pl.Series:
    """The answers of each fact as cells, with empty cells up to the longest form."""
    lengths = facts[ITEMS].list.len().fill_null(0)
    texts = [SEPARATOR * (widest() - 1)] * len(facts)
    for length in lengths.unique().sort().to_list():
        if length == 0:
            continue
        rows = (lengths == length).arg_true()
        written = as_cells(as_matrix(facts[ITEMS].gather(rows), length), SEPARATOR)
        for row, text in zip(rows, written, strict=True):
            texts[row] = text + SEPARATOR * (widest() - length)
    return pl.Series(texts, dtype=pl.String)


def _text(column: str, kind: pl.DataType) -> pl.Expr:
    """Values as they are written; whole numbers without a decimal point."""
    value = pl.col(column)
    if not kind.is_float():
        return value.cast(pl.String)
    return (
        pl.when(value == value.floor())
        .then(value.cast(pl.Int64).cast(pl.String))
        .otherwise(value.cast(pl.String))
    )
