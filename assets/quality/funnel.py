"""Funnel plots as small inline SVG: the share of each site against how much it rests on (Spiegelhalter 2005, Stat Med 24:1185).

For the study team only: sites that stand out bear their names.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from dyadlog.assets.quality.chart import BAD, INK, MUTED, PAPER, RULE, SOFT, as_inline, drawing_settings
from dyadlog.assets.quality.study import LIMIT, Funnel, Point
from dyadlog.assets.quality.words import number, percent

# Of so many sites on there is a spread to see.
LEAST_SITES = 3
NAMED = 6
_STANDS_OUT = ("high", "low")


def drawn_points(funnel: Funnel) -> list[Point]:
    """The sites that have enough to be compared."""
    return [point for point in funnel.points if point.place not in ("nothing", "too_few")]


def draw(funnel: Funnel) -> str | None:
    """The drawing; None if there are too few sites with enough, or nothing to see because nothing was ever counted."""
    points = drawn_points(funnel)
    if len(points) < LEAST_SITES or not funnel.n:
        return None
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context(drawing_settings()):
        figure = Figure(figsize=(4.1, 2.35), facecolor="none")
        FigureCanvasSVG(figure)
        axes = figure.add_axes((0.105, 0.13, 0.87, 0.82))
        axes.set_facecolor("none")
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set_color(RULE)
        axes.tick_params(length=0, colors=MUTED)
        axes.yaxis.grid(visible=True, color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        largest, middle = max(point.of for point in points), funnel.n / funnel.of
        least = min(point.of for point in points)
        at = [least * (1.12 * largest / least) ** (step / 40) for step in range(41)]
        wide: list[float] = []
        for z, style in ((1.96, "-"), (LIMIT, (0, (4, 2)))):
            half = [z * math.sqrt(middle * (1 - middle) / of) for of in at]
            low, high = ([min(1.0, max(0.0, middle + sign * h)) for h in half] for sign in (-1, 1))
            axes.plot(at, low, color=MUTED, linewidth=0.8, linestyle=style)
            axes.plot(at, high, color=MUTED, linewidth=0.8, linestyle=style)
            wide = high
        axes.axhline(middle, color=MUTED, linewidth=0.8)
        inside = [point for point in points if point.place not in _STANDS_OUT]
        outside = [point for point in points if point.place in _STANDS_OUT]
        for group, face, edge, mark in ((inside, SOFT, INK, "o"), (outside, BAD, PAPER, "D")):
            if group:
                axes.scatter(
                    [point.of for point in group],
                    [point.n / point.of for point in group],
                    s=22,
                    marker=mark,
                    facecolor=face,
                    edgecolor=edge,
                    linewidth=0.7,
                    zorder=3,
                    clip_on=False,
                )
        top = max([*(point.n / point.of for point in points), *wide[-20:]])
        whole = min(1.0, 1.08 * top)
        axes.set_ylim(0 if min(p.n / p.of for p in points) < 0.5 * top else None, whole * 1.02)
        axes.set_xscale("log")
        axes.set_xlim(least * 0.93, at[-1])
        axes.minorticks_off()
        marks = _round_figures(least, largest)
        axes.set_xticks(marks, [number(mark) for mark in marks])
        low, high = axes.get_ylim()
        shown = [low + (high - low) * part for part in (0, 0.5, 0.98)]
        axes.set_yticks(shown, [percent(round(max(0.0, share), 3)) for share in shown])
        for point in sorted(outside, key=lambda p: -abs(p.n / p.of - middle) * math.sqrt(p.of))[:NAMED]:
            share, late = point.n / point.of, math.log(point.of / least) > 0.7 * math.log(at[-1] / least)
            axes.annotate(
                point.site_id,
                (point.of, share),
                xytext=(-5 if late else 5, 3),
                textcoords="offset points",
                ha="right" if late else "left",
                color=INK,
            )
        return as_inline(figure, funnel.indicator)


def _round_figures(least: int, largest: int) -> list[int]:
    """One to four round figures between two."""
    found = [step * 10**power for power in range(9) for step in (1, 2, 5)]
    inside = [figure for figure in found if least <= figure <= largest]
    return inside[:: -(-len(inside) // 4)] if inside else [least]


def standing_out(points: Sequence[Point]) -> list[str]:
    """Sites that stand out, in the order of study.yaml."""
    return [point.site_id for point in points if point.place in _STANDS_OUT]
