"""Therapists and sites: who treated whom, shared ids, and variances against the whole likelihood written out."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import numpy as np
import pytest

from dyadlog.assets.warehouse.variances import crossed_variances, nested_variances
from tests.conftest import Lab, client, rating, session


def written_out(
    variances: list[float], labels: list[list[int]], times: list[float], values: list[float]
) -> float:
    """Minus twice the restricted log-likelihood, with the covariance of all values as one matrix."""
    y = np.array(values)
    v = variances[-1] * np.eye(len(y))
    for variance, label in zip(variances[:-1], labels, strict=True):
        own = np.array(label)
        v += variance * (own[:, None] == own[None, :])
    x = np.stack([np.ones_like(y), *([np.array(times)] if times else [])], axis=1)
    inverse = np.linalg.inv(v)
    middle = x.T @ inverse @ x
    p = inverse - inverse @ x @ np.linalg.solve(middle, x.T @ inverse)
    return float(np.linalg.slogdet(v)[1] + np.linalg.slogdet(middle)[1] + y @ p @ y)


def is_least(found: list[float], labels: list[list[int]], times: list[float], values: list[float]) -> bool:
    here = written_out(found, labels, times, values)
    steps = []
    for place, variance in enumerate(found):
        for factor in (0.98, 1.02) if variance > 1e-9 else (None,):
            other = list(found)
            other[place] = 0.01 * found[-1] if factor is None else variance * factor
            steps.append(written_out(other, labels, times, values))
    return here < min(steps)


def crowd(seed: int, between: float) -> tuple[list[list[int]], list[float], list[float]]:
    """Sites, therapists, clients, times and values of an uneven nested study."""
    chance = random.Random(seed)
    labels: list[list[int]] = [[], [], []]
    times, values = [], []
    therapist = person = 0
    for site in range(4):
        of_site = chance.gauss(0, between)
        for _ in range(chance.randint(2, 5)):
            therapist += 1
            of_therapist = chance.gauss(0, between)
            for _ in range(chance.randint(1, 6)):
                person += 1
                level = 30 + of_site + of_therapist + chance.gauss(0, 2)
                for number in range(chance.randint(1, 5)):
                    for label, own in zip(labels, (site, therapist, person), strict=True):
                        label.append(own)
                    times.append(float(number))
                    values.append(level + 0.4 * number + chance.gauss(0, 1))
    return labels, times, values


def one_by_one(values: list[float], times: list[float] | None = None) -> list[list[float]]:
    """The sums that the steps take, each of a single value."""
    if times:
        return [[1, y, y * y, t, t * t, t * y] for y, t in zip(values, times, strict=True)]
    return [[1, y, y * y] for y in values]


@pytest.mark.parametrize("between", [1.5, 0.0])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nested_variances_are_where_the_likelihood_is_highest(seed: int, between: float) -> None:
    labels, times, values = crowd(seed, between)
    for some, at in ((labels, times), (labels[1:], []), (labels[:1], times)):
        found: Any = nested_variances(some, one_by_one(values, at))
        assert is_least(found["variances"], some, at, values)
        assert (found["slope"] is None) == (at == [])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_therapists_who_cross_sites(seed: int) -> None:
    chance = random.Random(seed)
    told = []
    for therapist in range(14):
        own, places = chance.gauss(0, 1), chance.sample(range(4), chance.randint(1, 3))
        if therapist > 11:
            places = [4]  # a site that shares nobody
        for site in sorted(places):
            for _ in range(chance.randint(1, 5)):
                told.append((site, therapist, [0.0, 1.5, -2.0, 0.7, 1.0][site] + own + chance.gauss(0, 1)))
    sites, therapists, values = ([one[part] for one in told] for part in range(3))
    found: Any = crossed_variances(sites, therapists, one_by_one(values))
    assert is_least(found["variances"], [sites, therapists], [], values)


def test_therapists_of_one_site_each_are_nested() -> None:
    labels, _, values = crowd(5, 1.5)
    nested: Any = nested_variances(labels[:2], one_by_one(values))
    crossed: Any = crossed_variances(*labels[:2], one_by_one(values))
    assert crossed["variances"] == pytest.approx(nested["variances"], rel=1e-4)
    assert crossed["intercept"] == pytest.approx(nested["intercept"], abs=1e-4)


def test_other_units_give_the_same_shares() -> None:
    labels, times, values = crowd(6, 1.5)
    plain: Any = nested_variances(labels, one_by_one(values, times))
    turned: Any = nested_variances(labels, one_by_one([100 - 10 * y for y in values], [7 * t for t in times]))
    assert turned["variances"] == pytest.approx([100 * v for v in plain["variances"]], rel=1e-4)
    assert turned["slope"] == pytest.approx(-10 / 7 * plain["slope"], rel=1e-4)
    assert turned["intercept"] == pytest.approx(100 - 10 * plain["intercept"], rel=1e-4)


@pytest.mark.parametrize(
    ("groups", "values"),
    [
        ([[1, 1, 1]], [1.0, 2.0, 3.0]),  # one group
        ([[1, 2, 3]], [1.0, 2.0, 3.0]),  # groups of one
        ([[1, 1, 2, 2], [1, 1, 2, 2]], [1.0, 2.0, 3.0, 5.0]),  # a level like the one above it
        ([[1, 1, 2]], [4.0, 4.0, 4.0]),  # nothing varies
    ],
)
def test_where_nothing_can_be_told_apart_there_is_nothing(
    groups: list[list[int]], values: list[float]
) -> None:
    assert set(nested_variances(groups, one_by_one(values)).values()) == {None}


# --- marts ----------------------------------------------------------------------------------


def therapist(name: str, day: int = 0, **payload: Any) -> dict[str, Any]:
    about = {"event_id": f"therapist-{name}-{day}", "event_type": "therapist.enrolled", "recorded_day": day}
    return about | {"therapist_id": name, "payload": payload}


def dyad(name: str, with_whom: str, kind: str = "dyad.formed", **payload: Any) -> dict[str, Any]:
    about = {"event_id": f"dyad-{name}-{with_whom}", "event_type": kind, "payload": payload}
    return about | {"client_id": name, "therapist_id": with_whom}


SITE_A = [
    therapist("t1", years_experience=3, training_level="trainee"),
    therapist("t1", 400, years_experience=4, training_level="certified"),
    therapist("t9", years_experience=20),
    *(client(name) for name in ("c1", "c2", "c3", "c4")),
    # c1 says it in the session and changes therapist; c2 has one dyad, c3 two and nobody can tell
    *(session(n, "c1", therapist_id="t1" if n < 3 else "t2") for n in range(1, 6)),
    dyad("c1", "t1"),
    dyad("c2", "t1"),
    *(session(n, "c2") for n in (1, 2)),
    session(3, "c2", "missed"),
    dyad("c3", "t1"),
    dyad("c3", "t2", "therapist.changed", from_therapist_id="t1"),
    session(1, "c3"),
    session(1, "c4", therapist_id="t2"),
    *(rating(n, n, "c1") for n in range(1, 6)),
    rating(1, 5, "c2"),
    rating(2, 4, "c2"),
    rating(1, 1, "c3"),
    rating(1, 2, "c4"),
]
SITE_B = [
    *(client(name) for name in ("b1", "b2")),
    *(session(1, name, therapist_id="t1") for name in ("b1", "b2")),
    rating(1, 3, "b1"),
    rating(1, 4, "b2"),
]


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Lab]:
    """The same deliveries, without and with shared ids."""
    made = {}
    for shared in (False, True):
        protocol = {
            "study": "therapists",
            "title": "Therapists",
            "sites": [{"id": "site-a"}, {"id": "site-b"}],
            "shared_therapist_ids": shared,
        }
        lab = Lab(tmp_path_factory.mktemp("therapists") / str(shared), json.dumps(protocol))
        lab.drop("site-a", "1.ndjson", SITE_A)
        lab.drop("site-b", "1.ndjson", SITE_B)
        lab.night()
        made[shared] = lab
    return made


def test_caseload_experience_and_who_was_never_enrolled(two: dict[bool, Lab]) -> None:
    asked = "select * exclude (orientation) from marts.therapist order by all"
    assert two[False].rows(asked) == [
        ("site-a", "t1", None, 2, 4, 4.0, "certified", "as_enrolled"),
        ("site-a", "t2", None, 2, 4, None, None, "seen_only"),
        ("site-a", "t9", None, 0, 0, 20.0, None, "as_enrolled"),
        ("site-b", "t1", None, 2, 2, None, None, "seen_only"),
    ]
    assert two[True].rows("select site_id, person_id from marts.therapist where person_id = 't1' order by all") == [
        ("site-a", "t1"),
        ("site-b", "t1"),
    ]  # fmt: skip


def test_a_client_counts_for_each_therapist_with_the_sessions_held_together(two: dict[bool, Lab]) -> None:
    assert two[False].rows(
        "select site_id, therapist_id, n_clients, n_values, mean from marts.therapist_effect "
        "where quantity = 'alliance' order by all"
    ) == [
        ("site-a", "t1", 2, 4, (1.5 + 4.5) / 2),
        ("site-a", "t2", 2, 4, (4 + 2) / 2),
        ("site-b", "t1", 2, 2, 3.5),
    ]


ONE_WAY = (
    "select n_groups, n0, ms_between, ms_within, share from marts.variance_share "
    "where site_id is null and rule_id = 'anova_therapist' and level = 'therapist'"
)


def test_a_therapist_is_one_at_each_site_unless_ids_are_shared(two: dict[bool, Lab]) -> None:
    (apart,), (shared,) = two[False].rows(ONE_WAY), two[True].rows(ONE_WAY)
    assert apart[:2] == (3, 2.0)
    assert apart[2] == pytest.approx(2 * (2 * (3 - 19 / 6) ** 2 + (3.5 - 19 / 6) ** 2) / 2)
    assert apart[3] == pytest.approx((4.5 + 2 + 0.5) / 3)
    assert shared[0] == 2
    assert shared[1] == pytest.approx(6 - (16 + 4) / 6)


def test_rows_of_a_site_are_about_its_own_therapists(two: dict[bool, Lab]) -> None:
    rows = two[False].rows(
        "select site_id, rule_id, n_groups, share is null from marts.variance_share "
        "where level = 'therapist' and rule_id in ('anova_therapist', 'reml_site') and quantity = 'alliance' order by all"
    )
    assert [row for row in rows if row[0] is not None] == [
        ("site-a", "anova_therapist", 2, False),
        ("site-b", "anova_therapist", 1, True),
    ]
    assert (None, "reml_site", 3, False) in rows


def test_shares_add_up_to_one(two: dict[bool, Lab]) -> None:
    grouped = two[False].rows(
        "select sum(share) from marts.variance_share group by site_id, quantity, instrument, version, rater, occasion, rule_id "
        "having count(share) > 0"
    )
    assert len(grouped) > 3
    assert all(math.isclose(total, 1, abs_tol=1e-9) for (total,) in grouped)
