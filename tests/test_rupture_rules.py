"""Rules for ruptures by rating against an oracle in plain Python, over series with gaps, ties, ceilings, and short ones."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import gamma, pi, sqrt
from pathlib import Path

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dyadlog.assets.warehouse import inputs
from dyadlog.assets.warehouse.models import models
from dyadlog.schemas.study import read_study

LEAST = 4  # ratings, by default
FORM_RANGE = 60 - 12
MODELS = (
    "intermediate.rating_course",
    "marts.rupture_reference",
    "intermediate.rupture_rating",
    "intermediate.rupture_by_rating",
    "intermediate.session_change",
    "intermediate.rupture_by_change",
    "marts.rupture_event",
)
# A rule that a study wrote for itself beside the usual ones.
OWN = """
ruptures:
  - {id: own, preset: drop_own_sd_k1, k: 0.5, window: 2, tolerance: 0.0, min_ratings: 2}
  - {id: frozen, preset: drop_mean_sd_k1, reference_sd: 4.0}
"""
USUAL = ("drop_own_sd_k1", "drop_own_sd_k2", "drop_mean_sd_k1", "drop_mean_sd_k2", "drop_stricter_sd_k1")
USUAL += (
    "drop_stricter_sd_k2",
    "chart_k1",
    "chart_k1.5",
    "chart_k2",
    "chart_k3",
    "chart_k2_qcc",
    "chart_k2_sd",
)
USUAL += ("sudden_drop", "fall_within_session", "fall_between_sessions")

# Session number -> rating before and after it; None where it was not given.
Series = dict[int, tuple[int | None, int | None]]


@dataclass(frozen=True)
class Found:
    """What a rule says of one session."""

    previous: int | None
    status: str
    repaired_in: int | None


# --- the oracle -----------------------------------------------------------------------------------


def outcome(good: list[tuple[int, bool]], window: int) -> tuple[str, int | None]:
    """Status from what follows: (session, whether it repairs), in order."""
    for session, repairs in good[:window]:
        if repairs:
            return "repaired", session
    return ("censored" if len(good) < window else "unrepaired"), None


def falls(
    points: list[tuple[int, int]], k: float, sd: float | None, window: int, tolerance: float
) -> Iterator[tuple[int, Found]]:
    """Falls from one rating to the next one there is."""
    for place in range(1, len(points)):
        (before, high), (session, low) = points[place - 1 : place + 1]
        if sd is None or not low < high or round(high - low - k * sd, 9) < 0:
            continue
        level = high - tolerance * k * sd
        later = [(s, round(y - level, 9) >= 0) for s, y in points[place + 1 :]]
        yield session, Found(before, *outcome(later, window))


def sudden(points: list[tuple[int, int]]) -> Iterator[tuple[int, Found]]:
    for place in range(1, len(points)):
        (before, high), (session, low) = points[place - 1 : place + 1]
        threshold = max(FORM_RANGE / 8, high / 10)
        if session == before + 1 and round(high - low - threshold, 9) >= 0:
            later = [(s, round(y - (high - threshold / 4), 9) >= 0) for s, y in points[place + 1 :]]
            yield session, Found(before, *outcome(later, 3))


def chart(points: list[tuple[int, int]], k: float, d2: float | None) -> Iterator[tuple[int, Found]]:
    """Sigma from the moving ranges, or (without d2) from the SD and its expected bias in normal data."""
    scores = [y for _, y in points]
    mean, n = statistics.fmean(scores), len(scores)
    if d2 is None:
        sigma = statistics.stdev(scores) / (sqrt(2 / (n - 1)) * gamma(n / 2) / gamma((n - 1) / 2))
    else:
        sigma = statistics.fmean(abs(b - a) for a, b in pairwise(scores)) / d2
    for place, (session, score) in enumerate(points):
        if round(mean - k * sigma - score, 9) > 0:
            later = [(s, round(y - mean, 9) >= 0) for s, y in points[place + 1 :]]
            yield session, Found(points[place - 1][0] if place else None, *outcome(later, 3))


def changes(series: Series, sd: float) -> Iterator[tuple[str, str, int, Found]]:
    """Falls within and between sessions, for courses with a spread of the ratings after sessions."""
    rated_before = sorted(s for s, (pre, _) in series.items() if pre is not None)
    rise = {s: post is not None and post > pre for s, (pre, post) in series.items() if pre is not None}
    for place, session in enumerate(rated_before):
        pre, post = series[session]
        assert pre is not None
        if post is not None and post < pre and round(pre - post - sd, 9) >= 0:
            later = [(s, rise[s]) for s in rated_before[place + 1 :]]
            yield "fall_within_session", "post_session", session, Found(session, *outcome(later, 3))
        earlier = [s for s in sorted(series) if s < session and series[s][1] is not None]
        if earlier:
            last = series[earlier[-1]][1]
            assert last is not None
            if last > pre and round(last - pre - sd, 9) >= 0:
                later = [(s, rise[s]) for s in rated_before[place + 1 :]]
                status, repaired = outcome(later, 3)
                if rise[session]:
                    status, repaired = "repaired", session
                yield "fall_between_sessions", "pre_session", session, Found(earlier[-1], status, repaired)


def spread(points: list[tuple[int, int]]) -> float | None:
    return statistics.stdev(y for _, y in points) if len(points) > 1 else None


def oracle(courses: list[Series]) -> dict[tuple[str, str, str, int], Found]:
    """(client, rule, occasion, session) -> what is said of it."""
    told: dict[tuple[str, str, str, int], Found] = {}
    for which, occasion in enumerate(("pre_session", "post_session")):
        all_points = [
            [(s, pair[which]) for s, pair in sorted(series.items()) if pair[which] is not None]
            for series in courses
        ]
        own = [spread(points) for points in all_points]  # type: ignore[arg-type]
        long = [
            sd for sd, points in zip(own, all_points, strict=True) if len(points) >= LEAST and sd is not None
        ]
        mean = statistics.fmean(long) if long else None
        for client, (points, sd) in enumerate(zip(all_points, own, strict=True)):
            found: list[tuple[str, tuple[int, Found]]] = []
            if len(points) >= 2:
                found += [("sudden_drop", one) for one in sudden(points)]  # type: ignore[arg-type]
                found += [("own", one) for one in falls(points, 0.5, sd, 2, 0.0)]  # type: ignore[arg-type]
            if len(points) >= LEAST:
                assert sd is not None
                assert mean is not None
                found += [("frozen", one) for one in falls(points, 1, 4.0, 3, 0.25)]  # type: ignore[arg-type]
                for k in (1, 2):
                    for name, size in (("own", sd), ("mean", mean), ("stricter", max(sd, mean))):
                        some = falls(points, k, size, 3, 0.25)  # type: ignore[arg-type]
                        found += [(f"drop_{name}_sd_k{k}", one) for one in some]
                for k in (1, 1.5, 2, 3):
                    some = chart(points, k, 2 / sqrt(pi))  # type: ignore[arg-type]
                    found += [(f"chart_k{k}", one) for one in some]
                found += [("chart_k2_qcc", one) for one in chart(points, 2, 1.128)]  # type: ignore[arg-type]
                found += [("chart_k2_sd", one) for one in chart(points, 2, None)]  # type: ignore[arg-type]
            told |= {(f"c{client}", rule, occasion, session): what for rule, (session, what) in found}
    for client, series in enumerate(courses):
        after = [(s, post) for s, (_, post) in sorted(series.items()) if post is not None]
        sd = spread(after)
        if len(after) >= LEAST and sd is not None:
            for rule, occasion, session, what in changes(series, sd):
                told[f"c{client}", rule, occasion, session] = what
    return told


# --- the product ----------------------------------------------------------------------------------


TEXTS = (
    "site_id",
    "client_id",
    "therapist_id",
    "episode_id",
    "rater",
    "instrument",
    "version",
    "occasion",
    "scale",
)
RATING = [(name, "varchar") for name in TEXTS]
RATING += [("session_number", "bigint"), ("score", "double"), ("event_id", "varchar")]
EPISODE = [*RATING[:4], ("session_number", "bigint")]
REPORT = [*EPISODE, *((name, "varchar") for name in ("rule_id", "source", "basis"))]
REPORT += [
    *((name, "varchar") for name in ("instrument", "version", "occasion", "event_id")),
    ("intensity", "double"),
]
REPORT += [(name, "bigint") for name in ("previous_session_number", "repair_session_number")]
REPORT += [(name, "integer") for name in ("session_gap", "repair_window", "n_followed")]

Product = Callable[[list[Series]], dict[tuple[str, str, str, int], Found]]


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    """What the models say of ratings: tables in, tables out."""
    folder: Path = tmp_path_factory.mktemp("rules")
    usual = "".join(f"  - {{id: {name}, preset: {name}}}\n" for name in USUAL)
    words = f"study: rules\ntitle: Rules\nsites: [{{id: a}}]\n{OWN}{usual}"
    (folder / "study.yaml").write_text(words + "alliance: {established: {unless: own}}\n")
    with duckdb.connect() as duck:
        inputs.load_study(duck, read_study(folder))
        duck.execute("create schema intermediate; create schema marts")
        tables = {"intermediate.rating": RATING, "intermediate.rupture_by_report": REPORT}
        for name, columns in tables.items():
            duck.execute(f"create table {name} ({', '.join(f'{c} {kind}' for c, kind in columns)})")

        def said(courses: list[Series]) -> dict[tuple[str, str, str, int], Found]:
            duck.execute("delete from intermediate.rating")
            form = ("client", "wai-sr", "client-1-5")
            rows = [
                ("a", f"c{client}", None, "1", *form, occasion, "total", session, score, "e")
                for client, series in enumerate(courses)
                for session, pair in series.items()
                for occasion, score in zip(("pre_session", "post_session"), pair, strict=True)
                if score is not None
            ]
            if rows:
                duck.executemany(
                    f"insert into intermediate.rating values ({', '.join('?' * len(RATING))})", rows
                )
            for name in MODELS:
                duck.execute(f"create or replace table {name} as {models()[name].sql}")
            found = duck.execute(
                "select client_id, rule_id, occasion, session_number, previous_session_number, status, repair_session_number "
                "from marts.rupture_event"
            ).fetchall()
            assert len(found) == len({row[:4] for row in found})
            return {row[:4]: Found(*row[4:]) for row in found}

        yield said


rating = st.one_of(st.integers(12, 60), st.sampled_from([60, 60, 48, 54, 36, 12]))
session = st.tuples(st.one_of(st.none(), st.none(), rating), st.one_of(st.none(), rating, rating))
# Gaps of the numbers; ratings are missing besides.
series = st.lists(st.tuples(st.integers(1, 3), session), max_size=12).map(
    lambda steps: {sum(gap for gap, _ in steps[: place + 1]): pair for place, (_, pair) in enumerate(steps)}
)


@settings(max_examples=60)
@given(st.lists(series, min_size=1, max_size=8))
@example([{n: (None, y) for n, y in enumerate((60, 60, 60, 60, 48, 60))}])
@example([{n: (None, y) for n, y in enumerate((40, 44, 40, 44, 40, 44))}])  # falls of exactly so many SD
@example([{1: (None, 50), 2: (None, 38)}, {}, {3: (40, 20)}])
@example([{1: (50, 40), 2: (30, 44), 4: (40, 41), 7: (60, 12), 8: (12, 60)}])
def test_every_rule_finds_what_the_oracle_finds(product: Product, courses: list[Series]) -> None:
    expected, found = oracle(courses), product(courses)
    assert found.keys() == expected.keys()
    assert {key: (found[key], one) for key, one in expected.items() if found[key] != one} == {}


def test_the_oracle_knows_a_rupture_and_its_repair() -> None:
    """So that the two do not agree on nothing: rules find 12 points as V, and the same unrepaired and censored."""
    shapes = [(50, 50, 38, 50, 50, 50), (50, 50, 38, 38, 38, 38), (50, 50, 50, 50, 38, 38)]
    told = oracle([{n: (None, y) for n, y in enumerate(shape, 1)} for shape in shapes])
    assert [
        (client, session, told[client, "drop_own_sd_k1", "post_session", session].status)
        for client, rule, _, session in told
        if rule == "drop_own_sd_k1"
    ] == [("c0", 3, "repaired"), ("c1", 3, "unrepaired"), ("c2", 5, "censored")]
    assert len({rule for _, rule, _, _ in told}) > 8
