"""Blocks of bytes cut into numbered lines, without copying them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

_BREAK, _RETURN, _CLOSER = 10, 13, 0x5D
# Bytes looked at in one go, few enough to stay in the processor's cache.
_WINDOW = 1 << 18
# What may stand before `}` or `]` where JSON has a comma too many.
_SPACE = np.zeros(256, dtype=bool)
_SPACE[[ord(","), 32, 9, _RETURN]] = True


@dataclass(frozen=True)
class Lines:
    """Numbered lines of one block.

    Args:
        table: columns `line_number` (int64, from 1 in the file, blank lines counted) and `text` (string).
        odd: positions in `table` of lines that a JSON reader may treat too kindly (`}` after a comma or blank).
    """

    table: pa.Table
    odd: np.ndarray


def cut(blocks: Iterator[bytes | memoryview], rows: int = 131_072) -> Iterator[Lines]:
    """Cut blocks into lines of at most `rows` a piece; blank lines are left out but numbered."""
    number = 1
    for block in blocks:
        if block[-1] != _BREAK:
            block = bytes(block) + b"\n"
        data = np.frombuffer(block, np.uint8)
        ends, closers = _marks(data)
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


def _marks(data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions of line breaks, and of `}` and `]` (which differ in one bit)."""
    ends, closers = [], []
    for start in range(0, len(data), _WINDOW):
        window = data[start : start + _WINDOW]
        ends.append(np.flatnonzero(window == _BREAK) + start)
        closers.append(np.flatnonzero((window & 0xDF) == _CLOSER) + start)
    return np.concatenate(ends), np.concatenate(closers)


def is_strict_json(text: str) -> bool:
    """Whether a text is JSON by the letter: DuckDB's reader lets NaN and trailing commas pass."""
    return parsed(text) is not ...


def parsed(text: str, object_pairs_hook: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """The value of a JSON text; `...` if it is none, or too deep to be one of ours."""

    def refuse(_: str) -> None:
        raise ValueError

    try:
        return json.loads(text, parse_constant=refuse, object_pairs_hook=object_pairs_hook)
    except (ValueError, RecursionError):
        return ...
