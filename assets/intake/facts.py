"""From lines of text to checked facts, a block at a time.

Every decision here is a pure function of (line, catalogue, study.yaml): nothing that is known from other
files enters. DuckDB reads the JSON, Pandera checks the values, and what is wrong becomes a list of
(row, reason code, field) without any value.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa

from dyadlog.assets.intake.lines import is_strict_json
from dyadlog.schemas.catalogue import EventType, catalogue
from dyadlog.schemas.catalogue import Field as CatalogueField
from dyadlog.schemas.frames import (
    ITEM_PREFIX,
    PAYLOAD_PREFIX,
    envelope_schema,
    failures,
    form_schema,
    payload_schema,
)
from dyadlog.schemas.instruments import Version
from dyadlog.schemas.study import Study

# A payload whose items are all plain numbers or null, as DuckDB writes it: names, then numbers, no blanks.
_PLAIN_ITEMS = r'\{("[^"\\]*":(-?[0-9]+(\.[0-9]+)?|null),?)*\}'
_WHOLE = r"^-?[0-9]{1,18}$"
_NUMBER = r"^-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$"
_NOT_JSON_NUMBERS = r"(?i)^-?(nan|inf|infinity)$"

Problem = tuple[int, str, str]


@dataclass
class Facts:
    """Checked facts of one block.

    Args:
        frame: one row per fact: `line_number`, `fact_number`, the envelope fields (typed), `payload` (JSON text).
            Rows are in the order of the input.
        problems: (row of `frame`, reason code, field); a row without problems is acceptable.
        text: the text of each row, for the quarantine.
    """

    frame: pl.DataFrame
    text: pl.Series
    problems: list[Problem] = field(default_factory=list)


class FactReader:
    """Reads and checks facts of one site.

    Args:
        study: protocol and instruments.
        site_id: the landing folder's site, whatever the lines claim.
        threads: DuckDB threads.
    """

    def __init__(self, study: Study, site_id: str, *, threads: int | None = None) -> None:
        self._study = study
        self._site_id = site_id
        self._duck = duckdb.connect()
        if threads:
            self._duck.execute(f"set threads={threads}")

    def close(self) -> None:
        """Release DuckDB."""
        self._duck.close()

    def read(self, table: pa.Table, odd: Sequence[int] | np.ndarray = ()) -> Facts:
        """Check one block.

        Args:
            table: columns `line_number`, `text` and, for facts made of table rows, `fact_number` (from 1).
            odd: rows that must be read once more by a strict JSON reader.
        """
        if "fact_number" not in table.column_names:
            table = table.append_column("fact_number", pa.array(np.ones(table.num_rows, np.int32)))
        table = table.append_column("row", pa.array(np.arange(table.num_rows, dtype=np.int64)))
        self._duck.register("block", pa.Table.from_batches(table.to_batches(max_chunksize=8192)))
        longest = self._study.protocol.limits.line_kilobytes * 1024
        frame = self._duck.sql(_envelope_sql(longest)).pl().sort("row")
        text = pl.Series("text", table["text"])
        facts = Facts(frame.select("line_number", "fact_number", *_envelope_casts(), "payload"), text)
        kinds = frame.select(
            "row",
            "readable",
            "shape",
            "payload",
            *(
                pl.col(f"e.{name}").alias(name)
                for name in ("event_type", "schema_version", "op", "reason_code")
            ),
        )
        note = facts.problems.extend
        unreadable = set(kinds.filter(~pl.col.readable)["row"].to_list())
        note(
            (row, "LINE_TOO_LONG" if len(text[row].encode()) > longest else "LINE_NOT_JSON", "line")
            for row in unreadable
        )
        for row in odd:
            if row not in unreadable and not is_strict_json(text[int(row)]):
                unreadable.add(int(row))
                note([(int(row), "LINE_NOT_JSON", "line")])
        note(self._casts_that_failed(frame, catalogue().envelope, "e."))
        note(self._times(facts.frame))
        note(self._site(facts.frame))
        shapes = self._shapes(kinds, text)
        note(_envelope_shape(kinds, shapes))
        note(self._by_kind(facts.frame, kinds, shapes))
        if unreadable:
            facts.problems = [p for p in facts.problems if p[0] not in unreadable or p[1].startswith("LINE_")]
        facts.problems = _without_consequences(facts.problems)
        self._duck.unregister("block")
        return facts

    def _shapes(self, kinds: pl.DataFrame, text: pl.Series) -> dict[int, list[list[str]]]:
        """Distinct lists of field names ([envelope, payload, items, missing]) of the block, by their hash."""
        first = kinds.filter(pl.col.readable).group_by("shape").agg(pl.col.row.first())
        keys = self._duck.execute(
            f"select json_keys(unnest($texts), {_KEY_PATHS})", {"texts": [text[row] for row in first["row"]]}
        ).fetchall()
        return {
            shape: [part or [] for part in parts]
            for shape, (parts,) in zip(first["shape"], keys, strict=True)
        }

    def _casts_that_failed(
        self, frame: pl.DataFrame, fields: dict[str, CatalogueField], prefix: str
    ) -> Iterable[Problem]:
        for name, spec in fields.items():
            if spec.type not in ("int", "number", "bool"):
                continue
            raw = frame[prefix + name]
            wrong = frame.filter(raw.is_not_null() & _cast(pl.col(prefix + name), spec.type).is_null())
            if wrong.is_empty():
                continue
            code = {"int": "VALUE_NOT_WHOLE", "number": "VALUE_NOT_NUMBER", "bool": "VALUE_NOT_BOOLEAN"}[
                spec.type
            ]
            for row, cell in zip(
                wrong["row"], wrong[prefix + name].str.contains(_NOT_JSON_NUMBERS), strict=True
            ):
                yield (row, "LINE_NOT_JSON", "line") if cell else (row, code, name)

    def _times(self, frame: pl.DataFrame) -> Iterable[Problem]:
        if self._study.protocol.time_basis == "absolute":
            return
        for name, spec in catalogue().envelope.items():
            if spec.type == "time" and frame[name].null_count() < len(frame):
                for row in frame[name].is_not_null().arg_true():
                    yield row, "TIME_NOT_ALLOWED", name

    def _site(self, frame: pl.DataFrame) -> Iterable[Problem]:
        claims = frame["site_id"]
        for row in ((claims != self._site_id) & claims.is_not_null()).arg_true():
            yield row, "SITE_WRONG", "site_id"

    def _by_kind(
        self, frame: pl.DataFrame, kinds: pl.DataFrame, shapes: dict[int, list[list[str]]]
    ) -> Iterable[Problem]:
        """Check the facts of each (kind of event, version) on their own."""
        known = catalogue().events
        versions = _cast(pl.col("schema_version"), "int").fill_null(1)
        groups = kinds.filter(pl.col.readable).with_columns(versions.alias("schema_version"))
        for (event_type, version), group in groups.group_by(
            ["event_type", "schema_version"], maintain_order=True
        ):
            rows = group["row"]
            event = known.get(str(event_type))
            if event is None:
                code = "FIELD_MISSING" if event_type is None else "EVENT_TYPE_UNKNOWN"
                yield from ((row, code, "event_type") for row in rows)
                continue
            if version not in event.versions:
                code = "EVENT_VERSION_FUTURE" if int(str(version)) > event.newest else "VALUE_OUT_OF_RANGE"
                yield from ((row, code, "schema_version") for row in rows)
                continue
            for row, code, column in failures(envelope_schema(str(event_type)), frame[rows]):
                yield rows[row], code, column
            yield from self._reasons(group)
            retracts = group["op"].fill_null("assert") == "retract"
            stating = group.filter(~retracts) if retracts.any() else group
            if len(stating):
                yield from self._payloads(str(event_type), int(str(version)), event, stating, shapes)

    def _reasons(self, group: pl.DataFrame) -> Iterable[Problem]:
        bare = group.filter(pl.col.op.is_in(["correct", "retract"]) & pl.col.reason_code.is_null())
        return ((row, "REASON_MISSING", "reason_code") for row in bare["row"])

    def _payloads(
        self,
        event_type: str,
        version: int,
        event: EventType,
        group: pl.DataFrame,
        shapes: dict[int, list[list[str]]],
    ) -> Iterable[Problem]:
        fields = event.versions[version]
        allowed = set(fields) | ({"items", "missing"} if event.instrument else set())
        misshapen = _shapes_with(
            {shape: keys[1] for shape, keys in shapes.items()}, allowed, unknown=("FIELD_UNKNOWN", "payload")
        )
        if misshapen:
            yield from _at_shapes(group, misshapen)
        given = group["payload"]
        no_object = given.is_not_null() & ~given.str.starts_with("{")
        yield from ((row, "FIELD_NOT_OBJECT", "payload") for row in group.filter(no_object)["row"])
        if not fields and not event.instrument:
            return
        self._duck.register("payload", group.select("row", "shape", "payload").to_arrow())
        frame = self._duck.sql(_payload_sql(event_type, version)).pl().sort("row")
        rows = frame["row"]
        yield from self._casts_that_failed(frame, fields, PAYLOAD_PREFIX)
        typed = frame.with_columns(
            _cast(pl.col(PAYLOAD_PREFIX + name), spec.type)
            for name, spec in fields.items()
            if spec.type in ("int", "number", "bool")
        )
        for row, code, column in failures(payload_schema(event_type, version), typed):
            yield rows[row], code, column.removeprefix(PAYLOAD_PREFIX)
        if event.instrument:
            yield from self._answers(frame, shapes)

    def _answers(self, frame: pl.DataFrame, shapes: dict[int, list[list[str]]]) -> Iterable[Problem]:
        """Check items, missing codes and rater of each form."""
        names = [PAYLOAD_PREFIX + name for name in ("instrument", "version")]
        for (instrument, version), part in frame.drop_nulls(names).group_by(names, maintain_order=True):
            form = self._study.form(str(instrument), str(version))
            if form is None:
                yield from ((row, "INSTRUMENT_UNKNOWN", "instrument") for row in part["row"])
                continue
            wrong_rater = part.filter(~pl.col("payload.rater").is_in(form.raters))
            yield from ((row, "RATER_NOT_ALLOWED", "rater") for row in wrong_rater["row"])
            for position, name in ((2, "items"), (3, "missing")):
                misshapen = _shapes_with(
                    {shape: keys[position] for shape, keys in shapes.items()},
                    set(form.items),
                    unknown=("ITEM_UNKNOWN", name),
                )
                if misshapen:
                    yield from _at_shapes(part, misshapen)
            yield from self._form(form, part)

    def _form(self, form: Version, part: pl.DataFrame) -> Iterable[Problem]:
        self._duck.register("answers", part.select("row", "items").to_arrow())
        table = self._duck.sql(_items_sql(form)).pl().sort("row")
        rows = table["row"]
        for row, items in (
            part.filter(pl.col.row.is_in(table.filter(~pl.col.plain)["row"].implode()))
            .select("row", "items")
            .rows()
        ):
            yield from self._odd_items(row, items, form)
        yield from ((row, "FIELD_MISSING", "items") for row in table.filter(pl.col.absent)["row"])
        for row, code, column in failures(form_schema(form), table.select(pl.col(f"^{ITEM_PREFIX}.*$"))):
            yield rows[row], code, column.replace(ITEM_PREFIX, "items.", 1)
        coded = part.filter(pl.col.missing.is_not_null())
        if len(coded):
            yield from self._missing_codes(coded)

    def _odd_items(self, row: int, items: str, form: Version) -> Iterable[Problem]:
        """The slow, exact look at one set of answers that is not plain numbers."""
        try:
            answers = json.loads(items, parse_constant=_refuse)
        except ValueError:
            yield row, "LINE_NOT_JSON", "line"
            return
        if not isinstance(answers, dict):
            yield row, "FIELD_NOT_OBJECT", "items"
            return
        for item, answer in answers.items():
            if item not in form.items:
                continue
            if isinstance(answer, bool) or not isinstance(answer, int | float | None):
                yield row, "ANSWER_NOT_A_NUMBER", f"items.{item}"
            elif answer is not None:
                number = float(answer)
                if not form.min <= number <= form.max:
                    yield row, "ANSWER_OUT_OF_RANGE", f"items.{item}"
                elif form.whole and not number.is_integer():
                    yield row, "ANSWER_NOT_WHOLE", f"items.{item}"

    def _missing_codes(self, coded: pl.DataFrame) -> Iterable[Problem]:
        known = list(catalogue().missing_codes)
        self._duck.register("coded", coded.select("row", "missing").to_arrow())
        wrong = self._duck.execute(
            "select row, json_type(missing) = 'OBJECT' from coded where json_type(missing) <> 'OBJECT' or len(list_filter("
            "  list_transform(json_keys(missing), lambda k: json_extract_string(missing, '$.\"' || k || '\"')),"
            "  lambda c: c is null or not list_contains($known, c))) > 0",
            {"known": known},
        ).fetchall()
        for row, is_object in wrong:
            yield (
                (row, "MISSING_CODE_UNKNOWN", "missing")
                if is_object
                else (row, "FIELD_NOT_OBJECT", "missing")
            )


# Where the names of fields are looked up. They repeat, so each distinct set of names is judged once.
_KEY_PATHS = "['$', '$.payload', '$.payload.items', '$.payload.missing']"


def _refuse(_: str) -> None:
    raise ValueError


def _struct(fields: dict[str, CatalogueField], more: dict[str, str]) -> str:
    types = {name: "VARCHAR" if f.type in ("id", "code", "time") else "JSON" for name, f in fields.items()}
    return "{" + ",".join(f'"{name}":"{kind}"' for name, kind in (types | more).items()) + "}"


@cache
def _envelope_sql(longest: int) -> str:
    fields = catalogue().envelope
    columns = ", ".join(f'e."{name}" as "e.{name}"' for name in fields)
    return f"""
select row, line_number, fact_number, readable, shape, {columns}, e.payload::varchar as payload
from (
  select row, line_number, fact_number, readable,
         case when readable then hash(json_keys(text, {_KEY_PATHS})) end as shape,
         case when readable then from_json(text, '{_struct(fields, {"payload": "JSON"})}') end as e
  from (
    select *, case when strlen(text) > {longest} then false
                   else starts_with(ltrim(text, ' \t'), '{{') and json_valid(text) end as readable
    from block
  )
)"""


def _cast(column: pl.Expr, kind: str) -> pl.Expr:
    """The value a JSON text stands for, or null if it is of another kind."""
    if kind == "int":
        return column.cast(pl.Int64, strict=False)
    if kind == "number":
        value = column.cast(pl.Float64, strict=False)
        return pl.when(value.is_finite()).then(value)
    return column.replace_strict({"true": True, "false": False}, default=None, return_dtype=pl.Boolean)


@cache
def _envelope_casts() -> list[pl.Expr]:
    return [
        (
            _cast(pl.col(f"e.{name}"), spec.type)
            if spec.type in ("int", "number", "bool")
            else pl.col(f"e.{name}")
        ).alias(name)
        for name, spec in catalogue().envelope.items()
    ]


@cache
def _payload_sql(event_type: str, version: int) -> str:
    fields = catalogue().events[event_type].versions[version]
    columns = "".join(f', p."{name}" as "{PAYLOAD_PREFIX}{name}"' for name in fields)
    struct = _struct(fields, {"items": "JSON", "missing": "JSON"})
    return f"""
select row, shape{columns}, p.items::varchar as items, p.missing::varchar as missing
from (
  select row, shape, from_json(case when starts_with(payload, '{{') then payload else '{{}}' end, '{struct}') as p
  from payload
)"""


def _items_sql(form: Version) -> str:
    struct = "{" + ",".join(f'"{item}":"DOUBLE"' for item in form.items) + "}"
    columns = ", ".join(f'i."{item}" as "{ITEM_PREFIX}{item}"' for item in form.items)
    return f"""
select row, plain, absent, {columns}
from (
  select row, items is null or items = 'null' as absent,
         absent or regexp_full_match(items, '{_PLAIN_ITEMS}') as plain,
         case when plain and not absent then from_json(items, '{struct}') end as i
  from answers
)"""


def _shapes_with(
    keys: dict[int, list[str]], allowed: set[str], *, unknown: tuple[str, str]
) -> dict[int, list[tuple[str, str]]]:
    """Shapes with fields that are doubled or not allowed: shape -> [(code, field)]."""
    wrong: dict[int, list[tuple[str, str]]] = {}
    for shape, names in keys.items():
        found = []
        if len(set(names)) < len(names):
            found.append(("LINE_DUPLICATE_KEY", unknown[1]))
        if not allowed.issuperset(names):
            found.append(unknown)
        if found:
            wrong[shape] = found
    return wrong


def _at_shapes(rows: pl.DataFrame, wrong: dict[int, list[tuple[str, str]]]) -> Iterable[Problem]:
    hit = rows.filter(pl.col.shape.is_in(list(wrong)))
    for row, shape in zip(hit["row"], hit["shape"], strict=True):
        for code, where in wrong[shape]:
            yield row, code, where


def _envelope_shape(kinds: pl.DataFrame, shapes: dict[int, list[list[str]]]) -> Iterable[Problem]:
    allowed = {*catalogue().envelope, "payload"}
    wrong = _shapes_with(
        {s: keys[0] for s, keys in shapes.items()}, allowed, unknown=("FIELD_UNKNOWN", "envelope")
    )
    return _at_shapes(kinds.filter(pl.col.readable), wrong) if wrong else ()


def _without_consequences(problems: list[Problem]) -> list[Problem]:
    """Leave out what only follows from another problem of the same row and field; each problem once."""
    caused = {
        (row, where)
        for row, code, where in problems
        if code.startswith("VALUE_NOT_") or code == "FIELD_NOT_OBJECT"
    }
    seen: dict[Problem, None] = {}
    for problem in problems:
        row, code, where = problem
        if code == "FIELD_MISSING" and (row, where) in caused:
            continue
        seen.setdefault(problem)
    return list(seen)
