"""Chance that is the same everywhere: the tables, and what is made with them."""

from __future__ import annotations

import hashlib
import math
from decimal import Decimal, localcontext
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyadlog.assets.simulation.chance import (
    PIECES,
    Chance,
    choose,
    curve,
    hazard,
    logistic_table,
    logit,
    normal_table,
)


def test_the_raw_numbers_are_those_of_philox() -> None:
    """Pinned: a change of NumPy's generator would change every study."""
    assert Chance(7, "a", "b").uniform(3).tolist() == RAW


RAW = [0.5831255245102908, 0.2527059763164511, 0.7805908111496628]


@pytest.mark.parametrize(
    ("table", "digest"), [(normal_table, "c2aebeb311f7da86"), (logistic_table, "d4f6dbcb8fd3c6ea")]
)
def test_the_tables_are_pinned(table, digest: str) -> None:  # type: ignore[no-untyped-def]
    assert hashlib.sha256(table().astype("<f8").tobytes()).hexdigest()[:16] == digest


def test_no_library_could_round_an_entry_of_the_tables_otherwise() -> None:
    """Entries are rounded to 8 digits; no exact value lies within 1e-13 of where rounding changes."""
    exact = [NormalDist().inv_cdf(k / PIECES) for k in range(1, PIECES)]
    with localcontext() as context:
        context.prec = 40
        exact += [float((Decimal(k) / (PIECES - k)).ln()) for k in range(1, PIECES)]
    distance = [abs((value * 1e8) % 1 - 0.5) / 1e8 for value in exact]
    assert min(distance) > 1e-13


def test_quantiles_are_those_of_the_distributions() -> None:
    normal, logistic = Chance(1, "normal").normal(400_000), Chance(1, "logistic").logistic(400_000)
    assert abs(normal.mean()) < 0.006
    assert abs(normal.std() - 1) < 0.006
    assert abs((normal < -1.959964).mean() - 0.025) < 0.001
    assert abs(logistic.std() - math.pi / math.sqrt(3)) < 0.01
    for odds in (-5.0, -2.0, 0.3):
        assert abs((logistic < odds).mean() - 1 / (1 + math.exp(-odds))) < 0.002


def test_streams_of_different_purposes_have_nothing_to_do_with_each_other() -> None:
    first, second = Chance(1, "site-01", "client"), Chance(1, "site-02", "client")
    assert abs(np.corrcoef(first.uniform(20_000), second.uniform(20_000))[0, 1]) < 0.03
    assert Chance(1, "a").uniform(2, 3).ravel().tolist() == Chance(1, "a").uniform(6).tolist()


@given(seed=st.integers(), count=st.integers(1, 200))
def test_one_number_lies_in_every_stratum(seed: int, count: int) -> None:
    numbers = Chance(seed, "x").strata(count)
    assert sorted((numbers * count).astype(int).tolist()) == list(range(count))


@given(st.dictionaries(st.sampled_from("abcdef"), st.floats(0.01, 10), min_size=1), st.integers())
def test_choices_have_their_weights(weights: dict[str, float], seed: int) -> None:
    chosen = choose(Chance(seed, "x").uniform(4000), weights)
    for place, weight in enumerate(weights.values()):
        assert abs((chosen == place).mean() - weight / sum(weights.values())) < 0.05


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=6, unique=True), st.floats(0.001, 0.999))
def test_curves_rise_through_their_points(values: list[float], share: float) -> None:
    points = [(nth / (len(values) - 1), value) for nth, value in enumerate(sorted(values))]
    assert points[0][1] <= curve(np.array([share]), points)[0] <= points[-1][1]
    assert np.allclose(curve(np.array([p for p, _ in points]), points), [v for _, v in points])


@given(st.floats(0.001, 0.9), st.integers(1, 30))
def test_the_hazard_loses_the_share_in_the_steps(share: float, steps: int) -> None:
    assert abs(1 - (1 - hazard(share, steps)) ** steps - share) < 1e-9


@given(st.floats(0.001, 0.999))
def test_log_odds_turn_back(probability: float) -> None:
    assert abs(1 / (1 + math.exp(-logit(probability))) - probability) < 1e-4
