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
    ("improvement_mean", "mc_yi", 1),
    ("d_pre", "glass_delta_effectsize", 1),
    ("d_change", "cohens_dz", 1),
    ("d_pooled", "cohens_d_independent_pooled", 1),
    ("g_pooled", "hedges_g_independent_pooled", 1),
]


def night(folder: Path, rows: list[dict[str, str]], direction: str, *, one_site: bool) -> Lab:
    case = Case(folder, {"measure": ("outcome", direction)}, outcomes=[RULE])
    for row in rows:
        site = "all" if one_site else ident(row["site"])
        for when in ("pre", "post"):
            occasion = {"pre": "intake", "post": "end"}[when]
            case.client(site, ident(row["id"]), arm=row["site"].rsplit("_")[-1])
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
    names = sorted({ours for ours, _, _ in COLUMNS})
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
            f"{dataset}: {theirs}",
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


def test_two_arms(tmp_path: Path, compared: Compared) -> None:
    rows = [row for row in read(EFFECTS, "input.csv") if row["dataset"] == "btheb_2m"]
    lab = night(tmp_path, rows, "lower", one_site=False)
    ((g, variance, d),) = lab.rows(
        "select g, g_variance, d from marts.arm_contrast "
        "where rule_id = 'change' and arm = 'BtheB' and other_arm = 'TAU'"
    )
    (row,) = read(EFFECTS, "expected_two_arm_2m.csv")
    compared.same(
        EFFECTS,
        "two arms",
        [
            # Less depression is better: a plus for the arm is a minus in points.
            ("metafor SMD", number(row["metafor_SMD_yi"]), -g),
            ("its variance", number(row["metafor_SMD_vi"]), variance),
            ("d", number(row["effectsize_cohens_d_TAU_minus_BtheB"]), d),
            ("g", number(row["effectsize_hedges_g_TAU_minus_BtheB"]), g),
        ],
    )


RESIDUAL = "residual_change"


# R takes the first level of a factor for reference, this project the first name.
ARMS = {"TAU": "arm-1", "BtheB": "arm-2"}
LENGTHS = {"<6m": "site-1", ">6m": "site-2"}


def residual(folder: Path, used: set[str], site: str) -> Lab:
    """The early score stands for the alliance; it is given in session 1. `site`: one for all, or by a column."""
    case = Case(folder, {"measure": ("outcome", "lower"), "early": ("alliance", "higher")}, outcomes=[RULE])
    for row in read(RESIDUAL, "input.csv"):
        if row["id"] in used:
            name = ident(row["id"])
            where = {"treatment": ident(row["treatment"]), "length": LENGTHS[row["length"]]}.get(site, site)
            case.client(where, name, arm=ARMS[row["treatment"]])
            case.score(where, name, "measure", "intake", number(row["bdi_pre"]))
            case.score(where, name, "early", 1, number(row["bdi_2m"]), "post_session")
            case.score(where, name, "measure", "end", number(row["bdi_3m"]))
    return case.night()


def test_residual_gain(tmp_path: Path, compared: Compared) -> None:
    """The case is about the clients who have the early score too."""
    expected = read(RESIDUAL, "expected_residual_gain.csv")
    used = {row["id"] for row in expected}
    lab = residual(tmp_path / "whole", used, "all")
    names = ("pre", "post", "predicted", "residual_gain", "residual_gain_z", "standardized_residual")
    gains = {
        row[0]: dict(zip(names, row[1:], strict=True))
        for row in lab.rows(
            "select client_id, pre_score, post_score, post_score - residual_gain, residual_gain, residual_gain_z, "
            "residual_gain_studentised from marts.outcome_client where rule_id = 'change'"
        )
    }
    for name in names:
        compared.same(
            RESIDUAL,
            f"residual gain: {name}",
            ((row["id"], number(row[name]), gains[ident(row["id"])][name]) for row in expected),
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
    )
    assert set(quantities) == {*columns, *found}
    by_site = residual(tmp_path / "sites", used, "treatment")
    names = ("n", "pearson", "ci_lo", "ci_hi", "p", "spearman", "fisher_z")
    sites = {
        site: dict(zip(names, map(float, values), strict=True))
        for site, *values in by_site.rows(
            "select site_id, n, r, low, high, p, spearman, fisher_z from marts.early_alliance_outcome"
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
    by_length = residual(tmp_path / "lengths", used, "length")
    fits = {
        (model, term): values
        for model, term, *values in by_length.rows(
            "select model, term, estimate, se, t, p, n_clients from marts.outcome_model"
        )
    }
    terms = {
        "(Intercept)": "intercept",
        "bdi_pre": "pre",
        "bdi_2m": "early",
        "treatmentBtheB": "arm arm-2",
        "length>6m": "site site-2",
    }
    for model, file in (
        ("early_pre", "expected_lm_2pred.csv"),
        ("early_pre_arm_site", "expected_lm_4pred.csv"),
    ):
        theirs = ("Estimate", "Std..Error", "t.value", "Pr...t..")
        compared.same(
            RESIDUAL,
            f"regression {model}",
            (
                ((row["term"], name), number(row[name]), value)
                for row in read(RESIDUAL, file)
                for name, value in zip(theirs, fits[model, terms[row["term"]]], strict=False)
            ),
        )
    assert {n for _, *_, n in fits.values()} == {len(used)}
    # Beside 1, a p of 1e-10 agrees with anything: it is compared by its ratio.
    (row,) = [row for row in read(RESIDUAL, "expected_lm_4pred.csv") if row["term"] == "bdi_2m"]
    ratio = fits["early_pre_arm_site", "early"][3] / float(row["Pr...t.."])
    compared.same(RESIDUAL, "ratio of the smallest p", [("early", 1.0, ratio)])
