"""Constants of the alliance and rupture marts: rules, pairs of forms, the common range."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from dyadlog.schemas.ruptures import RuptureRule
from dyadlog.schemas.study import Study

_RULE_TEXTS = ("family", "spread", "intensity_scale", "resolution_scale", "status")
_RULE_NUMBERS = (
    "k",
    "reference_sd",
    "d2",
    "points_of_range",
    "percent",
    "tolerance",
    "above",
    "resolved_from",
)
_RULE_LISTS = ("families", "codes", "repair_codes")

TABLES: dict[str, Mapping[str, Any]] = {
    "study.alliance": dict.fromkeys(
        ("common_min", "common_max", "agree_within", "shape_change", "established_threshold"), pl.Float64
    )
    | dict.fromkeys(("established_rule", "unless_rule"), pl.String)
    | dict.fromkeys(("shape_min_ratings", "from_session", "by_session", "established_min_ratings"), pl.Int32)
    | dict.fromkeys(("work_families", "work_codes"), pl.List(pl.String)),
    "study.alliance_pair": dict.fromkeys(
        ("instrument", "version", "therapist_instrument", "therapist_version"), pl.String
    ),
    # not `instrument`: that is the form of a rating elsewhere, and this the one of direct reports
    "study.rupture_rule": {"rule_id": pl.String, "report_form": pl.String}
    | dict.fromkeys(_RULE_TEXTS, pl.String)
    | dict.fromkeys(_RULE_NUMBERS, pl.Float64)
    | {"repair_window": pl.Int32, "min_ratings": pl.Int32, "significance_from": pl.Int32}
    | dict.fromkeys(_RULE_LISTS, pl.List(pl.String)),
}


def rows(study: Study) -> dict[str, list[dict[str, Any]]]:
    """Rows of each of the tables."""
    return {
        "study.alliance": [_alliance(study)],
        "study.alliance_pair": _pairs(study),
        "study.rupture_rule": [_rule(rule, study) for rule in study.rupture_rules],
    }


def _alliance(study: Study) -> dict[str, Any]:
    said = study.protocol.alliance
    return {
        "common_min": said.common_range.min,
        "common_max": said.common_range.max,
        "agree_within": said.agree_within.points,
        "shape_change": said.shape.change,
        "shape_min_ratings": said.shape.min_ratings,
        "established_rule": said.established.id,
        "established_threshold": said.threshold,
        "unless_rule": said.established.unless,
        "from_session": said.established.from_session,
        "by_session": said.established.by_session,
        "established_min_ratings": said.established.min_ratings,
        "work_families": list(said.work.families),
        "work_codes": list(said.work.codes),
    }


def _pairs(study: Study) -> list[dict[str, str]]:
    """Forms of clients and of therapists that are compared: those of one instrument, and those of study.yaml."""
    same = [
        (name, version, name, other)
        for name, instrument in study.instruments.items()
        if instrument.domain == "alliance"
        for version, form in instrument.versions.items()
        if "client" in form.raters
        for other, theirs in instrument.versions.items()
        if "therapist" in theirs.raters
    ]
    named = [
        (pair.client.instrument, pair.client.version, pair.therapist.instrument, pair.therapist.version)
        for pair in study.protocol.alliance.pairs
    ]
    columns = TABLES["study.alliance_pair"]
    return [dict(zip(columns, pair, strict=True)) for pair in sorted({*same, *named})]


def _rule(rule: RuptureRule, study: Study) -> dict[str, Any]:
    own = {name: getattr(rule, name) for name in (*_RULE_TEXTS, *_RULE_NUMBERS, "significance_from")}
    least = study.protocol.thresholds.rupture_min_ratings
    return (
        own
        | {name: list(getattr(rule, name)) for name in _RULE_LISTS}
        | {
            "rule_id": rule.id,
            "report_form": rule.instrument,
            "repair_window": rule.window,
            "min_ratings": least if rule.min_ratings is None else rule.min_ratings,
        }
    )
