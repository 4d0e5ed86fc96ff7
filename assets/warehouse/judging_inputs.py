"""Constants of the models that judge outcomes: rules for change, for sudden gains, for drop-out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from dyadlog.schemas.instruments import TOTAL
from dyadlog.schemas.norms import scale_norms
from dyadlog.schemas.rules import FIGURES, STUDY, rule_figures
from dyadlog.schemas.study import Study
from dyadlog.schemas.sudden import SuddenRule

Columns = Mapping[str, Any]

_FORM: Columns = {"instrument": pl.String, "version": pl.String}
_RULE_TEXTS = ("method", "norms", "reference", "cutoff_kind", "cutoff_b_sd", "at_cutoff", "harmed")
_RULE_NUMBERS = ("critical", "percent", "reliability_post", *FIGURES)
_RULE_FLAGS = (
    "inclusive",
    "true_scores",
    "starts_clinical",
    "non_reliably_recovered",
    "zero_is_infinite",
    "package_relevance",
)
_SUDDEN_FLAGS = (
    "percent_of_losses",
    "missing_decides",
    "largest_by_sign",
    "turns_share_of_losses",
    "zero_is_infinite",
)

TABLES: dict[str, Columns] = {
    "study.severity_band": {**_FORM, "scale": pl.String, "norm_set": pl.String, "severity": pl.String}
    | {"severity_rank": pl.Int32, "least": pl.Float64},
    "study.outcome_rule": {"rule_id": pl.String, **_FORM, "scale": pl.String, "improvement_sign": pl.Int32}
    | dict.fromkeys(("pre_point", "post_point"), pl.String)
    | dict.fromkeys(("pre_session", "post_session"), pl.Int64)
    | dict.fromkeys(_RULE_TEXTS, pl.String)
    | dict.fromkeys(_RULE_NUMBERS, pl.Float64)
    | dict.fromkeys(_RULE_FLAGS, pl.Boolean),
    "study.sudden_rule": {"rule_id": pl.String, **_FORM, "rater": pl.String, "occasion": pl.String}
    | {"kind": pl.String, "improvement_sign": pl.Int32}
    | dict.fromkeys(("cutoff", "percent", "critical_4", "critical_5", "critical_6"), pl.Float64)
    | dict.fromkeys(("first_session", "last_session", "course_start", "course_end"), pl.Int64)
    | {"reversal_from": pl.Int32}
    | dict.fromkeys(_SUDDEN_FLAGS, pl.Boolean),
    "study.dropout": dict.fromkeys(("outcome_rule", "outcome_instrument", "outcome_version"), pl.String)
    | dict.fromkeys(("few_sessions", "protocol_sessions", "landmark"), pl.Int32),
}


def rows(study: Study) -> dict[str, list[dict[str, Any]]]:
    """Rows of each table."""
    return {
        "study.outcome_rule": _outcome_rules(study),
        "study.severity_band": _bands(study),
        "study.sudden_rule": [_sudden_rule(rule, study) for rule in study.sudden_rules],
        "study.dropout": [_dropout(study)],
    }


def _outcome_rules(study: Study) -> list[dict[str, Any]]:
    """The rules with their figures; `first_last` of every outcome form judges nothing."""
    rows: list[dict[str, Any]] = [
        {
            "rule_id": "first_last",
            "instrument": name,
            "version": version,
            "scale": TOTAL,
            "improvement_sign": instrument.improvement_sign,
            "pre_point": "first",
            "post_point": "last",
            "reference": STUDY,
        }
        for name, instrument in sorted(study.instruments.items())
        if instrument.domain == "outcome"
        for version in instrument.versions
    ]
    for rule in study.outcome_rules:
        norms = scale_norms(study.norms, rule.instrument, rule.version, rule.norms or "", rule.scale)
        at_it = norms.cutoff.is_clinical if norms and norms.cutoff else True
        published = "clinical" if at_it else "functional"
        own = {name: getattr(rule, name) for name in (*_RULE_TEXTS, *_RULE_FLAGS) if name != "cutoff_kind"}
        rows.append(
            own
            | rule_figures(rule, study.norms)
            | {
                "rule_id": rule.id,
                "instrument": rule.instrument,
                "version": rule.version,
                "scale": rule.scale,
                "improvement_sign": study.instruments[rule.instrument].improvement_sign,
                "pre_point": rule.pre if isinstance(rule.pre, str) else "session",
                "post_point": rule.post if isinstance(rule.post, str) else "session",
                "pre_session": rule.pre if isinstance(rule.pre, int) else None,
                "post_session": rule.post if isinstance(rule.post, int) else None,
                "cutoff_kind": rule.cutoff,
                "at_cutoff": published if rule.at_cutoff == "published" else rule.at_cutoff,
                "critical": rule.critical,
                "percent": rule.percent,
                "reliability_post": rule.reliability_post,
            }
        )
    return rows


def _bands(study: Study) -> list[dict[str, Any]]:
    """Bands of all norm sets that have any, for the forms that the study knows."""
    return [
        {"instrument": instrument, "version": version, "scale": scale, "norm_set": name}
        | {"severity": band.name, "severity_rank": rank, "least": band.value}
        for instrument, norm_sets in sorted(study.norms.items())
        for name, norm_set in norm_sets.items()
        for version in norm_set.versions
        if version in study.instruments[instrument].versions
        for scale, figures in norm_set.scales.items()
        for rank, band in enumerate(figures.bands, 1)
    ]


def _sudden_rule(rule: SuddenRule, study: Study) -> dict[str, Any]:
    names = ("instrument", "version", "rater", "occasion", "kind", "cutoff", "percent", "reversal_from")
    own = {name: getattr(rule, name) for name in (*names, *_SUDDEN_FLAGS)}
    sessions, course = rule.sessions or (None, None), rule.course or (None, None)
    return (
        own
        | dict(zip(("critical_4", "critical_5", "critical_6"), rule.critical_values, strict=True))
        | dict(zip(("first_session", "last_session"), sessions, strict=True))
        | dict(zip(("course_start", "course_end"), course, strict=True))
        | {
            "rule_id": rule.id,
            "improvement_sign": study.instruments[rule.instrument].improvement_sign,
        }
    )


def _dropout(study: Study) -> dict[str, Any]:
    said = study.protocol.dropout
    rule = next((r for r in study.outcome_rules if said.outcome_rule in (None, r.id)), None)
    return {
        "outcome_rule": rule.id if rule else None,
        "outcome_instrument": rule.instrument if rule else None,
        "outcome_version": rule.version if rule else None,
        "few_sessions": said.few_sessions,
        "protocol_sessions": said.protocol_sessions,
        "landmark": said.landmark,
    }
