"""Alliance and ruptures against datawizard, lm, qcc, RSA and the second implementation of the drop rules: one study of all cases."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from statistics import linear_regression
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from tests.conftest import Lab
from tests.reference.case import Case, Compared, ident, needs_reference, number, read

pytestmark = needs_reference

SYNTHETIC, DEMEAN, SLOPES = "synthetic_alliance", "within_between_demean", "person_slopes"
CHARTS, PAIRS = "control_charts_qcc", "truth_and_bias_lm"

DROPS = {
    "mean_sd_k1": "drop_mean_sd_k1",
    "mean_sd_k2": "drop_mean_sd_k2",
    "own_sd_k1": "drop_own_sd_k1",
    "own_sd_k2": "drop_own_sd_k2",
    "stricter_k1": "drop_stricter_sd_k1",
    "stricter_k2": "drop_stricter_sd_k2",
}
SIGMAS = ("1", "1.5", "2", "3")
# Scores stand for item means, and the common range is that of the form, so that figures stay those of the case.
STUDY: dict[str, Any] = {
    "thresholds": {"rupture_min_ratings": 3},
    "alliance": {
        "common_range": {"min": -10000.0, "max": 10000.0},
        "established": {"unless": "own_sd_k1"},
    },
    "ruptures": [
        *({"id": ours, "preset": preset, "min_ratings": 2} for ours, preset in DROPS.items()),
        *({"id": f"qcc_{k}", "preset": f"chart_k{k}_qcc", "min_ratings": 2} for k in SIGMAS),
        *({"id": f"qcc_sd_{k}", "preset": f"chart_k{k}_sd", "min_ratings": 2} for k in ("2", "3")),
        {"id": "sudden", "preset": "sudden_drop", "points_of_range": 6 / 20000, "percent": 0.0},
        {"id": "sudden_10", "preset": "sudden_drop", "points_of_range": 6 / 20000, "percent": 10.0},
    ],
}


def rate(
    case: Case, site: str, client: str, form: str, session: int, value: float | None, **more: Any
) -> None:
    case.score(site, client, form, session, value, "post_session", **more)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    forms = ("wai", "measure", "outcome-as-alliance", "slopes", "charts", "pairs", "sgdata")
    case = Case(tmp_path_factory.mktemp("alliance"), dict.fromkeys(forms, ("alliance", "higher")), **STUDY)
    for row in read(SYNTHETIC, "input.csv"):
        for rater in ("client", "therapist"):
            value = number(row[f"{rater}_wai"])
            who = {"rater": rater, "therapist_id": row["therapist_id"]}
            rate(case, row["site_id"], row["client_id"], "wai", int(row["session"]), value, **who)
    for row in read(DEMEAN, "input.csv"):
        rate(case, "demean", ident(row["id"]), "measure", int(row["session"]), number(row["rq"]))
        rate(case, "demean", ident(row["id"]), "outcome-as-alliance", int(row["session"]), number(row["bdi"]))
    for row in read(DEMEAN, "input_3level.csv"):
        who = {"therapist_id": ident(row["schoolid"])}
        when = round(2 * float(row["year"])) + 10
        rate(case, "child", ident(row["childid"]), "measure", when, number(row["math"]), **who)
    for row in read(SLOPES, "input.csv"):
        name = ident(row["dataset"] + row["id"])
        rate(case, "slopes", name, "slopes", int(row["session"]), number(row["y"]))
    for row in read(CHARTS, "input.csv"):
        name = ident(row["dataset"] + row["id"])
        rate(case, "charts", name, "charts", int(row["occasion"]), number(row["y"]))
    for name in ("acipair", "sgdata_pairs"):
        for place, row in enumerate(read(PAIRS, f"input_{name}.csv")):
            for rater, column in (("client", "truth"), ("therapist", "judgment")):
                value = number(row[column])
                rate(case, "whole", ident(name), "pairs", place, value, rater=rater)
                when = int(float(row["occasion"]))
                form = "sgdata" if name == "sgdata_pairs" else "pairs"
                rate(case, name, ident(row["dyad"]), form, when, value, rater=rater)
    return case.night()


def rows_of(lab: Lab, table: str, columns: str, where: str = "true") -> dict[Any, dict[str, Any]]:
    """Rows by the columns before the bar, values named by those after it."""
    key, values = (part.split() for part in columns.split("|"))
    found = lab.rows(f"select {', '.join(key + values)} from {table} where {where}")
    return {
        (row[0] if len(key) == 1 else row[: len(key)]): dict(zip(values, row[len(key) :], strict=True))
        for row in found
    }


# --- centring, slopes --------------------------------------------------------------------------


def test_deviations_of_sessions_from_clients(lab: Lab, compared: Compared) -> None:
    found = rows_of(
        lab,
        "marts.alliance_session",
        "client_id session_number rater | client_mean within",
        "instrument = 'wai'",
    )
    for rater in ("client", "therapist"):
        for ours, theirs in (("client_mean", "between"), ("within", "within")):
            compared.same(
                SYNTHETIC,
                f"{rater}: {ours}",
                (
                    (key, number(row[f"{rater}_wai_{theirs}"]), found[key][ours])
                    for row in read(SYNTHETIC, "expected_demean.csv")
                    if number(row[f"{rater}_wai"]) is not None
                    for key in [(row["client_id"], int(row["session"]), rater)]
                ),
            )
    for form, name in (("measure", "rq"), ("outcome-as-alliance", "bdi")):
        found = rows_of(
            lab,
            "marts.alliance_session",
            "client_id session_number | client_mean within",
            f"instrument = '{form}' and site_id = 'demean'",
        )
        for ours, theirs in (("client_mean", "between"), ("within", "within")):
            compared.same(
                DEMEAN,
                f"{name}: {ours}",
                (
                    (key, number(row[f"{name}_{theirs}"]), found[key][ours])
                    for row in read(DEMEAN, "expected_demean.csv")
                    if number(row[name]) is not None
                    for key in [(ident(row["id"]), int(row["session"]))]
                ),
            )
    found = rows_of(
        lab, "marts.alliance_session", "client_id session_number | client_mean within", "site_id = 'child'"
    )
    for ours, theirs in (("client_mean", "between"), ("within", "within")):
        compared.same(
            DEMEAN,
            f"three levels: {ours}",
            (
                (key, number(row[f"math_{theirs}"]), found[key][ours])
                for row in read(DEMEAN, "expected_demean_child.csv")
                for key in [(ident(row["childid"]), round(2 * float(row["year"])) + 10)]
            ),
        )


def test_levels_add_up_and_weigh_clients_not_rows(lab: Lab) -> None:
    ((off, n),) = lab.rows(
        "select max(abs(score - (site_mean + therapist_deviation + client_deviation + within))), count(*) "
        "from marts.alliance_session where site_id in ('child', 'S1', 'S2', 'S3')"
    )
    assert off < 1e-9
    assert n > 9000
    clients: dict[str, dict[str, list[float]]] = {}
    for row in read(DEMEAN, "input_3level.csv"):
        school = clients.setdefault(ident(row["schoolid"]), {})
        school.setdefault(row["childid"], []).append(float(row["math"]))
    means = {
        school: sum(sum(own) / len(own) for own in children.values()) / len(children)
        for school, children in clients.items()
    }
    found = rows_of(
        lab,
        "(select distinct therapist_id, therapist_mean, n_therapist, site_mean, n_site from marts.alliance_session "
        "where site_id = 'child')",
        "therapist_id | therapist_mean n_therapist site_mean n_site",
    )
    assert set(found) == set(means)
    for school, mean in means.items():
        assert found[school]["therapist_mean"] == pytest.approx(mean, abs=1e-9)
        assert found[school]["n_therapist"] == len(clients[school])
        assert found[school]["site_mean"] == pytest.approx(sum(means.values()) / len(means), abs=1e-9)
        assert found[school]["n_site"] == len(means)


def test_residuals_of_own_lines_and_lags_by_session_number(lab: Lab, compared: Compared) -> None:
    found = rows_of(
        lab,
        "marts.alliance_session",
        "client_id session_number | detrended score_lag1 within_lag1",
        "instrument = 'measure' and site_id = 'demean'",
    )
    rows = read(DEMEAN, "expected_detrended_rq.csv")
    compared.same(
        DEMEAN,
        "detrended",
        (
            (key, number(row["rq_detrended"]), found[key]["detrended"])
            for row in rows
            for key in [(ident(row["id"]), int(row["session"]))]
        ),
    )
    kept = {(ident(row["id"]), int(row["session"])) for row in rows}
    assert {key for key, row in found.items() if row["detrended"] is not None} == kept
    # A row of the case is a session; here it is a rating, so an outcome finds the alliance of the session before by its number.
    before = {(client, session + 1): row for (client, session), row in found.items()}
    within = rows_of(
        lab,
        "marts.alliance_session",
        "client_id session_number | within",
        "instrument = 'measure' and site_id = 'demean'",
    )
    lagged = {(client, session + 1): row["within"] for (client, session), row in within.items()}
    rows = read(DEMEAN, "expected_lag1.csv")
    outcomes = {
        (client, session): score
        for client, session, score in lab.rows(
            "select client_id, session_number, score_lag1 from marts.alliance_session "
            "where instrument = 'outcome-as-alliance' and site_id = 'demean'"
        )
    }
    compared.same(
        DEMEAN,
        "outcome of the session before",
        (
            (key, number(row["bdi_lag1"]), outcomes.get(key))
            for row in rows
            for key in [(ident(row["id"]), int(row["session"]))]
            if number(row["bdi"]) is not None
        ),
    )
    compared.same(
        DEMEAN,
        "alliance of the session before",
        (
            (key, number(row["rq_within_lag1"]), lagged.get(key))
            for row in rows
            for key in [(ident(row["id"]), int(row["session"]))]
        ),
    )
    compared.same(
        DEMEAN,
        "lag 1 in the rating's own row",
        (
            (key, number(row["rq_within_lag1"]), found[key]["within_lag1"])
            for row in rows
            for key in [(ident(row["id"]), int(row["session"]))]
            if key in found
        ),
    )
    assert before


def test_slopes_within_and_between(lab: Lab, compared: Compared) -> None:
    """Closed forms over the long table, as an analyst would write them."""
    pairs = lab.rows(
        "select a.client_id, a.score, b.score from marts.alliance_session as a inner join marts.alliance_session as b "
        "using (site_id, client_id, session_number) where a.instrument = 'measure' "
        "and b.instrument = 'outcome-as-alliance' and site_id = 'demean'"
    )
    own: dict[str, list[tuple[float, float]]] = {}
    for client, x, y in pairs:
        own.setdefault(client, []).append((x, y))
    expected = {row["id"]: row for row in read(DEMEAN, "expected_within_person_correlation.csv")}
    means = {c: (sum(x for x, _ in v) / len(v), sum(y for _, y in v) / len(v)) for c, v in own.items()}
    sums = {
        c: tuple(
            sum((p[i] - means[c][i]) * (p[j] - means[c][j]) for p in v) for i, j in ((0, 0), (0, 1), (1, 1))
        )
        for c, v in own.items()
    }
    compared.same(
        DEMEAN,
        "correlation within persons",
        (
            (c, number(row["r"]), sums[ident(c)][1] / (sums[ident(c)][0] * sums[ident(c)][2]) ** 0.5)
            for c, row in expected.items()
        ),
    )
    compared.same(
        DEMEAN,
        "slope within persons",
        ((c, number(row["slope"]), sums[ident(c)][1] / sums[ident(c)][0]) for c, row in expected.items()),
    )
    within = sum(s[1] for s in sums.values()) / sum(s[0] for s in sums.values())
    between, pooled = (
        linear_regression(*zip(*v, strict=True)) for v in (means.values(), chain(*own.values()))
    )
    mine = {
        "within_fixed_effects_slope": within,
        "between_means_slope": between.slope,
        "between_means_intercept": between.intercept,
        "pooled_ols_slope": pooled.slope,
    }
    rows = read(DEMEAN, "expected_within_between_slopes.csv")
    compared.same(
        DEMEAN,
        "slopes within, between, pooled",
        ((row["estimator"], number(row["value"]), mine[row["estimator"]]) for row in rows),
    )


def test_a_lagged_mixed_model_over_the_long_table(lab: Lab, compared: Compared) -> None:
    """The marts give the table, not the model: here the model is fitted, by REML with an intercept per person, as lme4 does."""
    rows = lab.rows(
        "select y.client_id, y.score, 1.0, x.within, x.client_mean, y.score_lag1, y.session_number "
        "from marts.alliance_session as y inner join marts.alliance_session as x "
        "on y.site_id = x.site_id and y.client_id = x.client_id and y.session_number - 1 = x.session_number "
        "where y.instrument = 'outcome-as-alliance' and x.instrument = 'measure' and y.site_id = 'demean' "
        "and y.score_lag1 is not null order by 1, 7"
    )
    expected = read(DEMEAN, "expected_lmer_lagged.csv")
    table = np.array([row[1:] for row in rows], dtype=float)
    people = sorted({row[0] for row in rows})
    assert {(len(rows), len(people))} == {(int(row["n_rows"]), int(row["n_id"])) for row in expected}
    y, x = table[:, 0], table[:, 1:]
    of = np.array([[row[0] == person for person in people] for row in rows], dtype=float)
    n, k = x.shape

    def solved(ratio: float) -> tuple[Any, Any, float, float]:
        """Coefficients, their errors, residual variance and REML criterion at a ratio of the variances."""
        covariance = np.eye(n) + ratio * of @ of.T
        weighed = np.linalg.solve(covariance, x)
        inverse = np.linalg.inv(x.T @ weighed)
        slopes = inverse @ weighed.T @ y
        left = y - x @ slopes
        variance = left @ np.linalg.solve(covariance, left) / (n - k)
        determinants = np.linalg.slogdet(covariance)[1] - np.linalg.slogdet(inverse)[1]
        return (
            slopes,
            np.sqrt(np.diag(inverse) * variance),
            variance,
            determinants + (n - k) * np.log(variance),
        )

    best = minimize_scalar(
        lambda ratio: solved(ratio)[3], bounds=(0, 1), method="bounded", options={"xatol": 1e-9}
    )
    slopes, errors, *_ = solved(best.x)
    for name, column, mine in (("estimate", "Estimate", slopes), ("se", "Std..Error", errors)):
        compared.same(
            DEMEAN,
            f"lagged mixed model: {name}",
            (
                (row["term"], number(row[column]), float(value))
                for row, value in zip(expected, mine, strict=True)
            ),
            tolerance=1e-4,
            note="iterative (lme4)",
        )


def test_lines_of_persons(lab: Lab, compared: Compared) -> None:
    names = {
        "n_ratings": "n",
        "mean": "mean",
        "sd": "sd",
        "first_score": "first",
        "last_score": "last",
        "intercept": "intercept",
        "slope": "slope",
        "slope_se": "se_slope",
        "log_slope": "log_slope",
        "mssd": "mssd",
        "early_s1_3": "early_mean_1to3",
    }
    columns = f"client_id | {' '.join(names)} n_s1_3"
    found = rows_of(lab, "marts.alliance_dyad", columns, "site_id = 'slopes'")
    rows = read(SLOPES, "expected_person_ols.csv")
    assert len(found) == len(rows)
    for ours, theirs in (*names.items(), ("n_s1_3", "early_n_1to3")):
        compared.same(
            SLOPES,
            f"course: {ours}",
            (
                (key, number(row[theirs]), None if value is None else float(value))
                for row in rows
                for key in [ident(row["dataset"] + row["id"])]
                for value in [found[key][ours]]
            ),
        )
    names = {"n_ratings": "n", "mean": "mean", "sd": "sd", "slope": "slope", "intercept": "intercept"}
    names |= {"early_s1_3": "early_1_3", "n_s1_3": "early_n", "early_s3": "s3"}
    found = rows_of(
        lab,
        "marts.alliance_dyad",
        f"client_id | {' '.join(names)}",
        "instrument = 'wai' and rater = 'client'",
    )
    for ours, theirs in names.items():
        compared.same(
            SYNTHETIC,
            f"course: {ours}",
            (
                (row["client_id"], number(row[theirs]), None if value is None else float(value))
                for row in read(SYNTHETIC, "expected_client_summary.csv")
                for value in [found[row["client_id"]][ours]]
            ),
        )


def test_scores_and_shares_of_variance_of_a_course(lab: Lab, compared: Compared) -> None:
    """What the marts do not hold as a column follows from two: the rating of session 5; r2 from the slope and its error."""
    at_5 = dict(
        lab.rows(
            "select client_id, score from marts.alliance_session where session_number = 5 "
            "and (site_id = 'slopes' or (instrument = 'wai' and rater = 'client'))"
        )
    )
    rows = read(SLOPES, "expected_person_ols.csv")
    for case, column, keys in (
        (SLOPES, "value_at_5", [(ident(row["dataset"] + row["id"]), row) for row in rows]),
        (
            SYNTHETIC,
            "s5",
            [(row["client_id"], row) for row in read(SYNTHETIC, "expected_client_summary.csv")],
        ),
    ):
        compared.same(
            case, "course: session 5", ((key, number(row[column]), at_5.get(key)) for key, row in keys)
        )
    found = rows_of(lab, "marts.alliance_dyad", "client_id | slope slope_se n_ratings", "site_id = 'slopes'")
    compared.same(
        SLOPES,
        "course: r2",
        (
            (key, number(row["r2"]), t2 / (t2 + own["n_ratings"] - 2))
            for row in rows
            for key in [ident(row["dataset"] + row["id"])]
            for own in [found[key]]
            if own["n_ratings"] > 2
            for t2 in [(own["slope"] / own["slope_se"]) ** 2]
        ),
    )
    lines = rows_of(
        lab,
        "marts.alliance_dyad",
        "client_id | slope intercept",
        "site_id = 'demean' and instrument = 'measure'",
    )
    for name in ("slope", "intercept"):
        compared.same(
            DEMEAN,
            f"line: {name}",
            (
                (row["id"], number(row[name]), lines[ident(row["id"])][name])
                for row in read(DEMEAN, "expected_detrended_rq.csv")
            ),
        )


# --- congruence ---------------------------------------------------------------------------------


def test_congruence(lab: Lab, compared: Compared) -> None:
    found = rows_of(
        lab,
        "marts.alliance_congruence",
        "client_id | n_pairs mean_difference mean_abs_difference r",
        "instrument = 'wai'",
    )
    names = ("n_pairs", "mean_diff_therapist_minus_client", "mean_abs_diff", "r")
    rows = [row for row in read(SYNTHETIC, "expected_congruence_by_client.csv") if row["n_pairs"] != "0"]
    assert len(found) == len(rows)
    for ours, theirs in zip(("n_pairs", "mean_difference", "mean_abs_difference", "r"), names, strict=True):
        compared.same(
            SYNTHETIC,
            f"congruence: {ours}",
            (
                (row["client_id"], number(row[theirs]), None if value is None else float(value))
                for row in rows
                for value in [found[row["client_id"]][ours]]
                if theirs != "r" or int(row["n_pairs"]) >= 3
            ),
        )
    names_of = {
        "n_pairs": "n",
        "r": "pearson_r",
        "mean_difference": "mean_difference",
        "sd_difference": "sd_difference",
        "limits_low": "loa_lower",
        "limits_high": "loa_upper",
        "mean_abs_difference": "mean_abs_difference",
        "mean_squared_difference": "mean_squared_difference",
        "ccc": "lin_ccc_n1",
    }
    whole = rows_of(
        lab, "marts.alliance_congruence", f"client_id | {' '.join(names_of)}", "site_id = 'whole'"
    )
    for ours, theirs in names_of.items():
        compared.same(
            PAIRS,
            f"agreement: {ours}",
            (
                (row["dataset"], number(row[theirs]), float(whole[ident(row["dataset"])][ours]))
                for row in read(PAIRS, "expected_agreement_indices.csv")
            ),
        )


def test_truth_and_bias(lab: Lab, compared: Compared) -> None:
    terms = ("directional_bias", "truth_force")
    whole = rows_of(
        lab,
        "marts.alliance_congruence",
        "client_id | directional_bias truth_force directional_bias_se truth_force_se client_mean",
        "site_id = 'whole'",
    )
    rows = [row for row in read(PAIRS, "expected_truth_bias.csv") if row["model"] == "lm_grand_mean_of_truth"]
    assert {row["term"] for row in rows} == set(terms)
    for column, theirs in (("{}", "estimate"), ("{}_se", "se")):
        compared.same(
            PAIRS,
            f"truth and bias: {theirs}",
            (
                (row["term"], number(row[theirs]), whole[ident(row["dataset"])][column.format(row["term"])])
                for row in rows
            ),
        )
    compared.same(
        PAIRS,
        "truth and bias: mean of the truth",
        (
            (row["term"], number(row["truth_mean"]), whole[ident(row["dataset"])]["client_mean"])
            for row in rows
        ),
    )
    found = rows_of(
        lab,
        "marts.alliance_congruence",
        "client_id | n_pairs directional_bias r truth_force mean_abs_difference sd_difference",
        "site_id = 'sgdata_pairs'",
    )
    names = ("n", "bias", "r", "slope", "mean_abs_diff", "sd_diff")
    for ours, theirs in zip(next(iter(found.values())), names, strict=True):
        compared.same(
            PAIRS,
            f"per dyad: {ours}",
            (
                (row["dyad"], number(row[theirs]), None if value is None else float(value))
                for row in read(PAIRS, "expected_per_dyad.csv")
                for value in [found[ident(row["dyad"])][ours]]
            ),
        )


def test_truth_and_bias_over_all_dyads(lab: Lab, compared: Compared) -> None:
    """lm over all pairs; lme4 over dyads of three pairs or more, each less the mean of its own truth."""
    found = rows_of(lab, "marts.truth_bias", "instrument model term | estimate se n_pairs n_dyads sigma")
    models = {
        "lm_grand_mean": "pooled",
        "lmer_person_mean_random_slope": "random_slope",
        "lmer_person_mean_of_truth_random_intercept": "random_intercept",
    }
    terms = {"tracking": "truth_force", "tracking_truth_force": "truth_force"}
    for case, form, rows in (
        (SYNTHETIC, "wai", read(SYNTHETIC, "expected_truth_bias.csv")),
        (PAIRS, "sgdata", read(PAIRS, "expected_truth_bias.csv")),
    ):
        for row in rows:
            if row["model"] not in models or row.get("dataset") == "acipair":
                continue
            key = (form, models[row["model"]], terms.get(row["term"], row["term"]))
            iterative = key[1] != "pooled"
            for ours in ("estimate", "se"):
                compared.same(
                    case,
                    f"{key[1]} {key[2]}: {ours}",
                    [(key, number(row[ours]), found[key][ours])],
                    tolerance=1e-4 if iterative else 1e-9,
                    note="iterative (lme4)" if iterative else "",
                )
            assert found[key]["n_pairs"] == int(row["n_pairs"] if case == SYNTHETIC else row["n"])
            if case == PAIRS:
                compared.same(
                    case,
                    f"{key[1]} {key[2]}: sigma",
                    [(key, number(row["sigma"]), found[key]["sigma"])],
                    tolerance=1e-4,
                    note="iterative (lme4)",
                )


# --- ruptures -----------------------------------------------------------------------------------


def test_drop_rules_by_the_second_implementation(lab: Lab, compared: Compared) -> None:
    found = rows_of(
        lab,
        "marts.rupture_event",
        "client_id rule_id session_number | previous_session_number drop_size threshold session_gap status repair_session_number",
        "instrument = 'wai' and source = 'client'",
    )
    rows = read(SYNTHETIC, "second_implementation_rupture_rules.csv")
    keys = [(row["client_id"], row["rule"], int(row["rupture_session"])) for row in rows]
    assert {key for key in found if key[1] in DROPS} == set(keys)
    for ours, theirs in (
        ("previous_session_number", "pre_session"),
        ("drop_size", "drop"),
        ("threshold", "threshold"),
        ("session_gap", "session_gap"),
        ("repair_session_number", "repair_session"),
    ):
        compared.same(
            SYNTHETIC,
            f"drop rules: {ours}",
            (
                (key, number(row[theirs]), None if value is None else float(value))
                for key, row in zip(keys, rows, strict=True)
                for value in [found[key][ours]]
            ),
            note="second implementation",
        )
    compared.same(
        SYNTHETIC,
        "drop rules: repaired",
        (
            (key, row["repaired"] == "1", found[key]["status"] == "repaired")
            for key, row in zip(keys, rows, strict=True)
        ),
        note="second implementation",
    )
    (parameters,) = read(SYNTHETIC, "second_implementation_parameters.csv")
    ((mean,),) = lab.rows(
        "select mean_own_sd from marts.rupture_reference where instrument = 'wai' and rater = 'client'"
    )
    compared.same(SYNTHETIC, "mean own SD", [("sd", number(parameters["mean_within_sd"]), mean)])


def test_sudden_drops_by_suddengains(lab: Lab, compared: Compared) -> None:
    """Criteria 1 and 2 of each interval between neighbouring sessions; the package tests neither the first nor the last."""
    found = rows_of(
        lab,
        "marts.rupture_event",
        "client_id rule_id previous_session_number | score",
        "instrument = 'wai' and source = 'client' and rule_id like 'sudden%'",
    )
    rows = [
        row
        for row in read(SYNTHETIC, "expected_sudden_drop_intervals.csv")
        if row["direction"] == "drop" and row["sg_crit3"] == "FALSE" and row["crit123"] != ""
    ]
    compared.same(
        SYNTHETIC,
        "sudden drops",
        (
            (key, row["crit123"] == "1", key in found)
            for row in rows
            for rule in ["sudden" if row["sg_crit2_pct"] == "none" else "sudden_10"]
            for key in [(row["client_id"], rule, int(row["pre_session"]))]
        ),
    )


@pytest.mark.parametrize("case", [SYNTHETIC, CHARTS])
def test_control_charts_by_qcc(lab: Lab, compared: Compared, case: str) -> None:
    form = "wai" if case == SYNTHETIC else "charts"
    where = f"instrument = '{form}' and source = 'client'"
    found = rows_of(lab, "marts.rupture_event", "client_id rule_id session_number | spread threshold", where)
    courses = rows_of(
        lab,
        f"(select distinct client_id, mean, mean_range from marts.rupture_session where {where})",
        "client_id | mean mean_range",
    )

    def name(row: dict[str, str]) -> str:
        return row["client_id"] if case == SYNTHETIC else ident(row["dataset"] + row["id"])

    def by_range(row: dict[str, str]) -> bool:
        return row.get("std_dev_method", "MR") == "MR"

    limits = read(case, "expected_xmr_limits.csv" if case == SYNTHETIC else "expected_limits.csv")
    limits = [row for row in limits if by_range(row) and number(row["center"]) is not None]
    sigma = "sigma" if case == SYNTHETIC else "std_dev"
    compared.same(
        case, "chart: center", ((name(r), number(r["center"]), courses[name(r)]["mean"]) for r in limits)
    )
    compared.same(
        case,
        "chart: sigma",
        ((name(r), number(r[sigma]), courses[name(r)]["mean_range"] / 1.128) for r in limits),
        note="tabulated d2 = 1.128",
    )
    when = "session" if case == SYNTHETIC else "occasion"
    points = read(case, "expected_xmr_points.csv" if case == SYNTHETIC else "expected_points.csv")
    compared.same(
        case,
        "chart: below the limit",
        (
            (key, row["below_lcl"] in ("1", "TRUE"), key in found)
            for row in points
            if by_range(row)
            for key in [(name(row), f"qcc_{row['nsigmas']}", int(row[when]))]
        ),
    )
    lows = {(name(row), f"qcc_{row['nsigmas']}"): number(row["lcl"]) for row in limits}
    compared.same(
        case,
        "chart: lower limit",
        (
            (key, lows[key[:2]], courses[key[0]]["mean"] - row["threshold"])
            for key, row in found.items()
            if key[:2] in lows
        ),
    )


def test_control_charts_of_the_sd_by_qcc(lab: Lab, compared: Compared) -> None:
    found = rows_of(
        lab,
        "marts.rupture_event",
        "client_id rule_id session_number | spread threshold",
        "instrument = 'charts' and source = 'client' and rule_id like 'qcc_sd%'",
    )

    def key(row: dict[str, str]) -> tuple[str, str]:
        return ident(row["dataset"] + row["id"]), f"qcc_sd_{row['nsigmas']}"

    limits = {key(row): row for row in read(CHARTS, "expected_limits.csv") if row["std_dev_method"] == "SD"}
    compared.same(
        CHARTS,
        "chart (SD): below the limit",
        (
            (when, row["below_lcl"] == "TRUE", when in found)
            for row in read(CHARTS, "expected_points.csv")
            if row["std_dev_method"] == "SD"
            for when in [(*key(row), int(row["occasion"]))]
        ),
    )
    for name, theirs in (("sigma", "std_dev"), ("lower limit", "lcl")):
        compared.same(
            CHARTS,
            f"chart (SD): {name}",
            (
                (
                    when,
                    number(limits[when[:2]][theirs]),
                    row["spread"]
                    if name == "sigma"
                    else float(limits[when[:2]]["center"]) - row["threshold"],
                )
                for when, row in found.items()
            ),
            note="of courses below it",
        )


# --- response surface ------------------------------------------------------------------------------

RSA = "response_surface_rsa"
SURFACES = {"motcon": "motcon", "selfother_iq": "iq", "selfother_valueimportance": "value"}


def test_response_surfaces_by_lm_and_rsa(tmp_path: Path, compared: Compared) -> None:
    """z is put in as a change from 0, x and y as one rating each."""
    forms = dict.fromkeys(SURFACES.values(), ("alliance", "higher"))
    forms |= {f"z-{form}": ("outcome", "higher") for form in forms}
    case = Case(tmp_path, forms, alliance={"common_range": {"min": -10000.0, "max": 10000.0}})
    for name, form in SURFACES.items():
        for row in read(RSA, f"input_{name}.csv"):
            client = ident(f"{form}-{row['id']}")
            for rater, column in (("client", "x"), ("therapist", "y")):
                rate(case, "site-a", client, form, 1, number(row[column]), rater=rater)
            case.score("site-a", client, f"z-{form}", "intake", 0)
            case.score("site-a", client, f"z-{form}", "end", number(row["z"]))
    found = rows_of(
        case.night(),
        "marts.response_surface",
        "instrument centering parameter | estimate se n_dyads r2 sigma",
        "outcome_instrument = 'z-' || instrument",
    )

    def key(row: dict[str, str]) -> tuple[str, str, str]:
        return SURFACES[row["dataset"]], row["centering"], row["parameter"].split("_")[0]

    rows = read(RSA, "expected_surface.csv")
    by_lm = [row for row in rows if row["source"] == "lm"]
    assert {key(row) for row in by_lm} == set(found)
    for ours, theirs in (("estimate", "estimate"), ("se", "se"), ("n_dyads", "n")):
        compared.same(
            RSA,
            f"lm: {ours}",
            ((key(row), number(row[theirs]), float(found[key(row)][ours])) for row in by_lm),
        )
    compared.same(
        RSA,
        "RSA(full): estimate",
        (
            (key(row), number(row["estimate"]), found[key(row)]["estimate"])
            for row in rows
            if row not in by_lm
        ),
        tolerance=1e-4,
        note="iterative (lavaan)",
    )
    compared.same(
        RSA,
        "RSA(full): se",
        (
            (key(row), number(row["se"]), mine["se"] * (1 - 6 / mine["n_dyads"]) ** 0.5)
            for row in rows
            if row not in by_lm
            for mine in [found[key(row)]]
        ),
        tolerance=1e-4,
        note="iterative (lavaan): n in place of n - 6",
    )
    for ours in ("r2", "sigma"):
        compared.same(
            RSA,
            f"fit: {ours}",
            (
                (
                    key({**row, "parameter": "b0"}),
                    number(row[ours]),
                    found[key({**row, "parameter": "b0"})][ours],
                )
                for row in read(RSA, "expected_fit.csv")
            ),
        )
