"""From lines of text to checked facts, a block at a time.

Every decision here is a pure function of (line, catalogue, study.yaml): nothing that is known from other
files enters. DuckDB reads the JSON, Pandera checks the values, and what is wrong becomes a list of
(row, reason code, field) without any value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
from pandera.polars import DataFrameSchema

from dyadlog.assets.intake.columns import Problem, absent, at, not_converted, typed
from dyadlog.assets.intake.json_sql import KEY_PATHS, RAW, facts_sql, items_sql
from dyadlog.assets.intake.lines import is_strict_json, parsed
from dyadlog.schemas.catalogue import EventType, catalogue
from dyadlog.schemas.frames import (
    ITEM_PREFIX,
    PAYLOAD_PREFIX,
    Judge,
    Pairs,
    answer_mistakes,
    envelope_schema,
    form_schema,
    missing_mistakes,
    payload_schema,
    sure_answers,
)
from dyadlog.schemas.identifiers import looks_like_a_person
from dyadlog.schemas.instruments import Version
from dyadlog.schemas.study import Study

# Beside its fields, the payload of a questionnaire holds answers, and reasons why some are missing.
_ANSWERS = ("items", "missing")
# Pseudonyms of persons in the envelope.
_PERSONS = ("client_id", "therapist_id", "actor_id")
# Lines from which the fields that a file uses are guessed.
_FIRST = 1_000

# Hash -> names of the fields in envelope, payload and items.
Shapes = dict[int, list[list[str]]]


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

    def split(self, rows: Sequence[int]) -> list[Facts]:
        """The same, cut into pieces of so many rows."""
        ends = np.cumsum(rows)
        starts = [0, *ends[:-1].tolist()]
        parts = [
            Facts(self.frame.slice(start, length), self.text.slice(start, length))
            for start, length in zip(starts, rows, strict=True)
        ]
        for row, code, where in self.problems:
            part = int(np.searchsorted(ends, row, side="right"))
            parts[part].problems.append((row - starts[part], code, where))
        return parts


class FactReader:
    """Reads and checks facts. What it learns from one file makes the next one faster and changes no result.

    Args:
        study: protocol and instruments.
        threads: DuckDB threads.
    """

    def __init__(self, study: Study, *, threads: int | None = None) -> None:
        self._study = study
        self._duck = duckdb.connect()
        self._judges: dict[tuple[object, object], Judge] = {}
        # Fields of the envelope and of the payload that a site uses.
        self._used: dict[str, tuple[set[str], set[str]]] = {}
        if threads:
            self._duck.execute(f"set threads={threads}")

    def close(self) -> None:
        """Release DuckDB."""
        self._duck.close()

    def read(self, site_id: str | pl.Series, table: pa.Table, odd: Sequence[int] | np.ndarray = ()) -> Facts:
        """Check one block.

        Args:
            site_id: the landing folder's site, whatever the lines claim; of each row, where they are of several.
            table: columns `line_number`, `text` and, for facts made of table rows, `fact_number` (from 1).
            odd: rows that must be read once more by a strict JSON reader.
        """
        table = numbered(table)
        table = table.append_column("row", pa.array(np.arange(table.num_rows, dtype=np.int64)))
        longest = self._study.protocol.limits.line_kilobytes * 1024
        text = pl.Series("text", table["text"])
        numbers = pl.DataFrame(table.select(["row", "line_number", "fact_number"]))
        read, shapes = self._fields(
            site_id if isinstance(site_id, str) else "", _likely(table, longest), text
        )
        # Both are sorted by row; only lines that could not be read are missing on the right.
        joined = (
            numbers.hstack(read.drop("row"))
            if len(read) == len(numbers)
            else numbers.join(read, on="row", how="left", maintain_order="left")
        )
        frame = joined.with_columns(typed(catalogue().envelope))
        readable = frame.filter(pl.col.shape.is_not_null())
        problems = [
            *_unreadable(frame, text, longest),
            *not_converted(frame, catalogue().envelope),
        ]
        problems += self._times(frame)
        problems += at(frame.filter(pl.col.site_id != site_id), "SITE_WRONG", "site_id")
        allowed = {*catalogue().envelope, "payload"}
        problems += _misshapen(readable, shapes, 0, allowed, ("FIELD_UNKNOWN", "envelope"))
        problems += self._by_kind(readable, shapes)
        facts = frame.select("line_number", "fact_number", *catalogue().envelope, "payload")
        return Facts(facts, text, _without_consequences(_strict(problems, text, odd)))

    def _fields(self, site_id: str, table: pa.Table, text: pl.Series) -> tuple[pl.DataFrame, Shapes]:
        """Fields as written, of the lines that hold JSON, and the names of all fields.

        A site uses the same few fields from beginning to end, and each field that is looked for costs time. So only
        those are read that were used before; a block that uses another one is read again with it.
        """
        if site_id not in self._used:
            self._used[site_id] = ({"event_id"}, set())
            self._fields(site_id, table.slice(0, _FIRST), text)
        while True:
            now_used = self._used[site_id]
            read_now = tuple(tuple(sorted(names)) for names in now_used)
            try:
                read = self._query(facts_sql(*read_now), block=table)
            except duckdb.InvalidInputException:  # a line that is not JSON: look before reading
                read = self._query(facts_sql(*read_now, look=True), block=table)
            shapes = self._shapes(read, text)
            for used, known, place in zip(now_used, _known_fields(), (0, 1), strict=True):
                used |= known.intersection(name for keys in shapes.values() for name in keys[place])
            if all(len(used) == len(fields) for used, fields in zip(now_used, read_now, strict=True)):
                return read.with_columns(absent(read, catalogue().envelope)), shapes

    def _query(self, sql: str, **tables: pa.Table | pl.DataFrame) -> pl.DataFrame:
        """Rows in the order of the table, which DuckDB scans in parallel by record batches."""
        for name, table in tables.items():
            arrow = table.to_arrow() if isinstance(table, pl.DataFrame) else table
            self._duck.register(
                name, pa.Table.from_batches(arrow.to_batches(max_chunksize=8192), arrow.schema)
            )
        made = self._duck.sql(sql).pl()
        for name in tables:
            self._duck.unregister(name)
        return made if made["row"].is_sorted() else made.sort("row")

    def _judge(self, kind: object, name: object, schema: Callable[[], DataFrameSchema]) -> Judge:
        if (kind, name) not in self._judges:
            self._judges[kind, name] = Judge(schema())
        return self._judges[kind, name]

    def _shapes(self, readable: pl.DataFrame, text: pl.Series) -> Shapes:
        """Distinct lists of field names of the block, by their hash."""
        first = readable.group_by("shape").agg(pl.col.row.first())
        keys = self._duck.execute(
            f"select json_keys(unnest($texts), {KEY_PATHS})", {"texts": text[first["row"]].to_list()}
        ).fetchall()
        return {
            shape: [part or [] for part in parts]
            for shape, (parts,) in zip(first["shape"], keys, strict=True)
        }

    def _times(self, frame: pl.DataFrame) -> Iterable[Problem]:
        if self._study.protocol.time_basis == "absolute":
            return
        for name, spec in catalogue().envelope.items():
            if spec.type == "time":
                yield from at(frame.filter(pl.col(name).is_not_null()), "TIME_NOT_ALLOWED", name)

    def _by_kind(self, readable: pl.DataFrame, shapes: Shapes) -> Iterable[Problem]:
        """Check the facts of each (kind of event, version) on their own."""
        known = catalogue().events
        # A file often has few lines of many kinds, and each step over a table costs more than those lines: what is rarely
        # wrong is looked at as a whole before rows are looked for.
        groups: list[tuple[str, int, pl.DataFrame]] = []
        for (name, stated), group in readable.partition_by(
            "event_type", "schema_version", as_dict=True
        ).items():
            number = 1 if stated is None else stated
            if name is None:
                yield from at(group, "FIELD_MISSING", "event_type")
            elif name not in known:
                yield from at(group, "EVENT_TYPE_UNKNOWN", "event_type")
            elif number > known[name].newest:
                yield from at(group, "EVENT_VERSION_FUTURE", "schema_version")
            elif number < 1:
                yield from at(group, "VALUE_OUT_OF_RANGE", "schema_version")
            else:
                groups.append((name, number, group))
        judged = [group for _, _, group in groups]
        if sum(map(len, judged)) == len(readable):
            yield from self._envelope(readable)
        elif judged:
            yield from self._envelope(pl.concat(judged))
        for name, number, group in groups:
            yield from self._kind(name, number, known[name], group, shapes)

    def _envelope(self, group: pl.DataFrame) -> Iterable[Problem]:
        judge = self._judge("envelope", 1, envelope_schema)
        for row, code, column in judge.failures(group):
            yield group["row"][row], code, column
        for column in _PERSONS:
            # There are few persons in many lines.
            ids = group[column].unique()
            suspect = ids.filter(ids.str.contains(looks_like_a_person()).fill_null(value=False))
            if len(suspect):
                yield from at(group.filter(pl.col(column).is_in(suspect.implode())), "ID_REVEALS", column)

    def _kind(
        self, name: str, version: int, event: EventType, group: pl.DataFrame, shapes: Shapes
    ) -> Iterable[Problem]:
        for column in event.needs:
            if group[column].null_count():
                yield from at(group.filter(pl.col(column).is_null()), "FIELD_MISSING", column)
        if group["op"].null_count() < len(group):
            corrects = pl.col.op.is_in(["correct", "retract"])
            yield from at(
                group.filter(corrects & pl.col.reason_code.is_null()), "REASON_MISSING", "reason_code"
            )
            # A retraction need not say again what it takes back; whatever it says is checked like any other content.
            silent = (pl.col.op == "retract") & (pl.col.payload.is_null() | (pl.col.payload == "{}"))
            group = group.filter(~silent.fill_null(value=False))
        if len(group):
            yield from self._payloads(name, version, event, group, shapes)

    def _payloads(
        self, event_type: str, version: int, event: EventType, group: pl.DataFrame, shapes: Shapes
    ) -> Iterable[Problem]:
        fields = event.versions[version]
        allowed = set(fields) | (set(_ANSWERS) if event.instrument else set())
        yield from _misshapen(group, shapes, 1, allowed, ("FIELD_UNKNOWN", "payload"))
        no_object = group.select(
            pl.col.payload.is_not_null() & ~pl.col.payload.str.starts_with("{")
        ).to_series()
        if no_object.any():
            yield from at(group.filter(no_object), "FIELD_NOT_OBJECT", "payload")
            group = group.filter(~no_object)
        if not fields and not event.instrument:
            return
        rows = group["row"]
        unused = absent(group, [PAYLOAD_PREFIX + name for name in (*fields, *_ANSWERS)])
        frame = (group.with_columns(unused) if unused else group).with_columns(
            *typed(fields, PAYLOAD_PREFIX),
            *(pl.col(RAW + PAYLOAD_PREFIX + name).alias(name) for name in _ANSWERS),
        )
        yield from not_converted(frame, fields, PAYLOAD_PREFIX)
        judge = self._judge(event_type, version, lambda: payload_schema(event_type, version))
        for row, code, column in judge.failures(frame):
            yield rows[row], code, column.removeprefix(PAYLOAD_PREFIX)
        if event.instrument:
            yield from self._answers(frame, shapes)

    def _answers(self, frame: pl.DataFrame, shapes: Shapes) -> Iterable[Problem]:
        """Check items, missing codes and rater of each form."""
        names = [PAYLOAD_PREFIX + name for name in ("instrument", "version")]
        for (instrument, version), part in frame.partition_by(names, as_dict=True).items():
            if instrument is None or version is None:
                continue
            form = self._study.form(instrument, version)
            if form is None:
                yield from at(part, "INSTRUMENT_UNKNOWN", "instrument")
                continue
            wrong_rater = part.filter(~pl.col("payload.rater").is_in(form.raters))
            yield from at(wrong_rater, "RATER_NOT_ALLOWED", "rater")
            yield from _misshapen(part, shapes, 2, set(form.items), ("ITEM_UNKNOWN", "items"))
            yield from self._form((instrument, version), form, part)

    def _form(self, name: tuple[str, str], form: Version, part: pl.DataFrame) -> Iterable[Problem]:
        yield from _missing_codes(part, form)
        sure = sure_answers(form)
        if sure is not None:
            part = part.filter(~pl.col("items").str.contains(sure).fill_null(value=False))
            if part.is_empty():
                return
        table = self._query(items_sql(form), answers=part.select("row", "items"))
        rows = table["row"]
        odd = part.join(table.filter(~pl.col.plain), on="row", how="semi")
        for row, items in odd.select("row", "items").rows():
            yield from ((row, code, where) for code, where in answer_mistakes(parsed(items), form))
        yield from at(table.filter("absent"), "FIELD_MISSING", "items")
        judge = self._judge("form", name, lambda: form_schema(form))
        for row, code, column in judge.failures(table):
            yield rows[row], code, column.replace(ITEM_PREFIX, "items.", 1)


def numbered(table: pa.Table) -> pa.Table:
    """A block with `fact_number`: a line of events says one thing."""
    if "fact_number" in table.column_names:
        return table
    return table.append_column("fact_number", pa.array(np.ones(table.num_rows, np.int32)))


@cache
def _known_fields() -> tuple[frozenset[str], frozenset[str]]:
    """Names of fields that are read from envelope and payload."""
    payloads = (fields for event in catalogue().events.values() for fields in event.versions.values())
    return frozenset(catalogue().envelope), frozenset(_ANSWERS).union(*payloads)


def _likely(table: pa.Table, longest: int) -> pa.Table:
    """Lines that may hold an object: not too long, and an opening brace comes first."""
    text = table["text"]
    plain = pc.and_(pc.less_equal(pc.binary_length(text), longest), pc.starts_with(text, "{"))
    if pc.all(plain).as_py():
        return table
    short = pc.less_equal(pc.binary_length(pc.utf8_rtrim(text, "\r\n")), longest)
    return table.filter(pc.and_(short, pc.starts_with(pc.utf8_ltrim(text, " \t\r"), "{")))


def _unreadable(frame: pl.DataFrame, text: pl.Series, longest: int) -> Iterable[Problem]:
    lines = frame.filter(pl.col.shape.is_null())["row"]
    for row, line in zip(lines, text[lines], strict=True):
        yield row, "LINE_TOO_LONG" if len(line.rstrip("\r\n").encode()) > longest else "LINE_NOT_JSON", "line"


def _strict(problems: list[Problem], text: pl.Series, odd: Iterable[int]) -> list[Problem]:
    """Read lines with problems once more by the letter of JSON.

    DuckDB's reader lets NaN, Infinity and a comma before a closing bracket pass. No such line is without
    problems or outside `odd`; what it says besides does not matter.
    """
    told = {row for row, code, _ in problems if code in ("LINE_TOO_LONG", "LINE_NOT_JSON")}
    doubtful = sorted(({row for row, _, _ in problems} | {int(row) for row in odd}) - told)
    broken = {row for row, line in zip(doubtful, text[doubtful], strict=True) if not is_strict_json(line)}
    kept = [p for p in problems if p[0] not in broken]
    return kept + [(row, "LINE_NOT_JSON", "line") for row in sorted(broken)]


def _missing_codes(part: pl.DataFrame, form: Version) -> Iterable[Problem]:
    """Check why answers are missing; the same few texts come again and again."""
    wrong: dict[str, list[str]] = {}
    for text in part["missing"].drop_nulls().unique().to_list():
        for code in missing_mistakes(parsed(text, object_pairs_hook=Pairs), form):
            wrong.setdefault(code, []).append(text)
    for code, texts in wrong.items():
        yield from at(part.filter(pl.col.missing.is_in(texts)), code, "missing")


def _misshapen(
    rows: pl.DataFrame, shapes: Shapes, position: int, allowed: set[str], unknown: tuple[str, str]
) -> Iterable[Problem]:
    """Rows with names that are doubled or not allowed at one place of `KEY_PATHS`."""
    own = {shape: shapes[shape][position] for shape in np.unique(rows["shape"].to_numpy()).tolist()}
    for wrong, code in (
        ([s for s, keys in own.items() if len(set(keys)) < len(keys)], "LINE_DUPLICATE_KEY"),
        ([s for s, keys in own.items() if not allowed.issuperset(keys)], unknown[0]),
    ):
        if wrong:
            yield from at(rows.filter(pl.col.shape.is_in(wrong)), code, unknown[1])


def _without_consequences(problems: list[Problem]) -> list[Problem]:
    """Leave out what only follows from another problem of the same row and field; each problem once."""
    caused = {
        (row, where)
        for row, code, where in problems
        if code.startswith("VALUE_NOT_") or code == "FIELD_NOT_OBJECT"
    }
    return [p for p in dict.fromkeys(problems) if p[1] != "FIELD_MISSING" or (p[0], p[2]) not in caused]
