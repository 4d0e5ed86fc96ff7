"""One file becomes one commit: read, check, find duplicates, seal what is held back, append."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import polars as pl

from dyadlog.assets.event_log import segment
from dyadlog.assets.event_log.blocked import BlockList
from dyadlog.assets.event_log.log import EventLog, RacedError
from dyadlog.assets.event_log.quarantine import Quarantine
from dyadlog.assets.event_log.records import Commit, Receipt
from dyadlog.assets.event_log.standing import releases
from dyadlog.assets.intake.blocked import leave_out
from dyadlog.assets.intake.columns import Problem
from dyadlog.assets.intake.duplicates import mark_duplicates
from dyadlog.assets.intake.facts import FactReader, Facts
from dyadlog.assets.intake.files import FileRefusedError, Landed, Reader, kind_of
from dyadlog.assets.intake.known import known_as
from dyadlog.assets.intake.lines import Lines, cut
from dyadlog.assets.intake.tables import FactLines, TableReader
from dyadlog.schemas.codes import codes
from dyadlog.schemas.mapping import Mapping
from dyadlog.schemas.study import Study

# Blocks of a file that are checked at the same time; each takes one core and some hundred megabytes.
_AT_ONCE = 2

# Columns that are filled when all of the file is known.
_LATER = ("line_hash", "same_as", "salt", "part")

Progress = Callable[[int], None]
Held = tuple[int, int, list[str], str]


@dataclass(frozen=True)
class Reading:
    """A file that was read and checked, before anything is known about other files.

    Args:
        receipt: account of the file, duplicates not yet told apart.
        refused: whether the file as a whole was refused.
        facts: all facts in the columns of the log (`status` accepted or held_back).
        held: facts that were held back, with the text of their lines; fact 0 is the header of a table.
    """

    receipt: Receipt
    refused: bool
    facts: pl.DataFrame
    held: list[Held]


class Readers:
    """What reads files, kept from file to file: to set it up costs more than to read a small file.

    Args:
        study: the protocol.
    """

    def __init__(self, study: Study) -> None:
        self._idle = [FactReader(study, threads=1) for _ in range(_AT_ONCE)]
        self._pool = ThreadPoolExecutor(_AT_ONCE)

    def close(self) -> None:
        """Release threads and DuckDB."""
        self._pool.shutdown()
        for reader in self._idle:
            reader.close()

    def check(self, site_id: str, blocks: Iterable[Lines]) -> Iterator[Facts]:
        """Check blocks two at a time, while the next one is read; results come in the order of the blocks."""
        running: deque[Future[Facts]] = deque()
        try:
            for lines in blocks:
                running.append(self._pool.submit(self._check, site_id, lines))
                if len(running) > _AT_ONCE:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            wait(running)

    def check_table(self, site_id: str, rows: Iterable[FactLines]) -> Iterator[Facts]:
        """Check facts that were made of the rows of a table. Their text is that of the rows."""
        waiting: deque[FactLines] = deque()

        def blocks() -> Iterator[Lines]:
            for made in rows:
                waiting.append(made)
                yield Lines(made.table(), np.empty(0, np.int64))

        for facts in self.check(site_id, blocks()):
            made = waiting.popleft()
            broken = {row for row, code, _ in made.problems if code.startswith("LINE_")}
            facts.problems = [p for p in facts.problems if p[0] not in broken] + made.problems
            facts.text = pl.Series("text", made.raw, pl.String)
            yield facts

    def _check(self, site_id: str, lines: Lines) -> Facts:
        reader = self._idle.pop()
        try:
            return reader.read(site_id, lines.table, lines.odd)
        finally:
            self._idle.append(reader)


def read_file(study: Study, landed: Landed, readers: Readers, *, progress: Progress | None = None) -> Reading:
    """Read and check one file. What is wrong with it becomes codes in the receipt, never an exception.

    Args:
        study: the protocol.
        landed: the file.
        readers: what checks its facts.
        progress: called with the number of bytes read so far.
    """
    reader = Reader(landed.path, study.protocol.limits)
    parts: list[pl.DataFrame] = []
    held: list[Held] = []
    tally = Tally()
    try:
        for facts in _facts(study, landed, reader, readers, tally, held):
            take(facts, landed.site_id, parts, held, tally)
            if progress:
                progress(reader.size)
    except FileRefusedError as refusal:
        # Reading stopped where the fault was: the receipt is about the whole file.
        whole = Reader(landed.path, study.protocol.limits)
        size = whole.size if _measure(whole) else landed.size
        receipt = Receipt(
            landed.site_id,
            landed.name,
            size,
            whole.sha256,
            codes={refusal.code: 1},
            fields={f"{refusal.code}@{name}": 1 for name in refusal.fields},
        )
        return Reading(receipt, refused=True, facts=none(), held=[])
    receipt = tally.receipt(landed, reader)
    return Reading(receipt, refused=False, facts=pl.concat(parts) if parts else none(), held=held)


def _measure(reader: Reader) -> bool:
    """Size and hash of a file whose content is not looked at; whether its end was reached."""
    try:
        reader.drain()
    except FileRefusedError:
        return False
    return True


def none() -> pl.DataFrame:
    """No facts."""
    return pl.DataFrame(schema=segment.SCHEMA)


def _facts(
    study: Study, landed: Landed, reader: Reader, readers: Readers, tally: Tally, held: list[Held]
) -> Iterator[Facts]:
    kind = kind_of(landed.name)
    if kind == "events":
        yield from readers.check(landed.site_id, cut(reader.blocks()))
        return
    table = TableReader(mapping_of(study, landed.site_id, landed.name))
    yield from readers.check_table(landed.site_id, table.read(map(bytes, reader.blocks())))
    tally.file_codes += table.remarks
    if held:
        held.insert(0, (0, 0, [], table.header))


def mapping_of(study: Study, site_id: str, file_name: str) -> Mapping:
    """The mapping by which a table is read.

    Raises:
        FileRefusedError: FILE_NO_MAPPING.
    """
    for mapping in study.site_mappings(site_id):
        if mapping.fits(file_name):
            return mapping
    raise FileRefusedError("FILE_NO_MAPPING")


class Tally:
    """Counts lines and codes of a file."""

    def __init__(self) -> None:
        self.lines = 0
        self.facts = 0
        self.held_lines = 0
        self.codes: Counter[str] = Counter()
        self.fields: Counter[str] = Counter()
        self.file_codes: list[str] = []

    def receipt(self, landed: Landed, reader: Reader) -> Receipt:
        """The account of the file."""
        if not self.lines:
            self.file_codes.append("FILE_EMPTY")
        return Receipt(
            landed.site_id,
            landed.name,
            reader.size,
            reader.sha256,
            self.lines,
            self.facts,
            accepted=self.lines - self.held_lines,
            held_back=self.held_lines,
            codes=dict(self.codes + Counter(self.file_codes)),
            fields=dict(self.fields),
        )


def take(facts: Facts, site_id: str, parts: list[pl.DataFrame], held: list[Held], tally: Tally) -> None:
    """Add a checked block: mark what is held back, empty its content, count."""
    frame = facts.frame.with_columns(
        pl.col("revision").fill_null(1),
        pl.col("op").fill_null("assert"),
        pl.col("schema_version").fill_null(1),
        pl.lit(site_id).alias("site_id"),
        pl.lit("accepted").alias("status"),
        pl.lit(None, pl.List(pl.String)).alias("codes"),
        *(pl.lit(None, segment.SCHEMA[name]).alias(name) for name in _LATER),
    )
    numbers = frame["line_number"].to_numpy()
    tally.lines += 1 + int(np.count_nonzero(np.diff(numbers))) if len(numbers) else 0
    tally.facts += len(frame)
    if facts.problems:
        frame = _mark(frame, facts, numbers, held, tally)
    parts.append(frame.select(list(segment.SCHEMA)))


def _mark(
    frame: pl.DataFrame, facts: Facts, numbers: np.ndarray[Any, Any], held: list[Held], tally: Tally
) -> pl.DataFrame:
    registry = codes()
    by_row: dict[int, list[Problem]] = {}
    for problem in facts.problems:
        by_row.setdefault(problem[0], []).append(problem)
    refused_lines = {
        int(numbers[row])
        for row, problems in by_row.items()
        if any(registry[code].severity == "error" for _, code, _ in problems)
    }
    tally.held_lines += len(refused_lines)
    tally.codes.update(code for _, code in {(int(numbers[row]), code) for row, code, _ in facts.problems})
    tally.fields.update(
        f"{code}@{where}"
        for _, code, where in {(int(numbers[row]), code, where) for row, code, where in facts.problems}
    )
    noted = {
        row: sorted({f"{code}@{where}" for _, code, where in problems}) for row, problems in by_row.items()
    }
    held_rows = np.flatnonzero(np.isin(numbers, list(refused_lines))).tolist()
    facts_of_line = frame["fact_number"]
    held.extend(
        (int(numbers[row]), int(facts_of_line[row]), noted.get(row, []), text.rstrip("\r\n"))
        for row, text in zip(held_rows, facts.text[held_rows].to_list(), strict=True)
    )
    marks = pl.DataFrame(
        {"row": list(noted), "noted": list(noted.values())},
        schema={"row": pl.Int64, "noted": pl.List(pl.String)},
    )
    is_held = pl.col("row").is_in(held_rows)
    kept = {"line_number", "fact_number", "site_id"}
    return (
        frame.with_row_index("row")
        .with_columns(pl.col("row").cast(pl.Int64))
        .join(marks, on="row", how="left", maintain_order="left")
        .with_columns(
            [pl.col("noted").alias("codes")]
            + [pl.when(is_held).then(pl.lit("held_back")).otherwise("status").alias("status")]
            + [
                pl.when(~is_held).then(pl.col(name)).alias(name)
                for name in (*segment.ENVELOPE, "payload")
                if name not in kept
            ]
        )
        .drop("row", "noted")
    )


def deliver(
    study: Study,
    log: EventLog,
    quarantine: Quarantine,
    landed: Landed,
    readers: Readers,
    *,
    clock: Callable[[], datetime],
    code_version: str,
    blocked: BlockList | None = None,
    progress: Progress | None = None,
) -> Commit | None:
    """Bring one file into the log.

    Args:
        study: the protocol.
        log: the event log.
        quarantine: the sealed place for held-back lines.
        landed: the file.
        readers: what checks its facts.
        clock: current time, for `received_at` only.
        code_version: version of Dyadlog.
        blocked: keeps those out who were erased.
        progress: called with the number of bytes read so far.

    Returns:
        the commit, or None if the log holds this very file (site, name and bytes) already.
    """
    reading: Reading | None = None
    while True:
        after = log.head()
        earlier = log.of_site(landed.site_id)
        if reading is None and any(c.receipt.file_bytes == landed.size for c in earlier):
            # Perhaps known bytes: hashing is cheaper than reading.
            probe = Reader(landed.path, study.protocol.limits)
            _measure(probe)
            known = known_as(earlier, landed.name, landed.size, probe.sha256, study.rules_digest)
            if known == "same":
                log.settle()
                return None
            if isinstance(known, Commit):
                reading = Reading(_again(known, landed, earlier), refused=False, facts=none(), held=[])
        if reading is None:
            reading = read_file(study, landed, readers, progress=progress)
        receipt = reading.receipt
        known = known_as(earlier, landed.name, receipt.file_bytes, receipt.file_sha256, study.rules_digest)
        if known == "same":
            log.settle()
            return None
        common: dict[str, Any] = {
            "received_at": clock(),
            "rules_digest": study.rules_digest,
            "code_version": code_version,
        }
        try:
            if isinstance(known, Commit):
                return log.append(after, "duplicate_delivery", _again(known, landed, earlier), **common)
            if reading.refused:
                return log.append(after, "rejected_file", receipt, **common)
            # What another writer does in the meantime may be an erasure: all this is decided anew on each head.
            out = blocked.of_site(log.layout, landed.site_id) if blocked else None
            allowed = leave_out(reading, out) if out else reading
            sealed = quarantine.keep(landed.site_id, allowed.held) if allowed.held else None
            facts, receipt = mark_duplicates(log, earlier, _hashed(allowed, quarantine), allowed.receipt)
            stored = tuple(
                log.put_segment(part.data, part.rows, part.root)
                for part in segment.encode_all(facts, allowed.facts["client_id"])
            )
            return log.append(after, "delivery", receipt, segments=stored, quarantine_sha256=sealed, **common)
        except RacedError:
            continue


def _again(first: Commit, landed: Landed, earlier: Sequence[Commit]) -> Receipt:
    """Receipt of a delivery whose bytes are known: what was accepted or released since is a duplicate now."""
    told = first.receipt
    released = sum(c.receipt.lines for c in releases(earlier, first.seq))
    return replace(
        told,
        file_name=landed.name,
        accepted=0,
        duplicate=told.accepted + told.duplicate + released,
        held_back=told.held_back - released,
    )


def _hashed(reading: Reading, quarantine: Quarantine) -> pl.DataFrame:
    """The facts, with a keyed hash of the text of those that are held back."""
    if not reading.held:
        return reading.facts
    hashes = pl.DataFrame(
        {
            "line_number": [line for line, _, _, _ in reading.held],
            "fact_number": [fact for _, fact, _, _ in reading.held],
            "line_hash": [quarantine.line_hash(text) for _, _, _, text in reading.held],
        },
        schema={"line_number": pl.Int64, "fact_number": pl.Int32, "line_hash": pl.Binary},
    )
    return (
        reading.facts.drop("line_hash")
        .join(hashes, on=["line_number", "fact_number"], how="left", maintain_order="left")
        .select(list(segment.SCHEMA))
    )
