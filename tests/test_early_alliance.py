"""Early alliance with drop-out and outcome, and how long clients of different sites stay: small cases with known answers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dyadlog.assets.warehouse.logistic import logistic
from dyadlog.assets.warehouse.logrank import beyond_chi_square, logrank


def estimates(happened: list[bool], x: list[float], sites: list[str]) -> dict[str, tuple[float, float]]:
    terms = logistic(happened, ["early"], [[value] for value in x], sites)
    return {str(t["term"]): (t["estimate"], t["se"]) for t in terms}  # type: ignore[misc]


def test_one_yes_or_no_predictor_gives_the_odds_ratio_of_the_table() -> None:
    """Two by two: 3 of 4 drop out with a low rating, 1 of 4 with a high one."""
    happened = [True] * 3 + [False] + [True] + [False] * 3
    found = estimates(happened, [0.0] * 4 + [1.0] * 4, ["all"] * 8)
    assert found["intercept"][0] == pytest.approx(math.log(3), abs=1e-5)
    assert found["early"][0] == pytest.approx(-2 * math.log(3), abs=1e-5)
    assert found["early"][1] == pytest.approx(math.sqrt(1 / 3 + 1 + 1 + 1 / 3), abs=1e-5)


def test_a_site_without_drop_outs_says_nothing_and_takes_nothing_away() -> None:
    happened = [True, True, False, True, False, False, False, True]
    x = [1.0, 3.0, 4.0, 2.0, 5.0, 6.0, 2.0, 7.0]
    sites = ["a"] * 4 + ["c"] * 4
    silent = estimates(
        [*happened[:4], False, False, *happened[4:]],
        [*x[:4], 9.0, 1.0, *x[4:]],
        [*sites[:4], "b", "b", *sites[4:]],
    )
    assert silent == estimates(happened, x, sites)
    assert set(silent) == {"intercept", "early", "site c"}


@pytest.mark.parametrize(
    ("happened", "x"),
    [
        ([False, False, False, True, True, True], [1.0, 2, 3, 4, 5, 6]),  # told apart completely
        ([False, True, False, True, True, False], [2.0] * 6),  # no spread
        ([True] * 6, [1.0, 2, 3, 4, 5, 6]),  # nobody stayed
        ([True, False], [1.0, 2]),  # fewer clients than figures
    ],
)
def test_there_is_no_estimate_where_none_exists(happened: list[bool], x: list[float]) -> None:
    assert set(estimates(happened, x, ["all"] * len(x)).values()) == {(None, None)}


@given(
    rows=st.lists(
        st.tuples(st.booleans(), st.integers(1, 7), st.sampled_from("abc")), min_size=8, max_size=60
    )
)
@settings(max_examples=200)
def test_residuals_are_orthogonal_to_what_is_in_the_model(rows: list[tuple[bool, int, str]]) -> None:
    """The score equations, which only the maximum solves: sums of y and of fitted chances agree, overall and with x."""
    rows = sorted(rows, key=lambda row: row[2])
    happened, x, sites = [r[0] for r in rows], [float(r[1]) for r in rows], [r[2] for r in rows]
    found = estimates(happened, x, sites)
    if found["early"][0] is None:
        return
    rates = {site: {h for h, s in zip(happened, sites, strict=True) if s == site} for site in set(sites)}
    left = [
        (h - 1 / (1 + math.exp(-(found["intercept"][0] + found["early"][0] * value + site_effect))), value)
        for h, value, site in zip(happened, x, sites, strict=True)
        if len(rates[site]) == 2
        for site_effect in [found.get(f"site {site}", (0.0,))[0]]
    ]
    assert abs(math.fsum(residual for residual, _ in left)) < 1e-3
    assert abs(math.fsum(residual * value for residual, value in left)) < 1e-2


def test_log_rank_of_two_sites_by_hand() -> None:
    """Site a loses one client after session 1 and one after 2, site b two after session 3; all drop out.

    Expected at a: 1 x 2/4 + 1 x 1/3 = 5/6; observed 2; variance 1/4 + 2/9 = 17/36; (7/6)^2 / (17/36) = 49/17.
    """
    found = logrank(["a", "a", "b"], [1, 2, 3], [1, 1, 2], [1, 1, 2])
    assert found["chi_square"] == pytest.approx(49 / 17, rel=1e-12)
    assert (found["df"], found["n_sites"], found["n_clients"], found["n_events"]) == (1, 2, 4, 4)


@given(
    groups=st.lists(
        st.dictionaries(st.integers(1, 9), st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1),
        min_size=1,
        max_size=4,
    )
)
@settings(max_examples=200)
def test_log_rank_does_not_depend_on_the_names_of_the_sites(
    groups: list[dict[int, tuple[int, int]]],
) -> None:
    def tested(order: list[dict[int, tuple[int, int]]]) -> dict[str, float | int | None]:
        rows = [
            (f"site-{nth}", time, stay + had, had)
            for nth, own in enumerate(order)
            for time, (stay, had) in sorted(own.items())
            if stay + had
        ]
        return logrank(*([row[part] for row in rows] for part in range(4))) if rows else {}

    one, other = tested(groups), tested(groups[::-1])
    assert one.keys() == other.keys()
    for name in one:
        if one[name] is None or other[name] is None:
            assert one[name] is None
            assert other[name] is None
        else:
            assert one[name] == pytest.approx(other[name], rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(
    ("value", "df", "p"),
    [
        (3.841458820694124, 1, 0.05),
        (5.991464547107979, 2, 0.05),
        (7.814727903251179, 3, 0.05),
        (18.307038053275146, 10, 0.05),
        (0.0, 4, 1.0),
    ],
)
def test_chances_beyond_a_chi_square(value: float, df: int, p: float) -> None:
    """Tabled quantiles."""
    assert beyond_chi_square(value, df) == pytest.approx(p, abs=1e-12)
