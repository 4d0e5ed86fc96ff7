"""Effect sizes per site and pooled against metafor 3.8.1, residual gain against R's lm."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Lab
from tests.reference.case import CLOSED_FORM, Case, Compared, ident, needs_reference, number, read

pytestmark = needs_reference

EFFECTS = "effect_size_multisite"
BASE = {"instrument": "measure", "version": "1", "pre": "intake", "post": "end"}
RULE = BASE | {"id": "change", "preset": "points", "points": 1, "cutoff": None, "at_cutoff": "neither"}

# our column, theirs; effects are turned so that plus is better, theirs are post minus pre
COLUMNS = [
    ("n_pairs", "n", 0),
    ("pre_mean", "m_pre", 0),
    ("pre_sd", "sd_pre", 0),
    ("post_mean", "m_post", 0),
    ("post_sd", "sd_post", 0),
    ("correlation", "r_pre_post", 0),
    ("improvement_mean", "mean_change", 1),
    ("improvement_sd", "sd_change", 0),
    ("d_pre", "d_pre_sd", 1),
    ("smcr", "smcr_yi", 1),
    ("smcr_variance", "smcr_vi", 0),
    ("smcc", "smcc_yi", 1),
    ("smcc_variance", "smcc_vi", 0),
    ("improvement_variance", "mc_vi", 0),
]


def night(folder: Path, rows: list[dict[str, str]], direction: str, *, one_site: bool) -> Lab:
    case = Case(folder, {"measure": ("outcome", direction)}, outcomes=[RULE])
    for row in rows:
        site = "all" if one_site else ident(row["site"])
        for when in ("pre", "post"):
            occasion = {"pre": "intake", "post": "end"}[when]
            case.score(site, ident(row["id"]), "measure", occasion, number(row[when]))
    return case.night()


@pytest.mark.parametrize(
    ("dataset", "direction", "sign"), [("btheb_2m", "lower", -1), ("anorexia", "higher", 1)]
)
def test_effects_by_site_and_pooled(
    dataset: str, direction: str, sign: int, tmp_path: Path, compared: Compared
) -> None:
    rows = [row for row in read(EFFECTS, "input.csv") if row["dataset"] == dataset]
    expected = [row for row in read(EFFECTS, "expected_effect_sizes.csv") if row["dataset"] == dataset]
    found: dict[str, dict[str, Any]] = {}
    names = [ours for ours, _, _ in COLUMNS]
    by_site = night(tmp_path / "sites", rows, direction, one_site=False)
    whole = night(tmp_path / "whole", rows, direction, one_site=True)
    for lab in (by_site, whole):
        for site, *values in lab.rows(
            f"select site_id, {', '.join(names)} from marts.site_outcome where rule_id = 'change'"
        ):
            found[site] = dict(zip(names, values, strict=True))
    for ours, theirs, turned in COLUMNS:
        compared.same(
            EFFECTS,
            f"{dataset}: {ours}",
            (
                ((row["site"], ours), None if value is None else value * (sign if turned else 1), mine)
                for row in expected
                for value in [number(row[theirs])]
                for site in ["all" if row["site"] == "ALL" else ident(row["site"])]
                for mine in [float(found[site][ours]) if found[site][ours] is not None else None]
            ),
        )
    pooled = {
        method: dict(zip(("k", "estimate", "se", "low", "high", "tau2", "Q", "I2"), values, strict=True))
        for method, *values in by_site.rows(
            "select method, n_sites, estimate, se, low, high, tau2, q, i2 from marts.pooled_outcome "
            "where rule_id = 'change' and effect = 'smcr'"
        )
    }
    methods = {"FE": "fixed", "DL": "dersimonian_laird", "REML": "reml"}
    ends = {"ci_lb": ("low", "high"), "ci_ub": ("high", "low")}
    for method, tolerance in (("FE", CLOSED_FORM), ("DL", CLOSED_FORM), ("REML", 1e-4)):
        compared.same(
            EFFECTS,
            f"{dataset}: pooled {method}",
            (
                (
                    name,
                    (number(row[name]) or 0.0) * (sign if name in ("estimate", *ends) else 1),
                    float(pooled[methods[method]][ends[name][sign < 0] if name in ends else name]),
                )
                for row in read(EFFECTS, "expected_pooled_over_sites.csv")
                if row["dataset"] == dataset and row["method"] == method
                for name in ("k", "estimate", "se", "ci_lb", "ci_ub", "tau2", "Q", "I2")
            ),
            tolerance=tolerance,
            note="metafor stops when tau2 moves by less than 1e-5" if method == "REML" else "",
        )


RESIDUAL = "residual_change"


def residual(folder: Path, used: set[str], site: str | None) -> Lab:
    """The early score stands for the alliance; it is given in session 1. `site` puts everybody into one."""
    case = Case(folder, {"measure": ("outcome", "lower"), "early": ("alliance", "higher")}, outcomes=[RULE])
    for row in read(RESIDUAL, "input.csv"):
        if row["id"] in used:
            where, name = site or ident(row["treatment"]), ident(row["id"])
            case.score(where, name, "measure", "intake", number(row["bdi_pre"]))
            case.score(where, name, "early", 1, number(row["bdi_2m"]), "post_session")
            case.score(where, name, "measure", "end", number(row["bdi_3m"]))
    return case.night()


def test_residual_gain(tmp_path: Path, compared: Compared) -> None:
    """The case is about the clients who have the early score too."""
    expected = read(RESIDUAL, "expected_residual_gain.csv")
    used = {row["id"] for row in expected}
    lab = residual(tmp_path / "whole", used, "all")
    found = dict(
        lab.rows("select client_id, residual_gain from marts.outcome_client where rule_id = 'change'")
    )
    compared.same(
        RESIDUAL,
        "residual gain",
        ((row["id"], number(row["residual_gain"]), found[ident(row["id"])]) for row in expected),
    )
    quantities = {row["quantity"]: number(row["value"]) for row in read(RESIDUAL, "expected_quantities.csv")}
    ((n, slope, intercept, r),) = lab.rows(
        "select n_reference, correlation * post_sd / pre_sd, post_mean - correlation * post_sd / pre_sd * pre_mean, "
        "correlation from marts.outcome_reference where rule_id = 'change'"
    )
    found = {
        "n": float(n),
        "slope_post_on_pre": slope,
        "intercept_post_on_pre": intercept,
        "r2_post_on_pre": r**2,
        "r_pre_post": r,
    }
    compared.same(
        RESIDUAL,
        "regression of post on pre",
        ((name, quantities[name], value) for name, value in found.items()),
    )
    columns = {
        "r_early_post": "r",
        "r_early_residualgain": "r_gain",
        "r_pre_post": "r_pre_post",
        "partial_r_early_post_given_pre": "partial_r",
        "semi_partial_delta_r2": "delta_r2",
    }
    (whole,) = lab.rows(
        f"select {', '.join(columns.values())}, early_slope from marts.early_alliance_outcome"
    )
    (slope,) = [row for row in read(RESIDUAL, "expected_lm_2pred.csv") if row["term"] == "bdi_2m"]
    compared.same(
        RESIDUAL,
        "early score and outcome",
        [
            *((name, quantities[name], value) for name, value in zip(columns, whole, strict=False)),
            ("slope beside pre", number(slope["Estimate"]), whole[-1]),
        ],
        note="p-values and the regression with treatment and length are left to the analyst",
    )
    by_site = residual(tmp_path / "sites", used, None)
    names = ("n", "pearson", "ci_lo", "ci_hi", "spearman", "fisher_z")
    sites = {
        site: dict(zip(names, map(float, values), strict=True))
        for site, *values in by_site.rows(
            "select site_id, n, r, low, high, spearman, fisher_z from marts.early_alliance_outcome"
        )
    }
    ((z, low, high),) = by_site.rows(
        "select estimate, low, high from marts.pooled_outcome where effect = 'early_outcome_z' and method = 'fixed'"
    )
    pooled = dict(
        zip(("fisher_z", "pearson", "ci_lo", "ci_hi"), (z, *map(math.tanh, (z, low, high))), strict=True)
    )
    compared.same(
        RESIDUAL,
        "by site and pooled",
        (
            ((row["site"], name), number(row[name]), value)
            for row in read(RESIDUAL, "expected_correlation_by_site.csv")
            for name, value in (
                pooled if row["site"] == "POOLED_fisher_z" else sites[ident(row["site"])]
            ).items()
        ),
    )
