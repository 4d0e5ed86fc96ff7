"""The rows of commits: which segments they lie in, which commit each belongs to, which of them count no longer."""

from __future__ import annotations

from collections.abc import Iterable

import polars as pl

from dyadlog.assets.event_log.log import EventLog
from dyadlog.assets.event_log.records import Commit


def places(log: EventLog, commits: Iterable[Commit]) -> pl.DataFrame:
    """Where the rows of commits lie now: address of a segment (`file`), `part` of its rows, `commit_seq`."""
    wanted = {c.seq: c.receipt.site_id for c in commits}
    held = [
        (log.storage.locate(stored.segment.name), number, part.commit)
        for site_id in dict.fromkeys(wanted.values())
        for stored in log.layout.files(site_id)
        if any(part.commit in wanted for part in stored.parts)
        for number, part in enumerate(stored.parts)
        if part.commit in wanted
    ]
    return pl.DataFrame(
        held, schema={"file": pl.String, "part": pl.Int32, "commit_seq": pl.Int64}, orient="row"
    )


def rows_sql(files: Iterable[str], place: str) -> str:
    """SQL of the rows in some segments: the columns of `segment.SCHEMA` that say something, and `commit_seq`.

    Args:
        files: addresses of the segments, at least one.
        place: name of a table with the columns of `places`.
    """
    return (
        "select fact.* exclude (filename, part, salt), place.commit_seq "
        f"from read_parquet({sorted(set(files))!r}, filename = true) as fact "
        f"inner join {place} as place on fact.filename = place.file and fact.part = place.part"
    )


def repeated_sql(rows: str, voided: Iterable[int]) -> str:
    """SQL of the rows of voided commits that a delivery which is not voided repeats: these still count.

    A duplicate keeps no content but the place where the same was said first. So what a voided delivery had said first
    lives on where it was said again.

    Args:
        rows: name of a relation with all rows.
        voided: numbers of the voided commits, at least one.
    """
    gone = f"({', '.join(map(str, sorted(voided)))})"
    return (
        "select distinct same_as[1] as commit_seq, same_as[2] as line_number, same_as[3]::integer as fact_number "
        f"from {rows} where status = 'duplicate' and same_as[1] in {gone} and commit_seq not in {gone}"
    )


def counts_sql(repeated: str, voided: Iterable[int]) -> str:
    """SQL of whether a row's commit is not voided, or what it says still counts.

    Args:
        repeated: name of a relation with the rows of `repeated_sql`.
        voided: numbers of the voided commits, at least one.
    """
    gone = f"({', '.join(map(str, sorted(voided)))})"
    return f"(commit_seq not in {gone} or (commit_seq, line_number, fact_number) in (from {repeated}))"
