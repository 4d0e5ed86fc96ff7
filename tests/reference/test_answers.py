"""Runs of equal answers against careless 1.2.2, scale means and totals against psych 2.2.9."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Lab, client, rating
from tests.reference.case import Compared, ident, needs_reference, number, read

pytestmark = needs_reference

CARELESS = "straightlining_careless"
FORM = """\
instrument: form
name: As in the reference case
domain: process
source: reference case
licence: none
direction: higher_is_better
versions:
  "1":
    raters: [client]
    items: {items}
    min: {low}
    max: {high}
    reversed: {reversed}
    score: {score}
    max_missing: {{total: {all}, subscale: {all}}}
    subscales: {subscales}
"""


def night(folder: Path, rows: list[dict[str, str]], key: str, **form: Any) -> Lab:
    items = [name for name in rows[0] if name != key]
    values = [number(row[item]) for row in rows for item in items]
    given = [value for value in values if value is not None]
    shape = {"reversed": [], "score": "sum", "subscales": {}, "low": min(given), "high": max(given)} | form
    shown = {
        name: json.dumps(value) if not isinstance(value, str) else value for name, value in shape.items()
    }
    lab = Lab(
        folder / "study",
        "study: reference\ntitle: Reference\nsites: [{id: site-a}]\ninstruments: [form.yaml]\n",
    )
    (lab.folder / "form.yaml").write_text(FORM.format(items=json.dumps(items), all=len(items), **shown))
    events = []
    for row in rows:
        name = ident(row[key])
        event = rating(None, [], name, instrument="form", version="1", occasion="intake")
        event["payload"]["items"] = {item: number(row[item]) for item in items}
        events += [client(name), event]
    lab.drop("site-a", "all.ndjson", events)
    lab.night()
    return lab


@pytest.mark.parametrize("dataset", ["careless_dataset", "careless_dataset2", "bfi25"])
def test_runs_of_equal_answers(dataset: str, tmp_path: Path, compared: Compared) -> None:
    lab = night(tmp_path, read(CARELESS, f"input_{dataset}.csv"), "row")
    names = {"longest_run": "longstring", "mean_run": "avg_string", "answer_sd": "irv"}
    found = {
        row[0]: dict(zip(names, row[1:], strict=True))
        for row in lab.rows(f"select client_id, {', '.join(names)} from marts.response_quality")
    }
    expected = [row for row in read(CARELESS, "expected_careless.csv") if row["dataset"] == dataset]
    for ours, theirs in names.items():
        compared.same(
            CARELESS,
            f"{dataset}: {ours}",
            (
                (row["row"], number(row[theirs]), None if value is None else float(value))
                for row in expected
                for value in [found[ident(row["row"])][ours]]
            ),
        )
    distances = dict(lab.rows("select client_id, distance from marts.answer_distance"))
    compared.same(
        CARELESS,
        f"{dataset}: mahalanobis",
        ((row["row"], number(row["mahalanobis_d2"]), distances[ident(row["row"])]) for row in expected),
    )


def test_runs_of_the_packages_own_test_data(tmp_path: Path, compared: Compared) -> None:
    lab = night(tmp_path, read(CARELESS, "input_longstring_testdata.csv"), "row")
    found = {
        row[0]: row[1:]
        for row in lab.rows("select client_id, longest_run, mean_run from marts.response_quality")
    }
    compared.same(
        CARELESS,
        "package's test data",
        (
            (row["row"], number(row[name]), float(found[ident(row["row"])][place]))
            for row in read(CARELESS, "expected_longstring_testdata.csv")
            for place, name in enumerate(("longstr", "avgstr"))
        ),
    )


ALPHA = "reliability_alpha"


def bfi(folder: Path, score: str) -> tuple[Lab, dict[str, list[str]]]:
    keys = read(ALPHA, "input_keys.csv")
    scales: dict[str, list[str]] = {}
    for row in keys:
        scales.setdefault(row["scale"], []).append(row["item"])
    turned = [row["item"] for row in keys if row["keyed"] == "-1"]
    lab = night(folder, read(ALPHA, "input.csv"), "id", score=score, reversed=turned, subscales=scales)
    return lab, scales


@pytest.fixture(scope="module")
def summed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lab, dict[str, list[str]]]:
    return bfi(tmp_path_factory.mktemp("bfi"), "sum")


def scores(lab: Lab) -> dict[tuple[str, str], tuple[float | None, ...]]:
    """Score, sum of the answers that were given, and how many are missing."""
    return {
        row[:2]: row[2:]
        for row in lab.rows(
            "select client_id, scale, score, item_mean * (n_items - n_missing), n_missing from marts.instrument_score"
        )
    }


def test_means_with_reversed_and_missing_items(tmp_path: Path, compared: Compared) -> None:
    lab, scales = bfi(tmp_path, "mean")
    found = scores(lab)
    compared.same(
        ALPHA,
        "scores: mean",
        (
            ((row["id"], scale), number(row[scale]), found[ident(row["id"]), scale][0])
            for row in read(ALPHA, "expected_scores_mean_of_available.csv")
            for scale in scales
        ),
    )


def test_sums_with_reversed_and_missing_items(
    summed: tuple[Lab, dict[str, list[str]]], compared: Compared
) -> None:
    """Totals of psych leave missing answers out; ours are prorated, so the sum of what was given is beside them."""
    lab, scales = summed
    found, rows = scores(lab), read(ALPHA, "expected_scores_total.csv")
    for what, place, note in (
        ("sum", 0, "forms without missing answers"),
        ("sum of the answers given", 1, ""),
    ):
        compared.same(
            ALPHA,
            f"scores: {what}",
            (
                ((row["id"], scale), number(row[scale]), found[ident(row["id"]), scale][place])
                for row in rows
                for scale in scales
                if place == 1 or found[ident(row["id"]), scale][2] == 0
            ),
            note=note,
        )


def test_cronbachs_alpha(summed: tuple[Lab, dict[str, list[str]]], compared: Compared) -> None:
    lab, _ = summed
    names = {
        "n": "n_clients",
        "raw_alpha": "alpha",
        "std_alpha": "alpha_standardised",
        "G6_smc": "lambda_6",
        "average_r": "mean_r",
        "mean": "mean",
        "sd": "sd",
    }
    rules = {"TRUE": "complete", "FALSE": "pairwise"}
    found = {
        row[:2]: dict(zip(names, row[2:], strict=True))
        for row in lab.rows(
            f"select rule_id, scale, {', '.join(names.values())} from marts.scale_reliability"
        )
    }
    for name in names:
        compared.same(
            ALPHA,
            f"alpha: {name}",
            (
                (key, number(row[name]), float(found[key][name]))
                for row in read(ALPHA, "expected_alpha.csv")
                for key in [(rules[row["complete_cases_only"]], row["scale"])]
            ),
        )
    columns = {
        "n": "n_clients",
        "raw_r": "item_total_r",
        "r_drop": "item_rest_r",
        "mean": "mean",
        "sd": "sd",
        "alpha_if_dropped": "alpha_without",
    }
    items = {
        row[:3]: dict(zip(columns, row[3:], strict=True))
        for row in lab.rows(
            f"select rule_id, scale, item, {', '.join(columns.values())} from marts.item_statistic"
        )
    }
    for name in columns:
        compared.same(
            ALPHA,
            f"items: {name}",
            (
                (key, number(row[name]), float(items[key][name]))
                for row in read(ALPHA, "expected_item_stats.csv")
                for key in [(rules[row["complete_cases_only"]], row["scale"], row["item"])]
            ),
        )
