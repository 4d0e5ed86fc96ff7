"""Second-order regression of an outcome on two ratings, for response surfaces; called by SQL (`-- python:` in the header)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations_with_replacement

import numpy as np

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
    z: Sequence[float], x: Sequence[float], y: Sequence[float], names: Sequence[str], centers: Sequence[float]
) -> list[Figures]:
    """Z = b0 + b1 x + b2 y + b3 x^2 + b4 x y + b5 y^2 by least squares, with x and y less one common value.

    Solved about the mean of both ratings in units of their common spread, where the sums are well conditioned, and moved
    to the center asked for by an exact change of coordinates. Sums are exact (fsum), so the order of rows is of no account.

    Args:
        z: outcomes.
        x: ratings of the client.
        y: ratings of the therapist, on the same range.
        names: of the ways to center; the surface is one and the same.
        centers: for each the value that both ratings are taken less of.

    Returns:
        one entry per way to center and parameter (b0 to b5, a1 to a5): centering, center, parameter, estimate, se, and of the
        whole fit r2 and sigma; none where there are fewer than seven rows or the ratings do not tell the terms apart.
    """
    n = len(z)
    if n <= len(TERMS):
        return []
    ratings, outcomes = np.array([x, y], np.float64), np.array(z, np.float64)
    middle = math.fsum(ratings.ravel()) / (2 * n)
    unit = math.sqrt(math.fsum((ratings.ravel() - middle) ** 2) / (2 * n))
    if unit == 0:
        return []
    u, v = (ratings - middle) / unit
    terms = [np.ones(n), u, v, u * u, u * v, v * v]
    level = math.fsum(outcomes) / n
    rest = outcomes - level
    cross = [[0.0] * 6 for _ in range(6)]
    for i, j in combinations_with_replacement(range(6), 2):
        cross[i][j] = cross[j][i] = math.fsum(terms[i] * terms[j])
    inverse = _inverse(cross)
    if inverse is None:
        return []
    told = [math.fsum(term * rest) for term in terms]
    found = [math.fsum(a * b for a, b in zip(line, told, strict=True)) for line in inverse]
    errors = rest
    for term, weight in zip(terms, found, strict=True):
        errors = errors - weight * term
    left = math.fsum(errors * errors)
    whole = math.fsum(rest * rest)
    variance = left / (n - 6)
    fit = {"r2": 1 - left / whole if whole else 0.0, "sigma": math.sqrt(variance)}
    sums = {name: [float(i == place) for i in range(6)] for place, name in enumerate(TERMS)}
    sums |= {name: [float(part) for part in parts] for name, parts in SURFACE.items()}
    told_of: list[Figures] = []
    for centering, center in zip(names, centers, strict=True):
        moved = _moved((center - middle) / unit, unit)
        estimates = _times(moved, found)
        estimates[0] += level
        spread = _between(moved, inverse)
        told_of += [
            {
                "centering": centering,
                "center": center,
                "parameter": name,
                "estimate": math.fsum(a * b for a, b in zip(parts, estimates, strict=True)),
                "se": math.sqrt(max(0.0, variance * _form(parts, spread))),
                **fit,
            }
            for name, parts in sums.items()
        ]
    return told_of


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


_FIGURES = "STRUCT(centering VARCHAR, center DOUBLE, parameter VARCHAR, estimate DOUBLE, se DOUBLE, r2 DOUBLE, sigma DOUBLE)[]"
# Function, types of what it takes, type of what it gives.
SURFACE_STEP: tuple[Callable[..., object], tuple[str, ...], str] = (
    response_surface,
    ("DOUBLE[]", "DOUBLE[]", "DOUBLE[]", "VARCHAR[]", "DOUBLE[]"),
    _FIGURES,
)
