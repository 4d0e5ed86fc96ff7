"""The Parquet form of facts in the log."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from dyadlog.schemas.catalogue import catalogue
from dyadlog.schemas.frames import POLARS_TYPE

ENVELOPE = tuple(catalogue().envelope)

# One row per fact that ever arrived. `status` is accepted, duplicate or held_back; a held-back row keeps its line
# number, its codes and a keyed hash of its text, and nothing of its content. A duplicate row keeps its key and, unless an
# earlier line of the same delivery says the same, the place where it was said: commit, line and fact.
SCHEMA: dict[str, type[pl.DataType] | pl.DataType] = {
    "line_number": pl.Int64,
    "fact_number": pl.Int32,
    "status": pl.String,
    "codes": pl.List(pl.String),
    "line_hash": pl.Binary,
    "same_as": pl.List(pl.Int64),
    **{name: POLARS_TYPE[spec.type] for name, spec in catalogue().envelope.items()},
    "payload": pl.String,
}

# Rows of a segment: those of a large delivery are written two at a time.
_ROWS = 250_000
_REPEATING = [
    "status",
    "op",
    "event_type",
    "schema_version",
    "site_id",
    "client_id",
    "therapist_id",
    "episode_id",
    "session_number",
    "study_day",
    "recorded_day",
    "actor_id",
    "actor_role",
    "reason_code",
    "revision",
]


def encode(frame: pl.DataFrame) -> bytes:
    """Parquet bytes of facts in the columns of `SCHEMA`; the same frame always gives the same bytes."""
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(_ARROW)
    out = io.BytesIO()
    pq.write_table(
        table,
        out,
        compression="zstd",
        compression_level=1,
        use_dictionary=_REPEATING,
        write_page_checksum=True,
        store_schema=False,
        row_group_size=131_072,
    )
    return out.getvalue()


def encode_all(frame: pl.DataFrame) -> Iterator[tuple[bytes, int]]:
    """Parquet bytes and number of rows, one part after the other: a large delivery becomes several segments."""
    parts = [frame.slice(start, _ROWS) for start in range(0, len(frame), _ROWS)]
    with ThreadPoolExecutor(2) as pool:
        for data, part in zip(pool.map(encode, parts), parts, strict=True):
            yield data, len(part)


def _arrow_type(kind: type[pl.DataType] | pl.DataType) -> pa.DataType:
    if isinstance(kind, pl.List):
        return pa.list_(_arrow_type(kind.inner))  # type: ignore[arg-type]
    return {
        pl.String: pa.string(),
        pl.Int64: pa.int64(),
        pl.Int32: pa.int32(),
        pl.Float64: pa.float64(),
        pl.Boolean: pa.bool_(),
        pl.Binary: pa.binary(),
    }[kind]  # type: ignore[index]


_ARROW = pa.schema([(name, _arrow_type(kind)) for name, kind in SCHEMA.items()])
