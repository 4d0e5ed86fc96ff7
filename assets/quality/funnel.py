"""Funnel plots as small inline SVG: the share of each site against how much it rests on (Spiegelhalter 2005, Stat Med 24:1185).

For the study team only: sites that stand out bear their names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dyadlog.assets.pictures.canvas import BAD, INK, MUTED, PAPER, SOFT, figure, inline, quiet
from dyadlog.assets.quality.study import LIMIT, Funnel, Point
from dyadlog.assets.quality.words import number, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Of so many sites on there is a spread to see.
LEAST_SITES = 3
NAMED = 6
_STEPS = 40
_STANDS_OUT = ("high", "low")


def drawn_points(funnel: Funnel) -> list[Point]:
    """The sites that have enough to be compared."""
    return [point for point in funnel.points if point.place not in ("nothing", "too_few")]


def draw(funnel: Funnel) -> str | None:
    """The drawing; None if there are too few sites with enough, or nothing to see because nothing was ever counted."""
    points = drawn_points(funnel)
    if len(points) < LEAST_SITES or not funnel.n:
        return None
    with figure(2.35, 4.1) as drawn:
        axes = quiet(drawn.add_axes((0.105, 0.13, 0.87, 0.82)))
        axes.set_xscale("log")
        axes.minorticks_off()
        limit = _lines(axes, points, funnel.n / funnel.of)
        _scales(axes, points, limit)
        for group, face, edge, mark in (
            ([point for point in points if point.place == "inside"], SOFT, INK, "o"),
            ([point for point in points if point.place in _STANDS_OUT], BAD, PAPER, "D"),
        ):
            places = [point.of for point in group], [point.n / point.of for point in group]
            look: dict[str, Any] = {"facecolor": face, "edgecolor": edge, "marker": mark, "clip_on": False}
            axes.scatter(*places, s=22, linewidth=0.7, zorder=3, **look)
        _names(axes, points, funnel.n / funnel.of)
        return inline(drawn, funnel.indicator)


def _lines(axes: Axes, points: Sequence[Point], middle: float) -> float:
    """The share of all sites and its limits; gives the upper limit half way along the axis."""
    least, largest = min(point.of for point in points), max(point.of for point in points)
    at = [least * (1.12 * largest / least) ** (step / _STEPS) for step in range(_STEPS + 1)]
    half = [math.sqrt(middle * (1 - middle) / of) for of in at]
    style: dict[str, Any] = {"color": MUTED, "linewidth": 0.8}
    for z, dashes in ((1.96, "-"), (LIMIT, (0, (4, 2)))):
        for sign in (-1, 1):
            edge = [min(1.0, max(0.0, middle + sign * z * h)) for h in half]
            axes.plot(at, edge, linestyle=dashes, **style)
    axes.axhline(middle, **style)
    axes.set_xlim(least * 0.93, at[-1])
    marks = _round_figures(least, largest)
    axes.set_xticks(marks, [number(mark) for mark in marks])
    return min(1.0, middle + LIMIT * half[_STEPS // 2])


def _scales(axes: Axes, points: Sequence[Point], limit: float) -> None:
    """From nothing, unless all shares are large, to a little more than the largest."""
    shares = [point.n / point.of for point in points]
    top = max([*shares, limit])
    bottom = 0.0 if min(shares) < 0.5 * top else 0.85 * min(shares)
    axes.set_ylim(bottom, min(1.02, 1.1 * top))
    shown = [bottom + (min(1.0, 1.08 * top) - bottom) * part for part in (0, 0.5, 1)]
    axes.set_yticks(shown, [percent(round(share, 3)) for share in shown])


def _names(axes: Axes, points: Sequence[Point], middle: float) -> None:
    """Names beside the sites that stand out most."""
    outside = [point for point in points if point.place in _STANDS_OUT]
    low, high = axes.get_xlim()
    for point in sorted(outside, key=lambda p: -abs(p.n / p.of - middle) * math.sqrt(p.of))[:NAMED]:
        is_right = math.log(point.of / low) > 0.7 * math.log(high / low)
        axes.annotate(
            point.site_id,
            (point.of, point.n / point.of),
            xytext=(-5 if is_right else 5, 3),
            textcoords="offset points",
            ha="right" if is_right else "left",
            color=INK,
        )


def _round_figures(least: int, largest: int) -> list[int]:
    """One to four round figures between two."""
    found = [step * 10**power for power in range(9) for step in (1, 2, 5)]
    inside = [figure for figure in found if least <= figure <= largest]
    return inside[:: -(-len(inside) // 4)] if inside else [least]


def standing_out(points: Sequence[Point]) -> list[str]:
    """Sites that stand out, in the order of study.yaml."""
    return [point.site_id for point in points if point.place in _STANDS_OUT]
