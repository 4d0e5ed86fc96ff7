"""The least of a function, without a gradient: estimates may lie at the border of what is allowed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

_STEPS = 1000


def least(what: Callable[[Sequence[float]], float], start: tuple[float, ...]) -> tuple[float, ...] | None:
    """Where a function is least (Nelder & Mead 1965), begun anew at its answer until that moves no more.

    Returns:
        the place; None where the function has no finite value.
    """
    found, best = start, what(start)
    for _ in range(20):
        corner = _simplex(what, found)
        value = what(corner)
        moved = max(abs(a - b) for a, b in zip(corner, found, strict=True))
        found, gained, best = corner, best - value, value
        if not math.isfinite(best):
            return None
        if moved < 1e-7 and gained < 1e-10:
            return found
    return None


def _simplex(what: Callable[[Sequence[float]], float], start: tuple[float, ...]) -> tuple[float, ...]:
    size = len(start)
    points = [start] + [
        tuple(x + 0.1 * (place == axis) for place, x in enumerate(start)) for axis in range(size)
    ]
    corners = sorted((what(point), point) for point in points)
    for _ in range(_STEPS):
        if max(abs(a - b) for _, p in corners[1:] for a, b in zip(p, corners[0][1], strict=True)) < 1e-9:
            break
        middle = [sum(p[axis] for _, p in corners[:-1]) / size for axis in range(size)]
        worst = corners[-1][1]

        def toward(
            far: float, middle: list[float] = middle, worst: tuple[float, ...] = worst
        ) -> tuple[float, tuple[float, ...]]:
            point = tuple(m + far * (w - m) for m, w in zip(middle, worst, strict=True))
            return what(point), point

        tried = toward(-1)
        if tried[0] < corners[0][0]:
            tried = min(tried, toward(-2))
        elif tried[0] >= corners[-2][0]:
            tried = min(toward(0.5), toward(-0.5))
        if tried[0] < corners[-1][0]:
            corners[-1] = tried
        else:
            best = corners[0][1]
            corners[1:] = [
                (what(point), point)
                for _, p in corners[1:]
                for point in [tuple((a + b) / 2 for a, b in zip(p, best, strict=True))]
            ]
        corners.sort()
    return corners[0][1]
