"""Delimited tables turned into facts by a declared column mapping.

A row may say several things (a session took place, a questionnaire was filled in): each becomes one line of
event JSON, and from there on tables and event files go the same way.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pyarrow as pa

from dyadlog.assets.intake.files import FileRefusedError
from dyadlog.schemas.catalogue import PLACE, catalogue
from dyadlog.schemas.mapping import Cell, Emit, Mapping, Source, When

_NUMBER = re.compile(r"-?(0|[1-9]\d{0,17})(\.\d+)?")
_BATCH = 50_000

Row = dict[str, str | None]
Value = Cell | None


class UnmappedError(Exception):
    """A cell has no translation; carries no value."""


@dataclass
class FactLines:
    """Facts made of table rows.

    Args:
        line_number: line in the file, one entry per fact.
        fact: number of the fact within its line, from 1.
        text: event JSON; for a line that could not be read, its cells as a JSON list.
        raw: the line as it stands in the table.
        problems: (position, reason code, field).
    """

    line_number: list[int] = field(default_factory=list)
    fact: list[int] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    problems: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, line_number: int, fact: int, text: str, raw: str, problems: list[tuple[str, str]]) -> None:
        """Append one fact."""
        self.problems += [(len(self.text), code, where) for code, where in problems]
        self.line_number.append(line_number)
        self.fact.append(fact)
        self.text.append(text)
        self.raw.append(raw)

    def table(self) -> pa.Table:
        """As a block for `FactReader.read`."""
        return pa.table(
            {
                "line_number": pa.array(self.line_number, pa.int64()),
                "fact_number": pa.array(self.fact, pa.int32()),
                "text": pa.array(self.text, pa.string()),
            }
        )


class TableReader:
    """Reads the rows of one table.

    Args:
        mapping: what the columns mean.

    Attributes:
        header: the line that names the columns.
        remarks: reason codes about the file as a whole that do not refuse it.
    """

    def __init__(self, mapping: Mapping) -> None:
        self._mapping = mapping
        self._rules = [_Rule(emit) for emit in mapping.events]
        self.header = ""
        self.remarks: list[str] = []

    def read(self, blocks: Iterator[bytes]) -> Iterator[FactLines]:
        """Facts of the table, some thousand lines at a time.

        Raises:
            FileRefusedError: FILE_HEADER_BROKEN, FILE_COLUMN_MISSING.
        """
        header: list[str] | None = None
        facts = FactLines()
        number = 0
        for block in blocks:
            for raw in block.decode().split("\n"):
                number += 1
                line = raw.removesuffix("\r")
                if not line:
                    continue
                if header is None:
                    header = self._header(line)
                    continue
                self._row(number, line, header, facts)
                if len(facts.text) >= _BATCH:
                    yield facts
                    facts = FactLines()
            number -= 1 if block.endswith(b"\n") else 0
        if facts.text:
            yield facts

    def _header(self, line: str) -> list[str]:
        self.header = line
        names = self._cells(line)
        if names is None or len(set(names)) < len(names) or "" in names:
            raise FileRefusedError("FILE_HEADER_BROKEN")
        if missing := sorted(self._mapping.columns - set(names)):
            raise FileRefusedError("FILE_COLUMN_MISSING", missing)
        if set(names) - self._mapping.columns - set(self._mapping.ignore):
            self.remarks.append("FILE_COLUMN_UNKNOWN")
        return names

    def _cells(self, line: str) -> list[str] | None:
        """Cells of one line; None if the quotation marks do not fit. A cell never spans lines."""
        reader = csv.reader(
            (line,), delimiter=self._mapping.separator, quotechar=self._mapping.quote, strict=True
        )
        try:
            return next(reader)
        except csv.Error:
            return None

    def _row(self, number: int, line: str, header: list[str], facts: FactLines) -> None:
        cells = self._cells(line)
        if cells is None or len(cells) != len(header):
            code = "LINE_QUOTING" if cells is None else "LINE_RAGGED"
            facts.add(number, 1, json.dumps([line]), line, [(code, "line")])
            return
        missing = self._mapping.missing
        row: Row = {name: None if cell in missing else cell for name, cell in zip(header, cells, strict=True)}
        rules = [rule for rule in self._rules if rule.applies(row)]
        if all(rule.aside for rule in rules):
            facts.add(number, 1, json.dumps(cells), line, [("LINE_NO_RULE", "line")])
            return
        for nth, rule in enumerate(rules, 1):
            text, problems = rule.make(row)
            facts.add(number, nth, text, line, problems)


class _Rule:
    """One `events` entry of a mapping, made ready to run over many rows."""

    def __init__(self, emit: Emit) -> None:
        known = catalogue()
        event = known.events[emit.event_type]
        self._version = emit.schema_version or event.newest
        fields = event.versions[self._version]
        self.aside = emit.aside
        self._when = emit.when
        self._event_type = emit.event_type
        self._event_id = _getter(emit.event_id, number=False)
        self._envelope = [
            (name, _getter(source, number=known.envelope[name].type in ("int", "number")))
            for name, source in emit.envelope.items()
        ]
        self._payload = [
            (name, _getter(source, number=fields[name].type in ("int", "number")))
            for name, source in emit.payload.items()
        ]
        self._items = list(emit.items.items())

    def applies(self, row: Row) -> bool:
        return all(_holds(condition, row) for condition in self._when)

    def make(self, row: Row) -> tuple[str, list[tuple[str, str]]]:
        """The event as JSON text, and what is wrong with it."""
        problems: list[tuple[str, str]] = []

        def take(name: str, get: Callable[[Row], Value]) -> Value:
            try:
                return get(row)
            except UnmappedError:
                problems.append(("VALUE_NOT_MAPPED", name))
                return None

        event: dict[str, object] = {
            "event_id": take("event_id", self._event_id),
            "event_type": self._event_type,
            "schema_version": self._version,
        }
        for name, get in self._envelope:
            event[name] = take(name, get)
        payload: dict[str, object] = {name: take(name, get) for name, get in self._payload}
        if self._items:
            payload["items"] = {item: _number(row[column]) for item, column in self._items}
        event["payload"] = payload
        return json.dumps(event, ensure_ascii=False, separators=(",", ":")), problems


def _holds(condition: When, row: Row) -> bool:
    cell = row[condition.column]
    if condition.missing is not None:
        return (cell is None) == condition.missing
    if condition.values is not None:
        return cell in condition.values
    return cell is not None and cell not in (condition.not_in or ())


def _getter(source: Source, *, number: bool) -> Callable[[Row], Value]:
    """How one value is taken from a row: None where a cell it needs is missing."""
    if source.const is not None:
        const = source.const
        return lambda _: const
    if source.first_of is not None:
        parts = [_getter(part, number=number) for part in source.first_of]
        return lambda row: next((value for part in parts if (value := part(row)) is not None), None)
    if source.text is not None:
        text = source.text
        names = PLACE.findall(text)

        def filled(row: Row) -> Value:
            if any(row[name] is None for name in names):
                return None
            return PLACE.sub(lambda place: row[place[1]] or "", text)

        return filled
    column = source.column or ""
    if source.values is not None:
        values = source.values

        def translated(row: Row) -> Value:
            cell = row[column]
            if cell is None:
                return None
            if cell not in values:
                raise UnmappedError
            return values[cell]

        return translated
    if number:
        return lambda row: _number(row[column])
    return lambda row: row[column]


def _number(cell: str | None) -> Value:
    """A cell as a number where it is written as one; else as it stands, for the checks to refuse."""
    if cell is None or not _NUMBER.fullmatch(cell):
        return cell
    return float(cell) if "." in cell else int(cell)
