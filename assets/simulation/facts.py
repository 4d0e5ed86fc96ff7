"""From truth to facts: one row per event that a site's records hold, in the order in which they were recorded.

The table of facts is the place to plant faults in content: everything that a line will say is a column of it.
"""

from __future__ import annotations

import polars as pl

from dyadlog.assets.simulation.truth import Truth
from dyadlog.schemas.catalogue import catalogue
from dyadlog.schemas.frames import PAYLOAD_PREFIX, POLARS_TYPE

Table = pl.DataFrame

# Columns beside those of the envelope and of all payloads (`payload.<field>`).
NIGHT, RECORDED_ON, ITEMS = "night", "recorded_on", "items"


def _schema() -> pl.Schema:
    known = catalogue()
    types = dict(POLARS_TYPE)
    payload = {
        PAYLOAD_PREFIX + name: types[field.type]
        for event in known.events.values()
        for name, field in event.versions[event.newest].items()
    }
    envelope = {name: types[field.type] for name, field in known.envelope.items()}
    return pl.Schema(
        {NIGHT: pl.Int32, RECORDED_ON: pl.Int64, **envelope, **payload, ITEMS: pl.List(pl.Int16)}
    )


# night (from 1), day of the study on which the fact was recorded, envelope, payloads, answers by position of the item.
SCHEMA = _schema()


def facts_of(truth: Truth, days: int, nights: int) -> Table:
    """All facts of a site that are recorded before the last night.

    Args:
        truth: the site.
        days: days of the study.
        nights: nights on which sites deliver, at even distances.

    Returns:
        a table with the columns of `SCHEMA`, in the order of recording; `night` says with which delivery a fact goes.
    """
    parts = [_therapists(truth), *_clients(truth), _sessions(truth), _forms(truth), *_ruptures(truth)]
    parts += [_endings(truth), _withdrawals(truth)]
    facts = pl.concat(
        [part.select(pl.col(name).cast(SCHEMA[name]) for name in part.columns) for part in parts],
        how="diagonal",
    )
    facts = _consented(facts, truth)
    facts = facts.with_columns(
        (pl.col(RECORDED_ON) * nights // days + 1).cast(pl.Int32).alias(NIGHT),
        pl.lit(1, pl.Int64).alias("schema_version"),
    ).filter(pl.col(NIGHT) <= nights)
    facts = facts.sort(RECORDED_ON, "client_id", "study_day", maintain_order=True, nulls_last=False)
    missing = [pl.lit(None, kind).alias(name) for name, kind in SCHEMA.items() if name not in facts.columns]
    return facts.with_columns(missing).select(list(SCHEMA))


def _fact(kind: str, event_id: pl.Expr, *columns: str | pl.Expr, **payload: str | pl.Expr) -> list[pl.Expr]:
    """Columns of a fact: kind, id, columns of the truth that are part of the envelope, payload."""
    return [
        pl.lit(kind).alias("event_type"),
        event_id.alias("event_id"),
        *(pl.col(column) if isinstance(column, str) else column for column in columns),
        *(
            (pl.col(value) if isinstance(value, str) else value).alias(PAYLOAD_PREFIX + name)
            for name, value in payload.items()
        ),
    ]


_DYAD = ("site_id", "client_id", "therapist_id")
_TIME = ("study_day", RECORDED_ON)
# The day on which the site captured it, counted like `study_day`.
_CAPTURED = (pl.col(RECORDED_ON) - pl.col("day") + pl.col("study_day")).alias("recorded_day")
_PLACE = (*_DYAD, "session_number", *_TIME, _CAPTURED)


def _id(*parts: str | pl.Expr) -> pl.Expr:
    """An event id of the client's id and more."""
    texts = [pl.lit(part) if isinstance(part, str) else part for part in parts]
    return pl.concat_str(pl.col("client_id"), *texts, separator="-")


_SESSION = pl.concat_str(pl.lit("s"), pl.col("session_number").cast(pl.String).str.zfill(2))


def _therapists(truth: Truth) -> Table:
    return truth.therapist.select(
        *_fact(
            "therapist.enrolled",
            pl.concat_str("therapist_id", pl.lit("-enrolled")),
            "site_id",
            "therapist_id",
            pl.lit(0).alias(RECORDED_ON),
            years_experience="years_experience",
            training_level="training_level",
        )
    )


def _clients(truth: Truth) -> list[Table]:
    table = truth.client
    start = (pl.col("enrolled_on").alias(RECORDED_ON), pl.lit(0).alias("study_day"))
    who = {name: name for name in ("arm", "treatment_modality", "age_years", "gender")}
    return [
        table.select(*_fact("client.enrolled", _id("enrolled"), *_DYAD[:2], *start, **who)),
        table.select(*_fact("consent.given", _id("consent"), *_DYAD[:2], *start, scope=pl.lit("research"))),
        table.select(*_fact("dyad.formed", _id("dyad"), *_DYAD, *start)),
    ]


def _sessions(truth: Truth) -> Table:
    kind = pl.concat_str(pl.lit("session."), pl.col("status")).alias("event_type")
    said = {
        "format": "format",
        "duration_minutes": "duration_minutes",
        "by": "absent_by",
        "reason": "absence_reason",
    }
    return truth.session.select(*_fact("", _id(_SESSION), *_PLACE, **said)).with_columns(
        truth.session.select(kind).to_series()
    )


def _forms(truth: Truth) -> Table:
    where = (
        pl.when(pl.col("session_number").is_null())
        .then(pl.col("measure"))
        .otherwise(pl.concat_str(_SESSION, "measure", separator="-"))
    )
    said = {name: name for name in ("instrument", "version", "rater", "occasion", "seconds")}
    return truth.form.select(
        *_fact(
            "instrument.completed",
            _id(where),
            *_PLACE,
            **said,
            claimed_total=pl.when("claims_total").then("total"),
        ),
        pl.col(ITEMS),
    )


def _ruptures(truth: Truth) -> list[Table]:
    return []


def _endings(truth: Truth) -> Table:
    said = {name: name for name in ("initiator", "reason", "planned")}
    return truth.ending.select(*_fact("treatment.ended", _id("ended"), *_DYAD, *_TIME, _CAPTURED, **said))


def _withdrawals(truth: Truth) -> Table:
    return truth.withdrawal.select(
        *_fact("consent.withdrawn", _id("withdrawn"), *_DYAD[:2], *_TIME, _CAPTURED, mode="mode")
    )


def _consented(facts: Table, truth: Truth) -> Table:
    """Without what happened after a client withdrew consent."""
    until = truth.withdrawal.select("client_id", pl.col("study_day").alias("until"))
    return (
        facts.join(until, on="client_id", how="left", maintain_order="left")
        .filter(
            pl.col("until").is_null()
            | pl.col("study_day").is_null()
            | (pl.col("study_day") <= pl.col("until"))
        )
        .drop("until")
    )
