"""The Parquet form of facts in the log."""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from dyadlog.assets.event_log.leaves import leaves_of, root_of, salts
from dyadlog.schemas.catalogue import catalogue
from dyadlog.schemas.frames import POLARS_TYPE

ENVELOPE = tuple(catalogue().envelope)

# One row per fact that ever arrived. `status` is accepted, duplicate or held_back; a held-back row keeps its line
# number, its codes and a keyed hash of its text, and nothing of its content. A duplicate row keeps its key and, unless an
# earlier line of the same delivery says the same, the place where it was said: commit, line and fact.
# Rows about one person share a `salt` (leaves.py); `part` tells the segments apart that were merged into one (layout.py).
SCHEMA: dict[str, type[pl.DataType] | pl.DataType] = {
    "line_number": pl.Int64,
    "fact_number": pl.Int32,
    "status": pl.String,
    "codes": pl.List(pl.String),
    "line_hash": pl.Binary,
    "same_as": pl.List(pl.Int64),
    **{name: POLARS_TYPE[spec.type] for name, spec in catalogue().envelope.items()},
    "payload": pl.String,
    "salt": pl.Binary,
    "part": pl.Int32,
}

# Rows of a segment: those of a large delivery are written two at a time.
_ROWS = 250_000
_REPEATING = [
    "salt",
    "part",
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
    return _parquet(frame.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(_ARROW))


def _parquet(table: pa.Table) -> bytes:
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


@dataclass(frozen=True)
class Encoded:
    """A segment that is ready to be stored: its bytes, its number of rows and the root of its leaves."""

    data: bytes
    rows: int
    root: str


def encode_all(frame: pl.DataFrame, persons: pl.Series) -> Iterator[Encoded]:
    """Parquet form, one part after the other: a large delivery becomes several segments.

    Args:
        frame: facts in the columns of `SCHEMA`.
        persons: who each of them is about, null for nobody; a duplicate does not say so itself.
    """
    starts = range(0, len(frame), _ROWS)
    with ThreadPoolExecutor(2) as pool:
        yield from pool.map(
            lambda start: _encoded(frame.slice(start, _ROWS), persons.slice(start, _ROWS)), starts
        )


def _encoded(part: pl.DataFrame, persons: pl.Series) -> Encoded:
    part = part.with_columns(salts(persons), pl.lit(0, pl.Int32).alias("part"))
    table = part.to_arrow(compat_level=pl.CompatLevel.oldest())
    root = root_of(leaves_of(table).values())
    table = table.cast(_ARROW)  # the wider one is let go before the Parquet bytes are made
    return Encoded(_parquet(table), len(part), root)


def read(data: bytes) -> pl.DataFrame:
    """Facts of a segment, in its order."""
    return pl.read_parquet(io.BytesIO(data))


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
