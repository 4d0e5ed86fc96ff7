"""Second-order regression of an outcome on two ratings, for response surfaces; called by SQL (`-- python:` in the header)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

Figures = dict[str, float | str]
Matrix = list[list[float]]

TERMS = ("b0", "b1", "b2", "b3", "b4", "b5")
# Slopes and curvatures of the lines of congruence (a1, a2) and incongruence (a3, a4), and the difference a5 of the curvatures
# along the two ratings, as sums of b0 to b5.
SURFACE = {
    "a1": (0, 1, 1, 0, 0, 0),
    "a2": (0, 0, 0, 1, 1, 1),
    "a3": (0, 1, -1, 0, 0, 0),
    "a4": (0, 0, 0, 1, -1, 1),
    "a5": (0, 0, 0, 1, 0, -1),
}


def response_surface(
    z: Sequence[float], x: Sequence[float], y: Sequence[float], center: float
) -> list[Figures]:
    """Z = b0 + b1 x + b2 y + b3 x^2 + b4 x y + b5 y^2 by least squares, with x and y less one common value.

    Solved about the mean of both ratings in units of their common spread, where the sums are well conditioned, and moved
    to the center asked for by an exact change of coordinates. Sums are exact (fsum), so the order of rows is of no account.

    Args:
        z: outcomes.
        x: ratings of the client.
        y: ratings of the therapist, on the same range.
        center: the value that both ratings are taken less of.

    Returns:
        one entry per parameter (b0 to b5, a1 to a5): parameter, estimate, se, and of the whole fit r2 and sigma; none where
        there are fewer than seven rows or the ratings do not tell the terms apart.
    """
    n = len(z)
    if n <= len(TERMS):
        return []
    middle = math.fsum([*x, *y]) / (2 * n)
    unit = math.sqrt(math.fsum((value - middle) ** 2 for value in (*x, *y)) / (2 * n))
    if unit == 0:
        return []
    rows = [_terms((a - middle) / unit, (b - middle) / unit) for a, b in zip(x, y, strict=True)]
    level = math.fsum(z) / n
    rest = [value - level for value in z]
    cross = [[math.fsum(r[i] * r[j] for r in rows) for j in range(6)] for i in range(6)]
    inverse = _inverse(cross)
    if inverse is None:
        return []
    told = [math.fsum(r[i] * value for r, value in zip(rows, rest, strict=True)) for i in range(6)]
    found = [math.fsum(a * b for a, b in zip(line, told, strict=True)) for line in inverse]
    errors = [
        value - math.fsum(a * b for a, b in zip(row, found, strict=True))
        for row, value in zip(rows, rest, strict=True)
    ]
    left = math.fsum(e * e for e in errors)
    whole = math.fsum(value * value for value in rest)
    variance = left / (n - 6)
    moved = _moved((center - middle) / unit, unit)
    estimates = _times(moved, found)
    estimates[0] += level
    spread = _between(moved, inverse)
    fit = {"r2": 1 - left / whole if whole else 0.0, "sigma": math.sqrt(variance)}
    sums = {name: [float(i == place) for i in range(6)] for place, name in enumerate(TERMS)}
    sums |= {name: [float(part) for part in parts] for name, parts in SURFACE.items()}
    return [
        {
            "parameter": name,
            "estimate": math.fsum(a * b for a, b in zip(parts, estimates, strict=True)),
            "se": math.sqrt(max(0.0, variance * _form(parts, spread))),
            **fit,
        }
        for name, parts in sums.items()
    ]


def _terms(u: float, v: float) -> tuple[float, ...]:
    return (1.0, u, v, u * u, u * v, v * v)


def _moved(c: float, unit: float) -> Matrix:
    """From the coefficients about the middle, in units, to those about `c`, in scale points.

    u = c + (x - center) / unit, likewise v: each power is written out.
    """
    s, q = 1 / unit, 1 / unit**2
    return [
        [1.0, c, c, c * c, c * c, c * c],
        [0.0, s, 0.0, 2 * c * s, c * s, 0.0],
        [0.0, 0.0, s, 0.0, c * s, 2 * c * s],
        [0.0, 0.0, 0.0, q, 0.0, 0.0],
        [0.0, 0.0, 0.0, 0.0, q, 0.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, q],
    ]


def _times(matrix: Matrix, vector: Sequence[float]) -> list[float]:
    return [math.fsum(a * b for a, b in zip(line, vector, strict=True)) for line in matrix]


def _form(parts: Sequence[float], matrix: Matrix) -> float:
    return math.fsum(a * b for a, b in zip(parts, _times(matrix, parts), strict=True))


def _between(outer: Matrix, inner: Matrix) -> Matrix:
    """Outer inner outer'."""
    half = [_times(inner, line) for line in outer]
    return [[math.fsum(a * b for a, b in zip(h, line, strict=True)) for line in outer] for h in half]


def _inverse(matrix: Matrix) -> Matrix | None:
    """Inverse by Gauss and Jordan with the largest pivot; None where there is none."""
    size = len(matrix)
    work = [[*row, *(float(i == j) for j in range(size))] for i, row in enumerate(matrix)]
    largest = max(abs(value) for row in matrix for value in row)
    for column in range(size):
        best = max(range(column, size), key=lambda line: abs(work[line][column]))
        if abs(work[best][column]) <= 1e-10 * largest:
            return None
        work[column], work[best] = work[best], work[column]
        pivot = work[column][column]
        work[column] = [value / pivot for value in work[column]]
        for line in range(size):
            if line != column and (by := work[line][column]):
                work[line] = [a - by * b for a, b in zip(work[line], work[column], strict=True)]
    return [row[size:] for row in work]


_FIGURES = "STRUCT(parameter VARCHAR, estimate DOUBLE, se DOUBLE, r2 DOUBLE, sigma DOUBLE)[]"
# Function, types of what it takes, type of what it gives.
SURFACE_STEP: tuple[Callable[..., object], tuple[str, ...], str] = (
    response_surface,
    ("DOUBLE[]", "DOUBLE[]", "DOUBLE[]", "DOUBLE"),
    _FIGURES,
)
