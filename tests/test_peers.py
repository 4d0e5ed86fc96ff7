"""A site beside the others and beside its own past: funnel limits, accrual, nothing that unmasks a peer."""

from __future__ import annotations

import math

import duckdb
import pytest

from dyadlog.assets.quality.peers import Band, Place, Standing, Trend, standings
from dyadlog.assets.quality.record import Record, Share
from dyadlog.assets.warehouse.models import models
from tests.test_life import night

TENTH = Band(sites=7, low=0.05, middle=0.1, high=0.2, pooled=0.1)


def standing(
    n: int, of: int, band: Band | None = TENTH, past: list[tuple[int, int]] | None = None
) -> Standing:
    earlier: list[Record] = []
    for nth, (before, of_before) in enumerate(past or [], 1):
        one = night(nth, ".")
        one.shares.append(Share("lines_held_back", before, of_before))
        earlier.append(one)
    bands = {"lines_held_back": band} if band else {}
    found = standings([Share("lines_held_back", n, of)], bands, earlier, least=20)
    return next(one for one in found if one.indicator == "lines_held_back")


# With p = 0.1 and n = 900 one standard error is 0.01; limits are wider by half a percent, the rounding of p.
@pytest.mark.parametrize(
    ("n", "of", "place"),
    [
        (0, 0, "nothing"),
        (19, 19, "too_few"),
        (90, 900, "as_others"),
        (110, 900, "as_others"),  # 0.122 < 0.1 + 1.96 x 0.01 + 0.005
        (113, 900, "high"),
        (122, 900, "high"),  # 0.1356 < 0.1 + 3.09 x 0.01 + 0.005
        (123, 900, "very_high"),
        (67, 900, "low"),
        (57, 900, "very_low"),
    ],
)
def test_place_by_funnel_limits(n: int, of: int, place: Place) -> None:
    assert standing(n, of).place == place
    assert standing(n, of).asks == (place == "very_high")


def test_limits_are_those_of_a_funnel_plot() -> None:
    low, high = standing(90, 900).limits or (0, 0)
    assert low == pytest.approx(0.1 - 3.09 * math.sqrt(0.1 * 0.9 / 900) - 0.005, abs=1e-4)
    assert high == pytest.approx(0.1 + 3.09 * math.sqrt(0.1 * 0.9 / 900) + 0.005, abs=1e-4)
    assert standing(90, 900, band=None).limits is None
    assert standing(90, 900, band=None).place == "withheld"


@pytest.mark.parametrize(
    ("past", "trend"),
    [
        ([], "unknown"),
        ([(90, 890)], "unknown"),  # ten more are too few
        ([(80, 800)], "as_before"),
        ([(40, 800)], "higher"),  # 5 % until then, half of the last hundred
        ([(90, 600)], "lower"),
        ([(40, 800), (85, 890)], "higher"),  # the newest part that can be judged
        ([(95, 800)], "unknown"),  # corrected since: no newest part
        ([(1, 10)], "unknown"),  # too little before
    ],
)
def test_trend_against_the_own_past(past: list[tuple[int, int]], trend: Trend) -> None:
    assert standing(90, 900, past=past).trend == trend


def peers(*sites: tuple[int, int]) -> dict[str, tuple[float | None, ...]]:
    """`quality.peer` over some sites."""
    with duckdb.connect() as duck:
        duck.execute("create schema quality")
        duck.execute("create schema study")
        duck.execute("create table study.threshold as select 20 as peers_min, 5 as peers_sites")
        duck.execute(
            "create table quality.indicator (site_id varchar, indicator varchar, n bigint, n_denominator bigint)"
        )
        duck.executemany(
            "insert into quality.indicator values (?, 'x', ?, ?)",
            [(f"s{nth}", *figures) for nth, figures in enumerate(sites)],
        )
        rows = duck.execute(
            f"select site_id, n_peers, share_low, share_middle, share_high, share_pooled from ({models()['quality.peer'].sql})"
        ).fetchall()
        return {site: tuple(figures) for site, *figures in rows}


def test_the_others_are_withheld_below_five() -> None:
    enough = (10, 100)
    nothing = (None, None, None, None)
    assert peers(enough, enough, enough, enough, enough)["s0"] == (4, *nothing)
    assert peers(*[enough] * 6)["s0"] == (5, 0.1, 0.1, 0.1, 0.1)
    # A site with too little is no peer; it may look at the others all the same.
    found = peers(*[enough] * 5, (1, 19))
    assert found["s0"] == (4, *nothing)
    assert found["s5"] == (5, 0.1, 0.1, 0.1, 0.1)


def test_the_band_is_of_the_others_and_in_whole_percents() -> None:
    found = peers((0, 100), (14, 700), (14, 100), (15, 101), (33, 100), (53, 99), (99, 100))
    n, *shares = found["s6"]
    assert n == 6
    assert shares == [
        0.01,
        0.14,
        0.43,
        0.11,
    ]  # (0 + .02) / 2; (.14 + .1485) / 2; (.33 + .5354) / 2; 129 / 1200
    assert all(share == round(share, 2) for share in shares if share is not None)
