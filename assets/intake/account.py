"""The rows that the facts of a file become in the log, and their account."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import polars as pl

from dyadlog.assets.event_log import segment
from dyadlog.assets.event_log.quarantine import Held, client_of
from dyadlog.assets.event_log.records import Receipt
from dyadlog.assets.intake.columns import Problem
from dyadlog.assets.intake.facts import Facts
from dyadlog.assets.intake.files import Landed, Reader
from dyadlog.schemas.codes import codes

# Columns that are filled when all of the file is known.
_LATER = ("line_hash", "same_as", "salt", "part")


def none() -> pl.DataFrame:
    """No facts."""
    return pl.DataFrame(schema=segment.SCHEMA)


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
    clients = [client_of(said) for said in frame["client_id"][held_rows].to_list()]
    # A fact of a row that does not say whose it is goes with the others of the row.
    of_line = {int(numbers[row]): client for row, client in zip(held_rows, clients, strict=True) if client}
    rows = zip(
        held_rows,
        frame["fact_number"][held_rows].to_list(),
        facts.text[held_rows].to_list(),
        clients,
        strict=True,
    )
    held.extend(
        Held(
            int(numbers[row]),
            fact,
            noted.get(row, []),
            text.rstrip("\r\n"),
            client or of_line.get(int(numbers[row])),
        )
        for row, fact, text, client in rows
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
