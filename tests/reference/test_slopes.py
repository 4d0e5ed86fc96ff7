"""Slopes of mixed models against lme4 1.1.31, and the HLM method of clinicalsignificance 3.0.0."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.reference.case import Case, Compared, ident, needs_reference, number, read
from tests.reference.test_reliable_change import (
    OUTCOMES,
    RELIABLE,
    Outcome,
    clients,
    counted,
    expected,
    groups,
    named,
)

pytestmark = needs_reference

ITERATIVE = 1e-4
BY_SLOPE = [out for out in OUTCOMES if out.outcome in ("bdi", "who", "anxiety", "anxiety_complete")]
CRITICAL = {0.05: 1.959963984540054, 0.1: 1.6448536269514722, 0.01: 2.5758293035489004}


def rules(out: Outcome) -> list[dict[str, Any]]:
    m0, s0 = out.functional
    base = {"instrument": "measure", "version": "1", "functional_mean": m0, "functional_sd": s0}
    package = base | {"preset": "clinicalsignificance_3_0_0_hlm"}
    alphas = sorted(
        {float(row["alpha"]) for row in expected(out, "rci_individual") if row["rci_method"] == "HLM"}
    )
    return [
        package | {"id": f"{alpha:g}_{cut}", "critical": CRITICAL[alpha], "cutoff": cut}
        for alpha in alphas
        for cut in "abc"
    ] + [base | {"id": "published", "preset": "speer_greenbaum"}]


@pytest.mark.parametrize("out", BY_SLOPE, ids=lambda o: f"{o.case}-{o.outcome}")
def test_slopes_of_clients_by_the_package(out: Outcome, tmp_path: Path, compared: Compared) -> None:
    case = Case(tmp_path, {"measure": ("outcome", out.better)}, outcomes=rules(out))
    person, time, value = out.columns
    for row in read(out.case, out.file):
        when = int(row[time])
        name = ident(row[person])
        case.score(groups(out)[name], name, "measure", when or "intake", number(row[value]))
    lab = case.night()
    found = clients(lab)
    rows = [row for row in expected(out, "rci_individual") if row["rci_method"] == "HLM"]
    keys = [(f"{float(row['alpha']):g}_c", ident(row["id"])) for row in rows]
    for ours, theirs, tolerance in (
        ("change_index", "rci", ITERATIVE),
        ("pre_score", "pre", 1e-9),
        ("post_score", "post", 1e-9),
    ):
        compared.same(
            out.case,
            f"{out.outcome}: HLM {ours}",
            ((key, number(row[theirs]), found[key][ours]) for key, row in zip(keys, rows, strict=True)),
            tolerance=tolerance,
        )
    rows = [row for row in expected(out, "combined_individual") if row["rci_method"] == "HLM"]
    keys = [(f"{float(row['alpha']):g}_{row['cutoff_type']}", ident(row["id"])) for row in rows]
    names = ("recovered", "improved", "unchanged", "deteriorated", "harmed")
    compared.same(
        out.case,
        f"{out.outcome}: HLM category",
        ((key, named(row, *names), found[key]["category"]) for key, row in zip(keys, rows, strict=True)),
    )
    compared.same(
        out.case,
        f"{out.outcome}: HLM cut-off",
        ((key, number(row["cutoff"]), found[key]["cutoff"]) for key, row in zip(keys, rows, strict=True)),
    )
    for what, category, cut in (("rci", RELIABLE, "c"), ("combined", "category", None)):
        counts = counted(lab, category)
        compared.same(
            out.case,
            f"{out.outcome}: HLM {what} counts",
            (
                (key, number(row["n"]), float(counts.get(key, 0)))
                for row in expected(out, f"{what}_summary")
                if row["rci_method"] == "HLM"
                for key in [
                    (
                        f"{float(row['alpha']):g}_{cut or row['cutoff_type']}",
                        "s" + ident(row["group"]),
                        row["category"].lower(),
                    )
                ]
            ),
        )
    figures = {
        row[0]: row[1:]
        for row in lab.rows(
            "select rule_id, n_reference, pre_mean, pre_sd, post_mean, post_sd from marts.outcome_reference"
        )
    }
    names_of = ("n_used", "m_pre", "sd_pre", "m_post", "sd_post")
    parameters = [row for row in expected(out, "parameters") if row["rci_method"] == "HLM"]
    compared.same(
        out.case,
        f"{out.outcome}: HLM parameters",
        (
            (row["parameter"], number(row["value"]), float(figures[f"{float(row['alpha']):g}_c"][place]))
            for row in parameters
            if row["parameter"] in names_of
            for place in [names_of.index(row["parameter"])]
        ),
    )
    ((level, slope),) = lab.rows("select distinct fixed_intercept, fixed_slope from marts.course_slope")
    compared.same(
        out.case,
        f"{out.outcome}: HLM mean intercept",
        (
            (row["alpha"], number(row["value"]), level)
            for row in parameters
            if row["parameter"] == "fixef_(Intercept)"
        ),
        tolerance=ITERATIVE,
    )
    compared.same(
        out.case,
        f"{out.outcome}: HLM mean slope",
        (
            (row["alpha"], number(row["value"]), slope)
            for row in parameters
            if row["parameter"] == "fixef_time"
        ),
        tolerance=ITERATIVE,
    )


def test_the_publication_takes_the_slope_and_the_package_its_deviation(tmp_path: Path) -> None:
    """Everybody gets better by about four points a session: to the package, some are unchanged or even worse."""
    (out,) = [out for out in BY_SLOPE if out.outcome == "anxiety_complete"]
    case = Case(tmp_path, {"measure": ("outcome", "lower")}, outcomes=rules(out))
    noise = (0.3, -0.4, 0.5, -0.2, -0.3, 0.4)
    for person in range(8):
        for session in range(1, 7):
            value = 40 - 4 * session + noise[(session * (person + 1)) % 6] + person / 10
            case.score("site-a", f"c{person}", "measure", session, round(value, 3))
    found = clients(case.night())
    said = {rule: {row["category"] for (r, _), row in found.items() if r == rule} for rule, _ in found}
    assert said["published"] <= {"improved", "recovered"}
    assert said["0.05_c"] & {"unchanged", "deteriorated"}


SLEEP = "person_slopes"


def test_empirical_bayes_slopes(tmp_path: Path, compared: Compared) -> None:
    rule = {"id": "slope", "preset": "speer_greenbaum", "instrument": "measure", "version": "1"}
    case = Case(tmp_path, {"measure": ("outcome", "lower")}, outcomes=[rule | {"cutoff": "a"}])
    for row in read(SLEEP, "input.csv"):
        if row["dataset"] == "sleepstudy":
            when = int(row["session"])
            case.score("site-a", ident(row["id"]), "measure", when or "intake", number(row["y"]))
    found = {
        row[0]: row[1:]
        for row in case.night().rows("select client_id, intercept, slope from marts.course_slope")
    }
    rows = read(SLEEP, "expected_sleepstudy_empirical_bayes.csv")
    for place, name in enumerate(("eb_intercept", "eb_slope")):
        compared.same(
            SLEEP,
            f"sleepstudy: {name}",
            ((row["id"], number(row[name]), found[ident(row["id"])][place]) for row in rows),
            tolerance=ITERATIVE,
        )
