"""Kaplan-Meier tables against R's survival package."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import Lab
from tests.reference.case import Case, Compared, ident, needs_reference, number, read

pytestmark = needs_reference

KM = "dropout_kaplan_meier"


def input_rows(dataset: str) -> list[tuple[str, str, int, bool]]:
    """(client, group, time, dropped out)."""
    if dataset == "btheb_last_seen":
        rows = read(KM, f"input_{dataset}.csv")
        return [
            (ident(r["id"]), ident(r["treatment"]), int(float(r["months"])), r["dropped"] == "1")
            for r in rows
        ]
    rows = read(KM, f"input_{dataset}.csv")
    return [(ident(r["id"]), ident(r["group"]), int(r["time"]), r["event"] == "1") for r in rows]


@pytest.mark.parametrize("dataset", ["gehan", "lung", "btheb_last_seen"])
def test_survival_to_dropout(dataset: str, tmp_path: Path, compared: Compared) -> None:
    case = Case(tmp_path, {"measure": ("outcome", "lower")})
    for client, group, time, dropped in input_rows(dataset):
        case.held(group, client, time)
        if dropped:
            end = {"initiator": "client", "reason": "no_contact", "planned": False}
            case.add(
                group,
                {
                    "event_id": f"end-{client}",
                    "event_type": "treatment.ended",
                    "client_id": client,
                    "payload": end,
                },
            )
    lab = case.night()
    names = ("n_risk", "n_event", "n_censored", "survival", "se", "low", "high")
    theirs = ("n_risk", "n_event", "n_censor", "survival", "se_greenwood", "lower_plain", "upper_plain")
    found = {
        (group, session): dict(zip(names, values, strict=True))
        for group, session, *values in lab.rows(
            f"select site_id, session_number, {', '.join(names)} from marts.survival where rule_id = 'unilateral'"
        )
    }
    expected = {
        (ident(row["group"]), int(float(row["time"]))): row
        for row in read(KM, "expected_km.csv")
        if row["dataset"] == dataset
    }
    assert set(found) == set(expected)
    for ours, name in zip(names, theirs, strict=True):
        compared.same(
            KM,
            f"{dataset}: {ours}",
            (
                (
                    key,
                    None if row[name] in ("", "NaN", "NA") else float(row[name]),
                    None if value is None else float(value),
                )
                for key, row in expected.items()
                for value in [found[key][ours]]
            ),
        )
    medians = dict(
        lab.rows(
            "select site_id, session_number from marts.survival where rule_id = 'unilateral' and is_median"
        )
    )
    compared.same(
        KM,
        f"{dataset}: median",
        (
            (row["group"], number(row["median"]), None if value is None else float(value))
            for row in read(KM, "expected_median.csv")
            if row["dataset"] == dataset
            for value in [medians.get(ident(row["group"]))]
        ),
    )

    if dataset == "btheb_last_seen":
        # Life table: everybody who is left at an occasion, and who was seen there for the last time.
        counts = lab.rows(
            "with leaving as (select session_number, sum(n_event + n_censored) as n from marts.survival "
            "where rule_id = 'unilateral' group by session_number) "
            "select sum(n) over (order by session_number desc), n from leaving order by session_number"
        )
        compared.same(
            KM,
            "life table",
            (
                ((row["occasion"], name), number(row[name]), float(value))
                for row, told in zip(read(KM, "expected_btheb_life_table_counts.csv"), counts, strict=True)
                for name, value in zip(("at_risk", "last_seen_here"), told, strict=True)
            ),
        )

    (test,) = lab.rows("select chi_square, df, p from marts.survival_test where rule_id = 'unilateral'")
    (told,) = [row for row in read(KM, "expected_logrank.csv") if row["dataset"] == dataset]
    compared.same(
        KM,
        f"{dataset}: log-rank",
        (
            (name, number(told[name]), float(value))
            for name, value in zip(("chisq", "df", "p"), test, strict=True)
        ),
    )


ASSOCIATION = "dropout_association"


PRE = {
    "id": "change",
    "instrument": "symptoms",
    "version": "1",
    "pre": "intake",
    "post": "end",
    "preset": "points",
    "points": 1,
    "cutoff": None,
    "at_cutoff": "neither",
}


def association(folder: Path, site: str | None) -> tuple[Lab, dict[str, dict[str, float | None]]]:
    """The study, and what the mart says of each site; `site` puts everybody into one."""
    case = Case(folder, {"measure": ("alliance", "higher"), "symptoms": ("outcome", "lower")}, outcomes=[PRE])
    for row in read(ASSOCIATION, "input.csv"):
        where, name = site or ident(row["site"]), ident(row["id"])
        case.score(where, name, "symptoms", "intake", number(row["pre"]))
        case.score(where, name, "measure", 1, number(row["early"]), "post_session")
        case.held(where, name, 3)
        dropped = row["dropped"] == "1"
        end = {"initiator": "client" if dropped else "therapist", "planned": not dropped}
        event = {
            "event_id": f"end-{name}",
            "event_type": "treatment.ended",
            "client_id": name,
            "payload": end,
        }
        case.add(where, event)
    names = [
        "n_dropped",
        "n_stayed",
        "mean_dropped",
        "mean_stayed",
        "d",
        "g",
        "g_variance",
        "point_biserial",
        "n_high_dropped",
        "n_high_stayed",
        "n_low_dropped",
        "n_low_stayed",
        "odds_ratio",
        "log_odds_ratio",
        "log_odds_variance",
        "risk_ratio",
        "auc",
    ]
    lab = case.night()
    rows = lab.rows(
        f"select site_id, {', '.join(names)} from marts.early_alliance_dropout where rule_id = 'unilateral'"
    )
    return lab, {
        row[0]: {n: None if v is None else float(v) for n, v in zip(names, row[1:], strict=True)}
        for row in rows
    }


def test_early_rating_and_dropout(tmp_path: Path, compared: Compared) -> None:
    """The early score stands for the alliance; it is given in session 1, and everybody comes to session 3."""
    names = {
        "n_dropped": "n_dropped",
        "n_stayed": "n_stayed",
        "mean_early_dropped": "mean_dropped",
        "mean_early_stayed": "mean_stayed",
        "cohens_d_pooled": "d",
        "hedges_g": "g",
        "hedges_g_var": "g_variance",
        "point_biserial_r": "point_biserial",
        "median_split_a": "n_high_dropped",
        "median_split_b": "n_high_stayed",
        "median_split_c": "n_low_dropped",
        "median_split_d": "n_low_stayed",
        "log_odds_ratio_var": "log_odds_variance",
        "odds_ratio": "odds_ratio",
        "log_odds_ratio": "log_odds_ratio",
        "risk_ratio": "risk_ratio",
        "auc_mann_whitney": "auc",
    }
    whole = association(tmp_path / "whole", "all")[1]["all"]
    rows = read(ASSOCIATION, "expected_quantities.csv")
    assert {row["quantity"] for row in rows} == set(names)
    compared.same(
        ASSOCIATION,
        "quantities",
        ((row["quantity"], number(row["value"]), whole[names[row["quantity"]]]) for row in rows),
    )
    lab, by_site = association(tmp_path / "sites", None)
    compared.same(
        ASSOCIATION,
        "by site",
        (
            ((row["site"], theirs), number(row[theirs]), by_site[ident(row["site"])][ours])
            for row in read(ASSOCIATION, "expected_by_site.csv")
            if row["site"] != "POOLED_FE"
            for theirs, ours in (("g", "g"), ("v", "g_variance"))
        ),
    )
    (pool,) = [row for row in read(ASSOCIATION, "expected_by_site.csv") if row["site"] == "POOLED_FE"]
    ((g, se),) = lab.rows(
        "select estimate, se from marts.pooled_outcome "
        "where effect = 'early_dropout_g' and method = 'fixed' and rule_id = 'unilateral'"
    )
    compared.same(
        ASSOCIATION, "pooled", (("g", number(pool["g"]), g), ("variance", number(pool["v"]), se**2))
    )
    found = {
        (model, term): values
        for model, term, *values in lab.rows(
            "select model, term, estimate, se, z, p, odds_ratio, n_clients from marts.dropout_model "
            "where rule_id = 'unilateral'"
        )
    }
    models = {"dropped~early": "early", "dropped~early+pre+site": "early_pre_site"}
    theirs = ("Estimate", "Std..Error", "z.value", "Pr...z..", "odds_ratio", "n")
    compared.same(
        ASSOCIATION,
        "logistic regressions",
        (
            ((row["model"], row["term"], name), number(row[name]), float(value))
            for row in read(ASSOCIATION, "expected_logistic.csv")
            for term in [{"(Intercept)": "intercept", "siteTAU": "site cTAU"}.get(row["term"], row["term"])]
            for name, value in zip(theirs, found[models[row["model"]], term], strict=True)
        ),
        tolerance=1e-4,
        note="estimates are given to six decimals of standardised predictors",
    )
