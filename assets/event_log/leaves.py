"""What a segment commits to besides its bytes: a salted hash per person, and one root over all of them.

A commit holds the SHA-256 of a segment's bytes, which proves them as long as nothing leaves. When a person is erased,
the bytes change; then the rest is proved by the root of a Merkle tree whose leaves are one hash per person. Of the
person the hash stays, so that the root can still be computed; the salt that stood in the rows goes with the rows, so
that nobody can try out what may have been said.

Rows that share a salt are one leaf; who they are about need not be known. Nodes and leaves are told apart by their
first byte, as in RFC 6962 (2.1); leaves are in the order of their own value, so that one that was erased has a place.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

SALT_BYTES = 16
_NOT_CONTENT = ("salt", "part")
# Stands between texts of a row, none of which can hold a control character.
_BETWEEN = b"\x1f"


def salts(persons: pl.Series) -> pl.Series:
    """A new salt per person; rows about nobody get one each.

    Args:
        persons: who each row is about, null for nobody.
    """
    codes = persons.cast(pl.Categorical).to_physical().cast(pl.Int64).fill_null(-1).to_numpy(writable=True)
    alone = codes < 0
    codes[alone] = np.arange(alone.sum()) + codes.max(initial=0) + 1
    numbers, codes = np.unique(codes, return_inverse=True)
    count = len(numbers)
    random = secrets.token_bytes(SALT_BYTES * count)
    each = [random[at : at + SALT_BYTES] for at in range(0, len(random), SALT_BYTES)]
    return pl.Series("salt", each, dtype=pl.Binary).gather(codes)


def leaves_of(table: pa.Table) -> dict[bytes, bytes]:
    """The leaf of each salt.

    Args:
        table: rows of a segment, in its order; columns of `segment.SCHEMA`, as polars hands them over.

    Raises:
        ValueError: a row has no salt.
    """
    if not table.num_rows:
        return {}
    codes, order = _together(_column(table, "salt"))
    if order is not None:
        table, codes = table.take(order), codes[order]
    numbers, words, payload = _content(table)
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    ends = np.append(starts[1:], table.num_rows)
    given = _column(table, "salt").take(starts).to_pylist()
    row = numbers.shape[1] * numbers.itemsize
    counted = memoryview(numbers.tobytes())
    spans = [
        (data, offsets[starts].tolist(), offsets[ends].tolist())
        for data, offsets in map(_text, (words, payload))
    ]
    found = {}
    for nth, (salt, start, end) in enumerate(zip(given, starts.tolist(), ends.tolist(), strict=True)):
        leaf = hashlib.sha256(b"\x00" + salt)
        leaf.update(counted[row * start : row * end])
        for data, begins, stops in spans:
            leaf.update(data[begins[nth] : stops[nth]])
        found[salt] = leaf.digest()
    return found


def root_of(leaves: Iterable[bytes]) -> str:
    """Root of the Merkle tree over leaves, as hexadecimal text."""
    level = sorted(leaves) or [hashlib.sha256().digest()]
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        odd = level[len(level) & ~1 :]
        level = [hashlib.sha256(b"\x01" + one + other).digest() for one, other in pairs] + odd
    return level[0].hex()


def _column(table: pa.Table, name: str) -> pa.Array:
    column = table[name].combine_chunks()
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _together(salt: pa.Array) -> tuple[np.ndarray, np.ndarray | None]:
    """A number per salt, and the order that brings equal ones together (None if they are)."""
    if salt.null_count:
        raise ValueError("a row without a salt")
    codes = salt.dictionary_encode().indices.to_numpy()
    # Numbers are given in the order of appearance: they fall only where a salt comes again.
    return codes, np.argsort(codes, kind="stable") if (np.diff(codes) < 0).any() else None


def _content(table: pa.Table) -> tuple[np.ndarray, pa.Array, pa.Array]:
    """What a row says: whole numbers (with lengths and what is null), short texts joined, the payload."""
    rows = table.num_rows
    whole, given = 0, np.zeros(rows, np.int32)
    numbers: list[np.ndarray] = []
    words: list[pa.Array] = []
    last: list[pa.Array] = []
    for bit, name in enumerate(name for name in table.column_names if name not in _NOT_CONTENT):
        column = _column(table, name)
        if not column.null_count:
            whole |= 1 << bit
        elif column.null_count < rows:
            given |= column.is_valid().to_numpy(zero_copy_only=False).astype(np.int32) << bit
        if pa.types.is_integer(column.type):
            numbers.append((column.fill_null(0) if column.null_count else column).cast(pa.int32()).to_numpy())
        elif name != "payload" and column.null_count < rows:
            if pa.types.is_list(column.type) or pa.types.is_large_list(column.type):
                column = pc.binary_join(column.cast(pa.list_(pa.string())), "\x1e")
            # A hash may hold any byte; it has a fixed length and stands at the end.
            (last if name == "line_hash" else words).append(column.cast(pa.large_binary()))
    payload = _column(table, "payload").cast(pa.large_binary())
    if payload.null_count:  # Arrow lets any bytes stand where nothing is said
        payload = payload.fill_null(b"")
    joined = pc.binary_join_element_wise(
        *words, *last, pa.scalar(_BETWEEN, pa.large_binary()), null_handling="skip"
    )
    joined = joined.combine_chunks() if isinstance(joined, pa.ChunkedArray) else joined
    if joined.null_count:
        joined = joined.fill_null(b"")
    lengths = [np.diff(_text(text)[1]).astype(np.int32) for text in (joined, payload)]
    return np.column_stack([given | whole, *numbers, *lengths]), joined, payload


def _text(array: pa.Array) -> tuple[memoryview, np.ndarray]:
    """Bytes of all texts one after the other, and where each begins and the last ends; null is nothing."""
    _, offsets, data = array.buffers()
    begins = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    return memoryview(data) if data is not None else memoryview(b""), begins
