"""Blocks of bytes cut into numbered lines, without copying them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

_BREAK, _RETURN, _COMMA = 10, 13, 44
# Bytes that end a line, an object or a list; all other bytes are passed over in one look-up.
_MARKS = np.zeros(256, dtype=bool)
_MARKS[[_BREAK, ord("}"), ord("]")]] = True
_SPACE = np.zeros(256, dtype=bool)
_SPACE[[_COMMA, 32, 9, _RETURN]] = True


@dataclass(frozen=True)
class Lines:
    """Numbered lines of one block.

    Args:
        table: columns `line_number` (int64, from 1 in the file, blank lines counted) and `text` (string).
        odd: positions in `table` of lines that a JSON reader may treat too kindly (`}` after a comma or blank).
    """

    table: pa.Table
    odd: np.ndarray


def cut(blocks: Iterator[bytes], rows: int = 32_768) -> Iterator[Lines]:
    """Cut blocks into lines of at most `rows` a piece; blank lines are left out but numbered."""
    number = 1
    for block in blocks:
        if not block.endswith(b"\n"):
            block += b"\n"
        data = np.frombuffer(block, np.uint8)
        marks = np.flatnonzero(_MARKS[data])
        kinds = data[marks]
        ends = marks[kinds == _BREAK]
        closers = marks[kinds != _BREAK]
        suspects = closers[_SPACE[data[closers - 1]]]
        starts = np.empty_like(ends)
        starts[0] = 0
        starts[1:] = ends[:-1] + 1
        length = ends - starts
        blank = (length == 0) | ((length == 1) & (data[starts] == _RETURN))
        odd_lines = np.unique(np.searchsorted(ends, suspects))
        buffer = pa.py_buffer(block)
        for low in range(0, len(ends), rows):
            high = min(low + rows, len(ends))
            offsets = np.empty(high - low + 1, np.int32)
            offsets[:-1] = starts[low:high]
            offsets[-1] = ends[high - 1] + 1
            text = pa.Array.from_buffers(pa.string(), high - low, [None, pa.py_buffer(offsets), buffer])
            numbers = pa.array(np.arange(number + low, number + high, dtype=np.int64))
            table = pa.table({"line_number": numbers, "text": text})
            odd = odd_lines[(odd_lines >= low) & (odd_lines < high)] - low
            if blank[low:high].any():
                keep = ~blank[low:high]
                odd = np.flatnonzero(np.isin(np.flatnonzero(keep), odd))
                table = table.filter(pa.array(keep))
            if table.num_rows:
                yield Lines(table, odd)
        number += len(ends)


def is_strict_json(text: str) -> bool:
    """Whether a text is JSON by the letter: DuckDB's reader lets NaN and trailing commas pass."""

    def refuse(_: str) -> None:
        raise ValueError

    try:
        json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError):
        return False
    return True
