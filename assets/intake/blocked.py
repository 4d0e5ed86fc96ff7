"""Keeps erased persons out: their lines are counted, and nothing else of them is kept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import polars as pl

from dyadlog.assets.event_log import segment
from dyadlog.assets.event_log.blocked import Blocked

if TYPE_CHECKING:
    from dyadlog.assets.intake.reading import Reading

CODE = "PERSON_ERASED"


def leave_out(reading: Reading, blocked: Blocked) -> Reading:
    """A file as if the lines of erased persons had been held back, without their text."""
    facts = reading.facts.with_row_index("row")
    clients = blocked.clients(facts["client_id"].drop_nulls().unique().to_list())
    refused = {one[:2] for one in reading.held if one.fact and blocked.holds(one)}
    lines = pl.DataFrame(
        list(refused), {"line_number": pl.Int64, "fact_number": pl.Int32}, orient="row"
    ).join(facts.filter(pl.col("status") == "held_back"), on=["line_number", "fact_number"])
    theirs = pl.concat([facts.filter(pl.col("client_id").is_in(list(clients)))["row"], lines["row"]])
    if theirs.is_empty():
        return reading
    is_theirs = pl.col("row").is_in(theirs.implode())
    held_before = set(facts.filter(pl.col("status") == "held_back")["line_number"])
    touched = set(facts.filter(is_theirs)["line_number"])
    told, newly = reading.receipt, len(touched - held_before)
    emptied = [name for name in (*segment.ENVELOPE, "payload") if name != "site_id"]
    facts = facts.with_columns(
        pl.when(is_theirs).then(pl.lit("held_back")).otherwise("status").alias("status"),
        pl.when(is_theirs).then(pl.lit([f"{CODE}@client_id"])).otherwise("codes").alias("codes"),
        *(pl.when(~is_theirs).then(pl.col(name)).alias(name) for name in emptied),
    ).drop("row")
    held = [one for one in reading.held if one[:2] not in refused]
    return replace(
        reading,
        facts=facts.select(list(segment.SCHEMA)),
        held=held if any(one.fact for one in held) else [],
        receipt=replace(
            told,
            accepted=told.accepted - newly,
            held_back=told.held_back + newly,
            codes=told.codes | {CODE: len(touched)},
            fields=told.fields | {f"{CODE}@client_id": len(touched)},
        ),
    )
