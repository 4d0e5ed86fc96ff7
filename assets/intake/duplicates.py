"""Which facts say what is known already, and where that was said first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import duckdb
import polars as pl

from dyadlog.assets.event_log import segment, upcast
from dyadlog.assets.event_log.keys import KEY, KeyIndex
from dyadlog.assets.event_log.log import EventLog
from dyadlog.assets.event_log.records import Commit, Receipt
from dyadlog.assets.event_log.rows import counts_sql, places, repeated_sql, rows_sql
from dyadlog.assets.event_log.standing import voided

_PLACE = ["commit_seq", "line_number", "fact_number"]
_CONTENT = [name for name in segment.ENVELOPE if name not in ("site_id", *KEY)]


def mark_duplicates(
    log: EventLog, earlier: Sequence[Commit], facts: pl.DataFrame, receipt: Receipt
) -> tuple[pl.DataFrame, Receipt]:
    """Tell duplicates apart.

    A fact is a duplicate if the log, or an earlier line of the same file, says the same under the same event id
    and revision. The same key with another content is accepted: the fold shows it as a conflict. What only a voided
    delivery has said is not known.

    Args:
        log: the event log.
        earlier: all commits of the site.
        facts: facts in the columns of the log (`status` accepted or held_back).
        receipt: their account.
    """
    new = facts.with_row_index("row").filter(pl.col("status") == "accepted")
    found = _repeated(new, _known(log, earlier, receipt.site_id, new.select(KEY)))
    if found.is_empty():
        return facts, receipt
    keys = {"site_id", *KEY}
    is_duplicate = pl.col("status") == "duplicate"
    facts = (
        facts.with_row_index("row")
        .drop("same_as")
        .join(found, on="row", how="left", maintain_order="left")
        .with_columns(pl.when("repeats").then(pl.lit("duplicate")).otherwise("status").alias("status"))
        .with_columns(
            pl.when(~is_duplicate).then(pl.col(name)).alias(name)
            for name in (*segment.ENVELOPE, "payload")
            if name not in keys
        )
        .select(list(segment.SCHEMA))
    )
    by_line = facts.group_by("line_number").agg(is_duplicate.all().alias("duplicate"))
    known_lines = int(by_line["duplicate"].sum())
    return facts, replace(receipt, accepted=receipt.accepted - known_lines, duplicate=known_lines)


def _known(log: EventLog, earlier: Sequence[Commit], site_id: str, keys: pl.DataFrame) -> pl.DataFrame:
    """What the site has said under some keys and still counts, with the place where it was said first."""
    lie = log.layout.files(site_id)
    segments = [stored.segment for stored in lie]
    if log.keys:
        segments = KeyIndex(log.keys).holding(site_id, segments, keys, log.storage.locate)
    columns = [*_PLACE, *KEY, *_CONTENT, "payload"]
    if not segments:
        return pl.DataFrame(schema={"commit_seq": pl.Int64, **segment.SCHEMA}).select(columns)
    likely = {s.sha256 for s in segments}
    numbers = {part.commit for stored in lie if stored.segment.sha256 in likely for part in stored.parts}
    holding = [c for c in earlier if c.seq in numbers]
    gone = voided(earlier)
    with duckdb.connect() as duck:
        duck.register("place", places(log, holding).to_arrow())
        duck.register("wanted", keys.unique().to_arrow())
        duck.execute(
            f"create view likely as {rows_sql((log.storage.locate(s.name) for s in segments), 'place')}"
        )
        counts = "true"
        if any(c.seq in gone for c in holding):
            every = places(log, earlier)
            duck.register("every", every.to_arrow())
            duck.execute(f"create view all_rows as {rows_sql(every['file'], 'every')}")
            duck.execute(f"create table repeated as {repeated_sql('all_rows', gone)}")
            counts = counts_sql("repeated", gone)
        return duck.execute(
            f"select {', '.join(columns)} from (select * replace ({upcast.newest()}) from likely) "
            f"semi join wanted using ({', '.join(KEY)}) where status = 'accepted' and {counts} order by all"
        ).pl()


def _repeated(new: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """The new facts that say what is known or what a new fact before them says.

    Args:
        new: accepted facts in the columns of the log, and `row`.
        known: facts of the log under the same keys.

    Returns:
        `row`, `repeats` (true), `same_as` (null where it is only in the same file).
    """
    columns = [*KEY, *_CONTENT, "payload"]
    if known.is_empty() and new.select(KEY).n_unique() == len(new):
        return pl.DataFrame(schema={"row": pl.UInt32, "repeats": pl.Boolean, "same_as": pl.List(pl.Int64)})
    parts = [known.select(*columns, *_PLACE), _in_newest_version(new).select(*columns, "row")]
    every = pl.concat(parts, how="diagonal_relaxed").with_row_index("nth")
    said, steps = every, []
    # Most repeated facts are the same letter by letter; only for the others are the payloads taken apart.
    for payload in (
        pl.col("payload"),
        pl.col("payload").map_elements(_canonical, pl.String, skip_nulls=False),
    ):
        said = (
            said.filter(pl.struct(KEY).is_duplicated())
            .with_columns(payload.alias("payload"))
            .with_columns(pl.col("nth").first().over(columns).alias("first"))
        )
        steps.append(said.filter(pl.col("nth") != pl.col("first")).select("row", "nth", "first"))
        said = said.filter(pl.col("nth") == pl.col("first"))
    by_letter, by_meaning = steps
    further = by_meaning.select(pl.col("nth").alias("first"), pl.col("first").alias("end"))
    found = pl.concat(
        [
            by_letter.join(further, on="first", how="left").select(
                "row", pl.coalesce("end", "first").alias("nth")
            ),
            by_meaning.select("row", pl.col("first").alias("nth")),
        ]
    )
    place = every.select(
        "nth", pl.when(pl.col("commit_seq").is_not_null()).then(pl.concat_list(_PLACE)).alias("same_as")
    )
    return (
        found.filter(pl.col("row").is_not_null())
        .join(place, on="nth")
        .select("row", pl.lit(value=True).alias("repeats"), "same_as")
    )


def _in_newest_version(facts: pl.DataFrame) -> pl.DataFrame:
    """The payloads in the newest version of their kinds."""
    if not facts.select(upcast.outdated().any()).item():
        return facts
    with duckdb.connect() as duck:
        duck.register("facts", facts.to_arrow())
        return duck.execute(f"select * replace ({upcast.newest()}) from facts order by row").pl()


def _canonical(payload: str | None) -> str:
    """A payload as compared: the order of fields, fields that are null and the way a number is written mean nothing."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            inner = {key: plain(part) for key, part in value.items()}
            return {key: part for key, part in inner.items() if part is not None and part != {}}
        if isinstance(value, float) and value.is_integer():
            return int(value)
        return value

    return json.dumps(plain(json.loads(payload)) if payload else {}, sort_keys=True)
