"""Statistics of agreement: laws that each must keep, statsmodels and plain definitions as second opinions."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dyadlog.assets.warehouse.agreement import DIGITS, coder_agreement

CLOSE = pytest.approx
NOMINAL = ("agreement", "kappa", "kappa_light", "kappa_conger", "kappa_fleiss", "alpha_nominal")


def rated(rows: list[list[float | None]], *, labels: bool = False) -> dict[str, dict[str, float | None]]:
    """Statistics of a table, units by coders."""
    told = [
        (f"u{unit}", f"k{coder}", value)
        for unit, row in enumerate(rows)
        for coder, value in enumerate(row)
        if value is not None
    ]
    units, coders, values = ([one[part] for one in told] for part in range(3))
    return {str(one["rule_id"]): one for one in coder_agreement(units, coders, values, labels)}  # type: ignore[arg-type,misc]


def tables(missing: bool = False) -> st.SearchStrategy[list[list[float | None]]]:
    value = st.sampled_from([0.0, 1.0, 2.0, 5.0])
    cell = st.one_of(value, value, st.none()) if missing else value
    return st.integers(2, 4).flatmap(
        lambda coders: st.lists(st.lists(cell, min_size=coders, max_size=coders), min_size=3, max_size=12)
    )


@given(tables(missing=True), st.randoms(use_true_random=False))
def test_neither_the_order_of_units_nor_that_of_coders_matters(
    rows: list[list[float | None]], chance: random.Random
) -> None:
    before = rated(rows)
    turned = [row[::-1] for row in rows]
    chance.shuffle(turned)
    after = rated(turned)
    assert before.keys() == after.keys()
    for name, one in before.items():
        for part in ("value", "lower", "upper"):
            assert after[name][part] == CLOSE(one[part], abs=2 * 10**-DIGITS)
        assert (one["n_units"], one["n_coders"]) == (after[name]["n_units"], after[name]["n_coders"])


@given(tables(missing=True))
def test_labels_are_labels_to_nominal_statistics(rows: list[list[float | None]]) -> None:
    other = {0.0: 7.0, 1.0: 3.0, 2.0: 11.0, 5.0: 4.0}
    renamed = rated([[None if value is None else other[value] for value in row] for row in rows])
    told = rated(rows, labels=True)
    assert set(told) == {name for name in rated(rows) if name in NOMINAL}
    for name, one in told.items():
        assert renamed[name]["value"] == CLOSE(one["value"], abs=2 * 10**-DIGITS)


@given(tables())
def test_what_agrees_wholly_is_one_and_what_never_varies_is_nothing(rows: list[list[float | None]]) -> None:
    same = [[row[0]] * len(row) for row in rows]
    varies = len({row[0] for row in same}) > 1
    for name, one in rated(same).items():
        assert one["value"] == (1 if varies or name == "agreement" else None), name


@given(tables(missing=True))
def test_alpha_is_its_definition_over_pairs(rows: list[list[float | None]]) -> None:
    """Observed and expected disagreement counted pair by pair, without a matrix."""
    units = [[v for v in row if v is not None] for row in rows]
    units = [unit for unit in units if len(unit) > 1]
    values = [v for unit in units for v in unit]
    often = Counter(values)

    def ordinal(a: float, b: float) -> float:
        low, high = min(a, b), max(a, b)
        return (sum(n for v, n in often.items() if low <= v <= high) - (often[a] + often[b]) / 2) ** 2

    for name, apart in (
        ("alpha_nominal", lambda a, b: float(a != b)),
        ("alpha_ordinal", ordinal),
        ("alpha_interval", lambda a, b: (a - b) ** 2),
        ("alpha_ratio", lambda a, b: ((a - b) / (a + b)) ** 2 if a + b else 0.0),
    ):
        found = rated(rows).get(name)
        if not units:
            assert found is None
            continue
        observed = math.fsum(
            apart(a, b) / (len(unit) - 1) for unit in units for a, b in itertools.permutations(unit, 2)
        ) / len(values)
        expected = math.fsum(apart(a, b) for a, b in itertools.permutations(values, 2))
        expected /= len(values) * (len(values) - 1)
        assert found is not None
        assert found["value"] == (CLOSE(1 - observed / expected, abs=1e-9) if expected else None), name


def crowd(coders: int, units: int = 60) -> list[list[float | None]]:
    chance = random.Random(coders)
    rows: list[list[float | None]] = []
    for _ in range(units):
        true = chance.randint(0, 4)
        rows.append([float(true if chance.random() < 0.6 else chance.randint(0, 4)) for _ in range(coders)])
    return rows


def test_kappas_and_their_limits_are_those_of_statsmodels() -> None:
    from statsmodels.stats.inter_rater import cohens_kappa, fleiss_kappa

    rows = crowd(2)
    table = np.zeros((5, 5))
    for one, other in rows:
        table[int(one or 0), int(other or 0)] += 1
    found = rated(rows)
    for name, weights in (("kappa", None), ("kappa_linear", "linear"), ("kappa_quadratic", "quadratic")):
        theirs = cohens_kappa(table, wt=weights)
        assert found[name]["value"] == CLOSE(theirs.kappa, abs=1e-9)
        assert found[name]["lower"] == CLOSE(theirs.kappa_low, abs=1e-9)
        assert found[name]["upper"] == CLOSE(theirs.kappa_upp, abs=1e-9)
    many = crowd(4)
    counts = [[row.count(float(value)) for value in range(5)] for row in many]
    assert rated(many)["kappa_fleiss"]["value"] == CLOSE(fleiss_kappa(counts), abs=1e-9)


def test_limits_of_fleiss_kappa_are_those_of_leaving_one_unit_out() -> None:
    """The jackknife needs no formula of its own."""
    rows = crowd(3, 200)
    whole = rated(rows, labels=True)["kappa_fleiss"]
    left_out = [
        rated(rows[:n] + rows[n + 1 :], labels=True)["kappa_fleiss"]["value"] for n in range(len(rows))
    ]
    values = np.array(left_out, dtype=float)
    error = math.sqrt((len(values) - 1) * values.var())
    assert (whole["upper"] - whole["lower"]) / 2 / 1.959964 == CLOSE(error, rel=0.02)  # type: ignore[operator]


@settings(max_examples=25)
@given(tables())
def test_two_coders_make_light_and_conger_superfluous(rows: list[list[float | None]]) -> None:
    two = rated([row[:2] for row in rows])
    assert {"kappa", "kappa_linear", "kappa_quadratic"} <= set(two)
    assert not {"kappa_light", "kappa_conger"} & set(two)


def test_units_with_another_number_of_coders_are_left_out_and_counted() -> None:
    found = rated([[1, 1, None], [2, None, 2], [None, 1, 2], [1, 1, 1], [5, None, None]])
    assert (found["kappa_fleiss"]["n_units"], found["kappa_fleiss"]["n_coders"]) == (3, 2)
    assert (found["icc_2_1"]["n_units"], found["icc_2_1"]["n_coders"]) == (1, 3)
    assert (found["alpha_nominal"]["n_units"], found["alpha_nominal"]["n_coders"]) == (4, 3)
    assert rated([[1, None], [None, 2]]) == {}
