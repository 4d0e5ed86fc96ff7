"""One file from its bytes to a reading: its facts, checked, and its account. Nothing is known here about other files."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, TypeVar

import numpy as np
import polars as pl
import pyarrow as pa

from dyadlog.assets.event_log.quarantine import Held
from dyadlog.assets.event_log.records import Receipt
from dyadlog.assets.intake.account import Tally, none, take
from dyadlog.assets.intake.facts import FactReader, Facts, numbered
from dyadlog.assets.intake.files import FileRefusedError, Landed, Reader, kind_of
from dyadlog.assets.intake.lines import Lines, cut
from dyadlog.assets.intake.tables import FactLines, TableReader
from dyadlog.schemas.mapping import Mapping
from dyadlog.schemas.study import Study

# Blocks that are checked at the same time; each takes one core and some hundred megabytes.
_AT_ONCE = 2
# Bytes of text in small files that are checked together, and the largest file that counts as small. Each step of the
# checks costs the same for ten lines as for ten thousand.
TOGETHER = 16 << 20
SMALL = 4 << 20
# As how many bytes the smallest file counts, so that of thousands of tiny files the first are committed soon.
_LEAST = 64 << 10

# What is read of a block.
_COLUMNS = ["line_number", "text", "fact_number"]

Progress = Callable[[int], None]
_T = TypeVar("_T")
_R = TypeVar("_R")


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


@dataclass(frozen=True)
class Block:
    """Some lines of a file.

    Args:
        lines: what is checked.
        made: where the lines were made of the rows of a table.
    """

    lines: Lines
    made: FactLines | None = None

    @classmethod
    def of_table(cls, made: FactLines) -> Block:
        """Facts that were made of the rows of a table."""
        return cls(Lines(made.table(), np.empty(0, np.int64)), made)

    def judged(self, facts: Facts) -> Facts:
        """What was found, put to the rows as they stand in the file."""
        if self.made:
            broken = {row for row, code, _ in self.made.problems if code.startswith("LINE_")}
            facts.problems = [p for p in facts.problems if p[0] not in broken] + self.made.problems
            facts.text = pl.Series("text", self.made.raw, pl.String)
        return facts


class Readers:
    """What reads files, kept from file to file: to set it up costs more than to read a small file.

    Args:
        study: the protocol.
    """

    def __init__(self, study: Study) -> None:
        self._study = study
        self._idle = [FactReader(study, threads=1) for _ in range(_AT_ONCE)]
        self._pool = ThreadPoolExecutor(_AT_ONCE)

    def close(self) -> None:
        """Release threads and DuckDB."""
        self._pool.shutdown()
        for reader in self._idle:
            reader.close()

    def check(self, site_id: str, blocks: Iterable[Block]) -> Iterator[Facts]:
        """Check blocks two at a time, while the next one is read; results come in the order of the blocks."""
        return self._in_order(lambda block: block.judged(self._read(site_id, block.lines)), blocks)

    def ahead(
        self, files: Iterable[Landed], alone: Callable[[Landed], bool]
    ) -> Generator[tuple[Landed, Reading | None], None, None]:
        """Read small files, many at a time, while those before them are dealt with.

        Args:
            files: the files.
            alone: tells files that are not to be read here.

        Yields:
            each file in its order; with its reading, if it is a small one and nothing is wrong with it as a whole.
        """
        for group in self._in_order(self._together, _grouped(files, alone)):
            yield from group

    def _in_order(self, work: Callable[[_T], _R], tasks: Iterable[_T]) -> Iterator[_R]:
        running: deque[Future[_R]] = deque()
        try:
            for task in tasks:
                running.append(self._pool.submit(work, task))
                if len(running) > _AT_ONCE:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            wait(running)

    def _read(self, site_id: str | pl.Series, lines: Lines) -> Facts:
        reader = self._idle.pop()
        try:
            return reader.read(site_id, lines.table, lines.odd)
        finally:
            self._idle.append(reader)

    def _together(self, group: _Group) -> list[tuple[Landed, Reading | None]]:
        whole = {landed: read for landed in group.small if (read := _whole(self._study, landed))}
        readings: dict[Landed, Reading] = {}
        if whole:
            lines, rows = _joined([block.lines for _, block in whole.values()])
            sites = [landed.site_id for landed in whole]
            every = self._read(pl.Series(np.repeat(sites, rows)), lines)
            for (landed, (file, block)), facts in zip(whole.items(), every.split(rows), strict=True):
                file.add(block.judged(facts))
                readings[landed] = file.reading()
        return [(landed, readings.get(landed)) for landed in (*group.small, *group.other)]


class _Group(NamedTuple):
    """Small files that are read together, or another file."""

    small: Sequence[Landed]
    other: Sequence[Landed] = ()


def _grouped(files: Iterable[Landed], alone: Callable[[Landed], bool]) -> Iterator[_Group]:
    small: list[Landed] = []
    room = TOGETHER
    for landed in files:
        is_small = landed.size <= SMALL and not alone(landed)
        taken = max(landed.size, _LEAST)
        if small and (not is_small or taken > room):
            yield _Group(small)
            small, room = [], TOGETHER
        if is_small:
            small.append(landed)
            room -= taken
        else:
            yield _Group((), (landed,))
    if small:
        yield _Group(small)


def _whole(study: Study, landed: Landed) -> tuple[_File, Block] | None:
    """A file in one block; None if it is larger or something is wrong with it as a whole."""
    file = _File(study, landed)
    with closing(file.blocks()) as blocks:
        try:
            read = list(islice(blocks, 2))
        except FileRefusedError:
            return None
    # Of a compressed file the text may be large.
    return (file, read[0]) if len(read) == 1 and read[0].lines.table.nbytes <= TOGETHER else None


def _joined(parts: Sequence[Lines]) -> tuple[Lines, list[int]]:
    """Lines of several files as one block, and how many each has."""
    rows = [lines.table.num_rows for lines in parts]
    starts = np.cumsum([0, *rows[:-1]])
    table = pa.concat_tables([numbered(lines.table).select(_COLUMNS) for lines in parts])
    odd = [lines.odd + start for lines, start in zip(parts, starts, strict=True)]
    return Lines(table, np.concatenate(odd)), rows


def read_file(study: Study, landed: Landed, readers: Readers, *, progress: Progress | None = None) -> Reading:
    """Read and check one file. What is wrong with it becomes codes in the receipt, never an exception.

    Args:
        study: the protocol.
        landed: the file.
        readers: what checks its facts.
        progress: called with the number of bytes read so far.
    """
    file = _File(study, landed)
    try:
        for facts in readers.check(landed.site_id, file.blocks()):
            file.add(facts)
            if progress:
                progress(file.reader.size)
    except FileRefusedError as refusal:
        return file.refused(refusal)
    return file.reading()


class _File:
    """One file while it is read.

    Args:
        study: the protocol.
        landed: the file.
    """

    def __init__(self, study: Study, landed: Landed) -> None:
        self._study = study
        self._landed = landed
        self._table: TableReader | None = None
        self._parts: list[pl.DataFrame] = []
        self._held: list[Held] = []
        self._tally = Tally()
        self.reader = Reader(landed.path, study.protocol.limits)

    def blocks(self) -> Generator[Block, None, None]:
        """Its lines.

        Raises:
            FileRefusedError: the file as a whole cannot be read.
        """
        if kind_of(self._landed.name) == "events":
            yield from map(Block, cut(self.reader.blocks()))
            return
        self._table = TableReader(mapping_of(self._study, self._landed.site_id, self._landed.name))
        yield from map(Block.of_table, self._table.read(map(bytes, self.reader.blocks())))

    def add(self, facts: Facts) -> None:
        """Take the facts of its next block."""
        take(facts, self._landed.site_id, self._parts, self._held, self._tally)

    def reading(self) -> Reading:
        """What was read; for when all blocks were."""
        if self._table:
            self._tally.file_codes += self._table.remarks
            if self._held:
                self._held.insert(0, Held(0, 0, [], self._table.header))
        receipt = self._tally.receipt(self._landed, self.reader)
        facts = pl.concat(self._parts) if self._parts else none()
        return Reading(receipt, refused=False, facts=facts, held=self._held)

    def refused(self, refusal: FileRefusedError) -> Reading:
        """Reading stopped where the fault was; the receipt is about the whole file."""
        whole = Reader(self._landed.path, self._study.protocol.limits)
        receipt = Receipt(
            self._landed.site_id,
            self._landed.name,
            whole.size if measure(whole) else self._landed.size,
            whole.sha256,
            codes={refusal.code: 1},
            fields={f"{refusal.code}@{name}": 1 for name in refusal.fields},
        )
        return Reading(receipt, refused=True, facts=none(), held=[])


def measure(reader: Reader) -> bool:
    """Size and hash of a file whose content is not looked at; whether its end was reached."""
    try:
        reader.drain()
    except FileRefusedError:
        return False
    return True


def mapping_of(study: Study, site_id: str, file_name: str) -> Mapping:
    """The mapping by which a table is read.

    Raises:
        FileRefusedError: FILE_NO_MAPPING.
    """
    for mapping in study.site_mappings(site_id):
        if mapping.fits(file_name):
            return mapping
    raise FileRefusedError("FILE_NO_MAPPING")
