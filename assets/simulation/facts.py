"""From truth to facts: one row per event that a site's records hold, in the order in which they were recorded.

The table of facts is the place to plant faults in content: everything that a line will say is a column of it.
"""

from __future__ import annotations

import polars as pl

from dyadlog.assets.simulation.coded import SCHEME
from dyadlog.assets.simulation.truth import Truth
from dyadlog.schemas.catalogue import catalogue
from dyadlog.schemas.frames import PAYLOAD_PREFIX, POLARS_TYPE

Table = pl.DataFrame

# Columns beside those of the envelope and of all payloads (`payload.<field>`).
NIGHT, RECORDED_ON, ITEMS = "night", "recorded_on", "items"
# The version of every kind of event that simulated sites speak.
SPOKEN = 1


def _schema() -> pl.Schema:
    known = catalogue()
    types = dict(POLARS_TYPE)
    payload = {
        PAYLOAD_PREFIX + name: types[field.type]
        for event in known.events.values()
        for name, field in event.versions[SPOKEN].items()
    }
    envelope = {name: types[field.type] for name, field in known.envelope.items()}
    own: dict[str, pl.DataType | type[pl.DataType]] = {NIGHT: pl.Int32, RECORDED_ON: pl.Int64}
    return pl.Schema({**own, **envelope, **payload, ITEMS: pl.List(pl.Int16)})


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
    tell = (_people, _sessions, _forms, _reports, _codings, _interviews, _ends)
    parts = [part for told in tell for part in told(truth) if len(part)]
    facts = pl.concat(
        [part.select(pl.col(name).cast(SCHEMA[name]) for name in part.columns) for part in parts],
        how="diagonal",
    )
    facts = _consented(facts, truth)
    facts = facts.with_columns(
        (pl.col(RECORDED_ON) * nights // days + 1).cast(pl.Int32).alias(NIGHT),
        pl.lit(SPOKEN, pl.Int64).alias("schema_version"),
    ).filter(pl.col(NIGHT) <= nights)
    facts = facts.sort(RECORDED_ON, "client_id", "study_day", maintain_order=True, nulls_last=False)
    missing = [pl.lit(None, kind).alias(name) for name, kind in SCHEMA.items() if name not in facts.columns]
    return facts.with_columns(missing).select(list(SCHEMA))


def _fact(
    kind: str | pl.Expr, event_id: pl.Expr, /, *columns: str | pl.Expr, **payload: str | pl.Expr
) -> list[pl.Expr]:
    """Columns of a fact: kind, id, columns of the truth that are part of the envelope, payload."""
    return [
        (pl.lit(kind) if isinstance(kind, str) else kind).alias("event_type"),
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
_WHEN = (*_TIME, _CAPTURED)
_PLACE = (*_DYAD, "session_number", *_WHEN)
_CLIENT = ("site_id", "client_id")


def _id(*parts: str | pl.Expr) -> pl.Expr:
    """An event id: the client's id, then texts, and values of these columns of the truth."""
    texts = [
        part if isinstance(part, pl.Expr) else pl.col(part) if part in _NAMING else pl.lit(part)
        for part in parts
    ]
    return pl.concat_str(pl.col("client_id"), *texts, separator="-")


# Columns that tell facts about the same session apart.
_NAMING = ("perspective", "coding_role", "phase")
_SESSION = pl.concat_str(pl.lit("s"), pl.col("session_number").cast(pl.String).str.zfill(2))


def _payload(*same_name: str, **renamed: str) -> dict[str, str]:
    """Payload fields with the columns of the truth that they come from."""
    return dict(zip(same_name, same_name, strict=True)) | renamed


def _people(truth: Truth) -> list[Table]:
    start = (pl.col("enrolled_on").alias(RECORDED_ON), pl.lit(0).alias("study_day"))
    who = _payload("arm", "treatment_modality", "age_years", "gender")
    consent = {"scope": pl.lit("research")}
    return [
        truth.therapist.select(
            *_fact(
                "therapist.enrolled",
                pl.concat_str("therapist_id", pl.lit("-enrolled")),
                "site_id",
                "therapist_id",
                pl.lit(0).alias(RECORDED_ON),
                **_payload("years_experience", "training_level"),
            )
        ),
        truth.client.select(*_fact("client.enrolled", _id("enrolled"), *_CLIENT, *start, **who)),
        truth.client.select(*_fact("consent.given", _id("consent"), *_CLIENT, *start, **consent)),
        truth.client.select(*_fact("dyad.formed", _id("dyad"), *_DYAD, *start)),
    ]


def _sessions(truth: Truth) -> list[Table]:
    said = _payload("format", "duration_minutes", by="absent_by", reason="absence_reason")
    held = pl.when(pl.col("status") == "held")
    table = truth.session.with_columns(held.then("format").alias("format"))
    kind = pl.concat_str(pl.lit("session."), pl.col("status"))
    # Planned a week before, though not before the client came.
    enrolled_on = pl.col("day") - pl.col("study_day")
    planned = truth.session.filter("announced").with_columns(
        pl.max_horizontal(pl.col("day") - 7, enrolled_on).alias(RECORDED_ON)
    )
    return [
        planned.select(*_fact("session.scheduled", _id(_SESSION, "plan"), *_DYAD, "session_number", *_WHEN)),
        table.select(*_fact(kind, _id(_SESSION), *_PLACE, **said)),
    ]


def _forms(truth: Truth) -> list[Table]:
    no_session = pl.col("session_number").is_null()
    name = pl.when(no_session).then("measure").otherwise(pl.concat_str(_SESSION, "measure", separator="-"))
    said = _payload("instrument", "version", "rater", "occasion", "seconds")
    claim = pl.when("claims_total").then("total")
    fact = _fact("instrument.completed", _id(name), *_PLACE, **said, claimed_total=claim)
    return [truth.form.select(*fact, pl.col(ITEMS))]


def _reports(truth: Truth) -> list[Table]:
    marked, resolved = (truth.report.filter(event=event) for event in ("marked", "resolved"))
    role = pl.col("perspective").alias("actor_role")
    said = _payload("perspective", "kind", intensity="level")
    return [
        marked.select(
            *_fact("rupture.marked", _id(_SESSION, "rupture", "perspective"), *_PLACE, role, **said)
        ),
        resolved.select(
            *_fact(
                "rupture.resolved",
                _id(_SESSION, "repair", "perspective"),
                *_PLACE,
                role,
                **_payload("perspective", extent="level"),
            )
        ),
        truth.strain.select(
            *_fact(
                "countertransference.rated",
                _id(_SESSION, "strain"),
                *_PLACE,
                **_payload("scheme", "code", "intensity"),
            )
        ),
        truth.feedback.select(
            *_fact("feedback.shown", _id(_SESSION, "feedback"), *_PLACE, **_payload("instrument", "signal"))
        ),
    ]


def _codings(truth: Truth) -> list[Table]:
    coder = (pl.col("coder").alias("actor_id"), pl.lit("coder").alias("actor_role"))
    scheme = {"scheme": pl.lit(SCHEME)}
    said = _payload("coding_role", "code", "family", "start_second", "end_second", "significance")
    passed = _payload("coding_role", "coded_minutes", "extent_resolved")
    marker = (pl.col("family").str.slice(0, 1) + pl.col("marker").cast(pl.String), "coding_role")
    strategies = truth.segment.filter(family="resolution", coding_role="primary")
    return [
        truth.coding.select(
            *_fact("coding.pass", _id(_SESSION, "pass", "coding_role"), *_PLACE, *coder, **scheme, **passed)
        ),
        truth.segment.select(
            *_fact("coding.segment", _id(_SESSION, "segment", *marker), *_PLACE, *coder, **scheme, **said)
        ),
        strategies.select(
            *_fact(
                "repair.strategy",
                _id(_SESSION, "strategy", marker[0]),
                *_PLACE,
                *coder,
                **_payload("start_second", strategy="code"),
            )
        ),
        truth.ritual.select(*_fact("ritual.observed", _id(_SESSION, "phase"), *_PLACE, **_payload("phase"))),
    ]


def _interviews(truth: Truth) -> list[Table]:
    who = (pl.col("interviewer").alias("actor_id"), pl.lit("interviewer").alias("actor_role"))
    said = _payload("perspective", "code", "start_second", "end_second", coder_id="coder")
    moment = (pl.lit("moment"), "perspective", pl.col("moment").cast(pl.String))
    return [
        truth.interview.select(
            *_fact(
                "recall.interview",
                _id(_SESSION, "recall", "perspective"),
                *_PLACE,
                *who,
                **_payload("perspective", "status", "minutes"),
            )
        ),
        truth.moment.select(*_fact("recall.moment", _id(_SESSION, *moment), *_PLACE, **said)),
    ]


def _ends(truth: Truth) -> list[Table]:
    followed = _payload("months_after_end", "status")
    return [
        truth.ending.select(
            *_fact(
                "treatment.ended", _id("ended"), *_DYAD, *_WHEN, **_payload("initiator", "reason", "planned")
            )
        ),
        truth.ending.select(
            *_fact("dyad.ended", _id("dyad-ended"), *_DYAD, *_WHEN, reason=pl.lit("treatment_ended"))
        ),
        truth.followup.select(*_fact("followup.completed", _id("followup"), *_CLIENT, *_WHEN, **followed)),
        truth.withdrawal.select(
            *_fact("consent.withdrawn", _id("withdrawn"), *_CLIENT, *_WHEN, **_payload("mode"))
        ),
    ]


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
