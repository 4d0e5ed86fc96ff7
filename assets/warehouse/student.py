"""The t distribution, the normal distribution, and least squares with tests of its terms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np

from dyadlog.assets.warehouse.elimination import solve

Terms = list[dict[str, str | float | int | None]]

Floats = np.ndarray[tuple[int], np.dtype[np.float64]]

INTERCEPT = "intercept"
_DIGITS = 12
TERMS = "STRUCT(term VARCHAR, n_clients INTEGER, estimate DOUBLE, se DOUBLE, df INTEGER, p DOUBLE)[]"


class _Group:
    """A column that is one for the members of a group and zero for the others, standardised, without being written out.

    Args:
        is_member: of each client.
    """

    def __init__(self, is_member: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> None:
        n = len(is_member)
        self.members = np.flatnonzero(is_member)
        self.mean = len(self.members) / n if n else 0.0
        self.sd = math.sqrt(n * self.mean * (1 - self.mean) / (n - 1)) if n > 1 else 0.0
        self.n = n


Column = Floats | _Group


def t_quantile(df: int) -> float:
    """The value that t exceeds with a chance of 2.5 %, to twelve decimals; no end without degrees of freedom."""
    from scipy.special import stdtrit

    return round(float(stdtrit(df, 0.975)), _DIGITS) if df > 0 else math.inf


def beyond_t(t: float, df: int) -> float:
    """Chance of a t further from zero, on either side, to ten digits; 1 without degrees of freedom."""
    from scipy.special import stdtr

    return float(f"{2 * stdtr(df, -abs(t)):.10g}") if df > 0 else 1.0


def normal_below(z: float) -> float:
    """Share of the normal distribution below a value."""
    return math.erfc(-z / math.sqrt(2)) / 2


def least_squares(
    outcome: Sequence[float],
    names: Sequence[str],
    predictors: Sequence[Sequence[float]],
    factors: Sequence[str],
    groups: Sequence[Sequence[str]],
) -> Terms:
    """Ordinary least squares of outcome = intercept + predictors + groups against the first of each factor.

    Everything is standardised; sums are exact (`math.fsum`), so that no order of threads or rows shows in them, and what is
    given is rounded to twelve decimals of that scale.

    Args:
        outcome: of each client.
        names: names of the k predictors.
        predictors: their values for each client, n x k.
        factors: names of the factors, say `site`.
        groups: group of each client by each factor, n x factors.

    Returns:
        `intercept`, the predictors, and `<factor> <group>` for each group but the first, with estimate, standard error,
        residual degrees of freedom and two-sided p; estimates are empty where terms determine each other or clients are
        too few.
    """
    n = len(outcome)
    kinds = [
        (f"{factor} {group}", _Group(np.array([row[place] == group for row in groups])))
        for place, factor in enumerate(factors)
        for group in sorted({row[place] for row in groups})[1:]
    ]
    terms = [INTERCEPT, *names, *(name for name, _ in kinds)]
    df = n - len(terms)
    nothing: Terms = [
        {"term": term, "n_clients": n, "estimate": None, "se": None, "df": None, "p": None} for term in terms
    ]
    parts = [
        _standard(outcome),
        *(_standard([row[place] for row in predictors]) for place in range(len(names))),
    ]
    sds = [sd for _, _, sd in parts[1:]] + [group.sd for _, group in kinds]
    if df < 1 or parts[0][2] == 0 or 0 in sds:
        return nothing
    (y, mean_y, sd_y), *rest = parts
    x: list[Column] = [values for values, _, _ in rest]
    x += [group for _, group in kinds]
    size = len(x)
    matrix = np.eye(size) * (n - 1)
    for a, b in combinations(range(size), 2):
        matrix[a, b] = matrix[b, a] = _cross(x[a], x[b])
    right = np.column_stack([np.array([_cross(y, own) for own in x]), np.eye(size)])
    solved = solve(matrix, right)
    if solved is None:
        return nothing
    beta, inverse = solved[:, 0], solved[:, 1:]
    fitted = np.zeros(n)
    for own, weight in zip(x, beta, strict=True):
        if isinstance(own, _Group):
            fitted[own.members] += weight / own.sd
            fitted -= weight * own.mean / own.sd
        else:
            fitted = fitted + own * weight
    variance = math.fsum((y - fitted) ** 2) / df
    # the intercept is where all predictors are zero, not where they are average
    means = [mean for _, mean, _ in rest] + [group.mean for _, group in kinds]
    shift = np.array([mean / sd for mean, sd in zip(means, sds, strict=True)])
    spread = 1 / n + math.fsum((shift[:, None] * inverse * shift).ravel())
    found = [(-math.fsum(beta * shift), math.sqrt(variance * spread), 1.0)]
    found += [
        (float(weight), math.sqrt(variance * inverse[place, place]), sds[place])
        for place, weight in enumerate(beta)
    ]
    answer: Terms = []
    for term, (weight, error, sd) in zip(terms, found, strict=True):
        estimate, se = round(weight, _DIGITS) * sd_y / sd, round(error, _DIGITS) * sd_y / sd
        if term == INTERCEPT:
            estimate += mean_y
        p = beyond_t(estimate / se, df) if se else None
        answer.append({"term": term, "n_clients": n, "estimate": estimate, "se": se, "df": df, "p": p})
    return answer


def _cross(one: Column, other: Column) -> float:
    """Sum of the products of two standardised columns."""
    if isinstance(one, _Group):
        if isinstance(other, _Group):
            both = len(np.intersect1d(one.members, other.members, assume_unique=True))
            return (both - one.n * one.mean * other.mean) / (one.sd * other.sd)
        return _cross(other, one)
    if isinstance(other, _Group):
        # What is standardised has the sum zero, but for rounding.
        return math.fsum(one[other.members]) / other.sd
    return math.fsum(one * other)


def _standard(values: Sequence[float]) -> tuple[Floats, float, float]:
    """Values less their mean, over their SD (n - 1); mean and SD."""
    n = len(values)
    mean = math.fsum(values) / n if n else 0.0
    away = np.array(values, np.float64) - mean
    sd = math.sqrt(math.fsum(away * away) / (n - 1)) if n > 1 else 0.0
    return (away / sd if sd else away), mean, sd
