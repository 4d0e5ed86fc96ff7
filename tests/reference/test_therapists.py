"""Variance between therapists against lme4 1.1.31 and multilevel 2.7: pupils and schools stand in for clients and therapists."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import Lab
from tests.reference.case import Case, Compared, needs_reference, number, read

pytestmark = needs_reference

ICC, WHOLE = "therapist_site_icc", "synthetic_alliance"
ITERATIVE = 1e-4
DATASETS = {
    "mathachieve": "mathachieve_school",
    "bh1996": "bh1996_group_wbeing",
    "exam": "exam_school",
    "sleepstudy": "sleepstudy_subject",
}


def rate(case: Case, instrument: str, therapist: str, client: str, session: int, text: str) -> None:
    """A one-item alliance rating of a session with a therapist."""
    if (value := number(text)) is not None:
        case.held("site-a", client, session, therapist_id=therapist)
        case.score("site-a", client, instrument, session, value, "post_session")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Every data set is one instrument of the same site, with therapists and clients of its own."""
    instruments = [*DATASETS, "egsingle", "synthetic"]
    case = Case(tmp_path_factory.mktemp("therapists"), dict.fromkeys(instruments, ("alliance", "higher")))
    for name, dataset in DATASETS.items():
        for row in read(ICC, f"input_{dataset}.csv"):
            rate(case, name, f"{name}-{row['grp']}", f"{name}-{row['unit']}", 1, row["y"])
    for row in read(ICC, "input_egsingle_3level.csv"):
        client = "e" + row["child"].replace(" ", "-")
        when = int(float(row["year"]) + 3.5)
        rate(case, "egsingle", f"e{row['schoolid']}", client, when, row["math"])
    for row in read(WHOLE, "input.csv"):
        therapist, client = f"s{row['therapist_id']}", f"s{row['client_id']}"
        rate(case, "synthetic", therapist, client, int(row["session"]), row["client_wai"])
    return case.night()


COLUMNS = (
    "n_values",
    "n_groups",
    "n0",
    "ms_between",
    "ms_within",
    "variance",
    "share",
    "reliability",
    "intercept",
)


def shares(lab: Lab) -> dict[tuple[str, str, str], dict[str, Any]]:
    rows = lab.rows(
        f"select instrument, rule_id, level, {', '.join(COLUMNS)} from marts.variance_share where site_id is null"
    )
    return {
        (name, rule, level): dict(zip(COLUMNS, values, strict=True)) for name, rule, level, *values in rows
    }


ANOVA = {
    "n_obs": "n_values",
    "n_groups": "n_groups",
    "n0": "n0",
    "ms_between": "ms_between",
    "ms_within": "ms_within",
    "icc1_anova_n0": "share",
    "icc2_anova": "reliability",
    "var_between_anova": "variance",
    "multilevel_ICC2": "reliability",
}


def test_one_way_variance_between_therapists(lab: Lab, compared: Compared) -> None:
    found = shares(lab)
    rows = {row["dataset"]: row for row in read(ICC, "expected_icc.csv")}
    for name, dataset in DATASETS.items():
        row = rows[dataset]
        own = found[name, "anova_therapist", "therapist"]
        compared.same(
            ICC,
            f"{name}: ANOVA",
            ((theirs, number(row[theirs]), float(own[ours])) for theirs, ours in ANOVA.items()),
        )
        as_package = found[name, "anova_therapist_mean_size", "therapist"]
        compared.same(
            ICC,
            f"{name}: ANOVA by mean size",
            [
                ("ICC1", number(row["multilevel_ICC1"]), as_package["share"]),
                ("size", number(row["mean_group_size"]), as_package["n0"]),
            ],
            note="as multilevel 2.7 does",
        )
        between, within = (found[name, "reml_therapist", level] for level in ("therapist", "client"))
        compared.same(
            ICC,
            f"{name}: REML",
            [
                ("between", number(row["lmer_reml_var_between"]), between["variance"]),
                ("within", number(row["lmer_reml_var_within"]), within["variance"]),
                ("icc", number(row["lmer_reml_icc"]), between["share"]),
                ("intercept", number(row["lmer_intercept"]), between["intercept"]),
            ],
            tolerance=ITERATIVE,
        )


def test_shrunken_means(lab: Lab, compared: Compared) -> None:
    found = {
        (instrument, therapist): values
        for instrument, therapist, *values in lab.rows(
            "select instrument, therapist_id, n_clients, mean, shrunken_mean - overall_mean from marts.therapist_effect"
        )
    }
    names = {dataset: name for name, dataset in DATASETS.items()}
    rows = [(names[row["dataset"]], row) for row in read(ICC, "expected_group_effects.csv")]
    mine = [found[name, f"{name}-{row['grp']}"] for name, row in rows]
    for place, column, tolerance in ((0, "n", 1e-9), (1, "raw_mean", 1e-9), (2, "eb_deviation", ITERATIVE)):
        compared.same(
            ICC,
            f"therapists: {column}",
            (
                ((name, row["grp"]), number(row[column]), float(own[place]))
                for (name, row), own in zip(rows, mine, strict=True)
            ),
            tolerance=tolerance,
        )


LEVELS = {"child": "client", "schoolid": "therapist", "Residual": "session"}
LEVELS_OF_WHOLE = {"client_id": "client", "therapist_id": "therapist", "Residual": "session"}


def test_sessions_in_clients_in_therapists(lab: Lab, compared: Compared) -> None:
    found = shares(lab)
    for model, rule in (("null", "reml_session"), ("year", "reml_session_trend")):
        rows = [row for row in read(ICC, "expected_3level_variance.csv") if row["model"] == model]
        compared.same(
            ICC,
            f"three levels: {model}",
            (
                ((row["grp"], theirs), number(row[theirs]), found["egsingle", rule, LEVELS[row["grp"]]][ours])
                for row in rows
                for theirs, ours in (("vcov", "variance"), ("share", "share"))
            ),
            tolerance=ITERATIVE,
        )
    compared.same(
        WHOLE,
        "variance components",
        (
            (
                (row["grp"], theirs),
                number(row[theirs]),
                found["synthetic", "reml_session", LEVELS_OF_WHOLE[row["grp"]]][ours],
            )
            for row in read(WHOLE, "expected_variance_components_lmer.csv")
            for theirs, ours in (("vcov", "variance"), ("share", "share"))
        ),
        tolerance=ITERATIVE,
    )
    (row,) = read(WHOLE, "expected_therapist_icc_anova.csv")
    own = found["synthetic", "anova_therapist", "therapist"]
    compared.same(
        WHOLE,
        "therapist ICC (ANOVA)",
        (
            (theirs, number(row[theirs]), own[ours])
            for theirs, ours in (
                ("ms_between", "ms_between"),
                ("ms_within", "ms_within"),
                ("n0", "n0"),
                ("icc1", "share"),
            )
        ),
    )
