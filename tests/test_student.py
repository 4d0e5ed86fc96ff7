"""Least squares and the consistency of scales against plain numpy, the t distribution against its table."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyadlog.assets.warehouse.consistency import scale_consistency
from dyadlog.assets.warehouse.distance import answer_distances
from dyadlog.assets.warehouse.student import beyond_t, least_squares, normal_below, t_quantile

# two-sided 5 per cent (any statistics textbook)
T_TABLE = [(1, 12.7062), (2, 4.302653), (3, 3.182446), (4, 2.776445), (10, 2.228139), (120, 1.97993)]


@pytest.mark.parametrize(("df", "value"), T_TABLE)
def test_quantiles_of_t(df: int, value: float) -> None:
    assert t_quantile(df) == pytest.approx(value, abs=1e-5)
    assert beyond_t(t_quantile(df), df) == pytest.approx(0.05, abs=1e-9)
    assert beyond_t(-t_quantile(df), df) == beyond_t(t_quantile(df), df)


def test_without_degrees_of_freedom_nothing_is_known() -> None:
    assert (t_quantile(0), beyond_t(5.0, 0)) == (math.inf, 1.0)


def test_the_normal_distribution() -> None:
    assert normal_below(0) == 0.5
    assert normal_below(1.959963984540054) == pytest.approx(0.975, abs=1e-12)


@given(st.integers(0, 2**32), st.integers(12, 60))
def test_least_squares_are_those_of_linear_algebra(seed: int, n: int) -> None:
    chance = np.random.default_rng(seed)
    x = chance.normal(50, 7, (n, 2))
    sites = [f"s{place % 3}" for place in range(n)]
    y = (
        3
        + x @ [0.4, -1.1]
        + np.array([{"s0": 0, "s1": 2, "s2": -4}[s] for s in sites])
        + chance.normal(0, 2, n)
    )
    terms = least_squares(y.tolist(), ["a", "b"], x.tolist(), ["site"], [[site] for site in sites])
    design = np.column_stack([np.ones(n), x, [s == "s1" for s in sites], [s == "s2" for s in sites]])
    beta, (rest,), *_ = np.linalg.lstsq(design, y)
    errors = np.sqrt(np.diagonal(np.linalg.inv(design.T @ design)) * rest / (n - 5))
    assert [term["term"] for term in terms] == ["intercept", "a", "b", "site s1", "site s2"]
    assert [term["estimate"] for term in terms] == pytest.approx(beta, rel=1e-7, abs=1e-8)
    assert [term["se"] for term in terms] == pytest.approx(errors, rel=1e-7)
    assert {(term["n_clients"], term["df"]) for term in terms} == {(n, n - 5)}


def test_the_order_of_clients_changes_no_digit() -> None:
    chance = np.random.default_rng(7)
    x, y = chance.normal(0, 1, (80, 2)), chance.normal(0, 1, 80)
    sites = [[f"s{place % 4}"] for place in range(80)]
    there = least_squares(y.tolist(), ["a", "b"], x.tolist(), ["site"], sites)
    back = least_squares(y[::-1].tolist(), ["a", "b"], x[::-1].tolist(), ["site"], sites[::-1])
    assert there == back


@pytest.mark.parametrize(
    ("predictors", "groups"),
    [
        ([[1, 2], [2, 4], [3, 6], [4, 8], [5, 10]], [["s"]] * 5),  # one determines the other
        ([[1, 2], [1, 3], [1, 1], [1, 5], [1, 4]], [["s"]] * 5),  # one does not differ
        (
            [[1, 2], [2, 1], [3, 3], [4, 2], [5, 4]],
            [["s"], ["t"], ["u"], ["v"], ["s"]],
        ),  # more terms than clients
    ],
)
def test_what_cannot_be_estimated_is_empty(predictors: list[list[float]], groups: list[list[str]]) -> None:
    terms = least_squares([1, 2, 4, 3, 5], ["a", "b"], predictors, ["site"], groups)
    assert {term["estimate"] for term in terms} == {None}
    assert {term["n_clients"] for term in terms} == {5}


@given(st.integers(0, 2**32), st.integers(5, 40), st.integers(2, 6), st.booleans())
def test_alpha_is_that_of_the_covariances(seed: int, n: int, k: int, halves: bool) -> None:
    chance = np.random.default_rng(seed)
    answers = np.round(chance.normal(3, 1, (n, 1)) + chance.normal(0, 1, (n, k)), 1 if halves else 0)
    covariances = np.cov(answers, rowvar=False)
    if (np.diagonal(covariances) == 0).any() or np.linalg.cond(covariances) > 1e6:
        return
    found = scale_consistency([str(item) for item in range(k)], answers.tolist())
    alpha = k / (k - 1) * (1 - np.trace(covariances) / covariances.sum())
    if covariances.sum() > 1e-6:
        assert found["alpha"] == pytest.approx(alpha, rel=1e-8)
    assert found["mean"] == pytest.approx(answers.mean(), abs=1e-10)
    items: list[dict[str, float]] = found["items"]  # type: ignore[assignment]
    rest = answers[:, 1:].sum(axis=1)
    if rest.std() > 1e-9:
        assert items[0]["item_rest_r"] == pytest.approx(np.corrcoef(answers[:, 0], rest)[0, 1], abs=1e-8)
    assert items[0]["item_total_r"] == pytest.approx(
        np.corrcoef(answers[:, 0], answers.mean(axis=1))[0, 1], abs=1e-8
    )


def test_items_that_nobody_tells_apart_have_no_alpha() -> None:
    found = scale_consistency(["a", "b"], [[2, 2], [2, 3]])
    assert found["alpha"] is None
    assert found["lambda_6"] is None


def test_distances_are_those_of_the_inverse_covariances() -> None:
    chance = np.random.default_rng(5)
    answers = np.round(chance.normal(3, 1, (40, 1)) + chance.normal(0, 1, (40, 4)))
    away = answers - answers.mean(axis=0)
    expected = ((away @ np.linalg.inv(np.cov(answers, rowvar=False))) * away).sum(axis=1)
    assert answer_distances(answers.tolist()) == pytest.approx(expected, abs=1e-8)
    # a form without any answer lies at the mean
    with_empty: list[list[float | None]] = [*answers.tolist(), [None] * 4]
    assert answer_distances(with_empty) == pytest.approx([*expected, 0], abs=1e-8)


def test_items_that_determine_each_other_have_no_distance() -> None:
    assert answer_distances([[n, 2.0 * n, n % 3] for n in range(9)]) == [None] * 9
    assert answer_distances([[1.0, 2.0], [2.0, 1.0]]) == [None, None]
