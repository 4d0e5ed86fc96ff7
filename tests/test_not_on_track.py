"""The project's own signal: a client against the others of his third, himself left out."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from tests.reference.case import Case

# first score and score at session 3: three thirds of three clients each; equal first scores stay together
COURSES = {
    "a1": (10, 8),
    "a2": (10, 7),
    "a3": (11, 18),
    "b1": (20, 15),
    "b2": (20, 16),
    "b3": (20, 14),
    "c1": (30, 20),
    "c2": (31, 25),
    "c3": (32, 24),
}


def test_a_client_is_compared_with_the_others_of_his_third(tmp_path: Path) -> None:
    limits = {"not_on_track_z": 1.5, "not_on_track_min": 2}
    case = Case(tmp_path, {"measure": ("outcome", "lower")}, thresholds=limits)
    for nth, (name, (first, third)) in enumerate(COURSES.items()):
        site = f"site-{nth % 2}"
        case.score(site, name, "measure", "intake", first)
        case.score(site, name, "measure", 3, third)
    lab = case.night()
    found = {
        row[0]: row[1:]
        for row in lab.rows(
            "select client_id, rule_id, first_third, improvement, n_others, others_mean, others_sd, is_not_on_track "
            "from marts.not_on_track_local"
        )
    }
    assert set(found) == set(COURSES)
    gains = {name: first - third for name, (first, third) in COURSES.items()}
    for name, (rule, third, gain, n, mean, sd, alarm) in found.items():
        others = [gains[other] for other in COURSES if other[0] == name[0] and other != name]
        assert (rule, third, gain, n) == ("local_z1.5", "abc".index(name[0]) + 1, gains[name], 2)
        assert mean == pytest.approx(statistics.mean(others), abs=1e-9)
        assert sd == pytest.approx(statistics.stdev(others), abs=1e-9)
        assert alarm is (gain < statistics.mean(others) - 1.5 * statistics.stdev(others))
    assert found["a3"][-1] is True
    assert found["a1"][-1] is False


def test_with_too_few_others_nothing_is_said(tmp_path: Path) -> None:
    case = Case(tmp_path, {"measure": ("outcome", "lower")})
    for name, (first, third) in COURSES.items():
        case.score("site-a", name, "measure", "intake", first)
        case.score("site-a", name, "measure", 3, third)
    lab = case.night()
    assert lab.rows("select distinct n_others, is_not_on_track from marts.not_on_track_local") == [(2, None)]
