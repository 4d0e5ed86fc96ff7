"""Steps in Python: what they find is the least there is, models that call them say so, threads change nothing."""

from __future__ import annotations

import math
import random
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dyadlog.assets.warehouse.models import models
from dyadlog.assets.warehouse.steps import STEPS, hlm_slopes, mixed_effects, reml_tau2
from dyadlog.schemas.marts import contracts
from tests.reference.case import Case

RULE = {"id": "slope", "preset": "speer_greenbaum", "instrument": "measure", "version": "1", "cutoff": "a"}


def test_a_model_that_calls_a_step_says_so_in_its_header_and_its_contract() -> None:
    for name, model in models().items():
        called = {step for step in STEPS if re.search(rf"\b{step}\(", model.sql)}
        assert set(model.python) == called, name
    for name, table in contracts().items():
        unpublished = [
            models()[read] for read in models()[name].reads if read not in contracts() and read in models()
        ]
        by_step = any(model.python for model in (models()[name], *unpublished))
        assert bool(table.python) == by_step, name
    assert {step for model in models().values() for step in model.python} == set(STEPS)


def courses(clients: int) -> tuple[list[list[float]], list[list[float]]]:
    chance = random.Random(7)
    times, scores = [], []
    for _ in range(clients):
        own = sorted(chance.sample(range(10), chance.randint(3, 8)))
        level, slope = chance.gauss(25, 6), chance.gauss(-1.2, 0.8)
        times.append([float(t) for t in own])
        scores.append([level + slope * t + chance.gauss(0, 3) for t in own])
    return times, scores


def test_slopes_are_those_of_statsmodels() -> None:
    from statsmodels.regression.mixed_linear_model import MixedLM

    times, scores = courses(60)
    client = [number for number, own in enumerate(times) for _ in own]
    x = np.array([[1.0, t] for own in times for t in own])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MixedLM(np.array([y for own in scores for y in own]), x, client, x)
        fit = model.fit(reml=True, method="bfgs", gtol=1e-8)
    assert fit.converged
    found = hlm_slopes(times, scores)
    for number, effect in fit.random_effects.items():
        own = found[number]
        error = math.sqrt(np.asarray(fit.random_effects_cov[number])[1, 1])
        assert own["deviation"] == pytest.approx(effect.iloc[1], abs=1e-4)
        assert own["se"] == pytest.approx(error, abs=1e-4)
        assert own["fixed_slope"] == pytest.approx(fit.fe_params[1], abs=1e-4)
        assert own["slope"] == pytest.approx(fit.fe_params[1] + effect.iloc[1], abs=1e-4)
        assert own["intercept"] == pytest.approx(fit.fe_params[0] + effect.iloc[0], abs=1e-3)


def test_other_units_of_time_and_score_give_the_same_slopes_in_those_units() -> None:
    times, scores = courses(40)
    plain = hlm_slopes(times, scores)
    other = hlm_slopes(
        [[7 * t + 3 for t in own] for own in times], [[100 - 10 * y for y in own] for own in scores]
    )
    for own, turned in zip(plain, other, strict=True):
        assert turned["slope"] == pytest.approx(-10 / 7 * own["slope"], abs=1e-3)  # type: ignore[operator]
        assert turned["se"] == pytest.approx(10 / 7 * own["se"], abs=1e-3)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("times", "scores"),
    [
        ([[0.0, 1.0, 2.0]] * 2, [[5.0, 4.0, 4.0], [6.0, 5.0, 3.0]]),  # two clients
        ([[0.0, 1.0, 2.0]] * 4, [[5.0, 5.0, 5.0]] * 4),  # no change at all
        ([[1.0, 1.0, 1.0]] * 4, [[5.0, 4.0, 6.0]] * 4),  # one moment
    ],
)
def test_where_nothing_can_be_fitted_there_is_nothing(
    times: list[list[float]], scores: list[list[float]]
) -> None:
    assert all(set(own.values()) == {None} for own in hlm_slopes(times, scores))


# effects, variances
SITES = [
    ([0.1, 0.5, 0.9, 1.4], [0.04, 0.09, 0.05, 0.12]),
    ([-2.0, 0.0, 3.0], [0.5, 0.01, 0.7]),
    ([0.2, 0.9], [0.01, 0.02]),
]


@pytest.mark.parametrize(("effects", "variances"), SITES)
def test_variance_between_sites_maximises_the_restricted_likelihood(
    effects: list[float], variances: list[float]
) -> None:
    def criterion(tau2: float) -> float:
        weights = [1 / (v + tau2) for v in variances]
        mean = sum(w * y for w, y in zip(weights, effects, strict=True)) / sum(weights)
        rest = sum(w * (y - mean) ** 2 for w, y in zip(weights, effects, strict=True))
        return rest - sum(map(math.log, weights)) + math.log(sum(weights))

    found = reml_tau2(effects, variances)
    assert found > 0
    assert criterion(found) < min(criterion(found * 1.001), criterion(found * 0.999))


def test_sites_that_agree_do_not_vary() -> None:
    assert reml_tau2([0.50, 0.51, 0.49], [0.1, 0.2, 0.1]) == 0
    assert reml_tau2([0.5], [0.1]) == 0


def test_threads_and_the_order_of_delivery_change_no_figure(tmp_path: Path) -> None:
    people = list(enumerate(zip(*courses(30), strict=True)))
    slopes = []
    for order in (people, people[::-1]):
        folder = tmp_path / str(len(slopes))
        case = Case(folder, {"measure": ("outcome", "lower")}, outcomes=[RULE])
        for number, (times, scores) in order:
            for time, score in zip(times, scores, strict=True):
                case.score(f"site-{number % 3}", f"c{number}", "measure", int(time) + 1, round(score, 2))
        lab = case.night()
        slopes.append(lab.rows("select * from marts.course_slope order by all"))
        assert len({lab.build(threads=threads).digest for threads in (1, 4)}) == 1
    assert len(slopes[0]) == 30
    assert slopes[0] == slopes[1]


@pytest.mark.parametrize("model", ["pooled", "random_intercept", "random_slope"])
@pytest.mark.parametrize(
    "dyads",
    [
        [],
        [([1.0], [2.0])],
        [([1.0, 2.0], [2.0, 3.0])],
        [([1.0, 1.0, 1.0], [2.0, 3.0, 4.0])],  # no spread of the predictor
        [([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])] * 4,  # nothing is left over
    ],
)
def test_mixed_effects_say_nothing_where_nothing_can_be_said(model: str, dyads: list[Any]) -> None:
    found = mixed_effects(model, [t for t, _ in dyads], [y for _, y in dyads])
    assert found["trend"] is None or abs(found["trend"] - 1) < 1e-6
    assert {found[name] is None for name in found} in ({True}, {False})


def test_pooled_effects_are_least_squares() -> None:
    found = mixed_effects("pooled", [[0.0, 1.0], [2.0, 3.0]], [[1.0, 2.0], [2.0, 5.0]])
    assert {name: round(value or 0, 9) for name, value in found.items()} == {
        "level": 0.7,
        "level_se": round((0.9 * 0.7) ** 0.5, 9),
        "trend": 1.2,
        "trend_se": round((0.9 / 5) ** 0.5, 9),
        "sigma": round(0.9**0.5, 9),
    }
