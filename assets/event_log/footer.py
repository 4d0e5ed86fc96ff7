"""The number of rows that a Parquet file states, told in microseconds.

Parsing the whole footer of a small segment takes ten times as long as hashing the segment, and nearly all of it
goes into column descriptions that are the same in all segments. They stand before the number of rows; so what
stands before it is compared, and the number is read.
"""

from __future__ import annotations

import io
from functools import cache

import polars as pl
import pyarrow.parquet as pq

from dyadlog.assets.event_log import segment

_END = 8  # length of the footer and the magic bytes


def stated_rows(data: bytes) -> int:
    """Rows of a Parquet file, by its footer.

    Args:
        data: the whole file.
    """
    footer = data[-_END - int.from_bytes(data[-_END:-4], "little") : -_END]
    before = _before_rows()
    if not footer.startswith(before):
        rows: int = pq.read_metadata(io.BytesIO(data)).num_rows
        return rows
    number, shift = 0, 0
    for byte in footer[len(before) : len(before) + 10]:
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    return number >> 1  # Thrift's zigzag form of a number that is not negative


@cache
def _before_rows() -> bytes:
    """What stands before the number of rows in all segments: two of them differ first in that number."""
    none = pl.DataFrame(schema=segment.SCHEMA)
    one = pl.DataFrame({name: [None] for name in segment.SCHEMA}, schema=segment.SCHEMA)
    first, second = (
        data[-_END - int.from_bytes(data[-_END:-4], "little") :]
        for data in (segment.encode(none), segment.encode(one))
    )
    same = next(at for at, (a, b) in enumerate(zip(first, second, strict=False)) if a != b)
    return first[:same]
