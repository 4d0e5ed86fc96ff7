"""Logistic regression with an intercept per site."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dyadlog.assets.warehouse.elimination import Floats, solve

Terms = list[dict[str, str | float | None]]

INTERCEPT = "intercept"
_STEPS = 50
_TOLERANCE = 1e-10
_DIGITS = 6
# An estimate beyond this (per standard deviation) has no end: predictors tell the two kinds of client apart completely.
_FAR = 30.0


def logistic(
    happened: Sequence[bool],
    names: Sequence[str],
    predictors: Sequence[Sequence[float]],
    sites: Sequence[str],
) -> Terms:
    """Newton's method for log odds = intercept + predictors + site against the first site.

    McCullagh & Nelder 1989, Generalized Linear Models, section 4.4. A site where it happened to all or to nobody says
    nothing of the predictors and is left out. Sums are kept by site, so that many sites cost little; predictors are
    standardised while it runs, and what it gives is rounded to six decimals of that scale.

    Args:
        happened: the outcome of each client; clients of a site stand together.
        names: names of the k predictors.
        predictors: their values for each client, n x k.
        sites: the site of each client.

    Returns:
        `intercept`, the predictors, and `site ...` for each site but the first, with estimate, standard error and
        two-sided p, and the number of clients; estimates are empty where there is no maximum.
    """
    y = np.array(happened, dtype=np.float64)
    x = np.array(predictors, dtype=np.float64)
    site = np.array(sites)
    known, own = np.unique(site, return_inverse=True)
    rate = np.bincount(own, y) / np.bincount(own)
    telling = ((rate > 0) & (rate < 1))[own]
    y, x = y[telling], x[telling]
    known, starts = np.unique(site[telling], return_index=True)
    members = np.diff(np.append(starts, len(y)))
    terms = [INTERCEPT, *names, *(f"site {name}" for name in known[1:])]
    nothing: Terms = [
        {"term": term, "n_clients": len(y), "estimate": None, "se": None, "p": None} for term in terms
    ]
    if len(y) <= len(terms):
        return nothing
    mean, sd = x.mean(axis=0), x.std(axis=0)
    if not (sd > 0).all():
        return nothing
    found = _fitted(y, (x - mean) / sd, starts, members)
    if found is None:
        return nothing
    beta, covariance = found
    k = x.shape[1]
    # Back to the predictors' own units, and from an intercept per group to differences from the first one.
    turn = np.zeros((len(terms), len(terms)))
    turn[0, :k], turn[0, k] = -mean / sd, 1.0
    turn[range(1, k + 1), range(k)] = 1 / sd
    for other in range(1, len(known)):
        turn[k + other, k], turn[k + other, k + other] = -1.0, 1.0
    answer: Terms = []
    units = [1.0, *(1 / sd), *(1.0 for _ in known[1:])]
    for term, row, unit in zip(terms, turn, units, strict=True):
        used = np.flatnonzero(row)
        estimate = math.fsum(row[used] * beta[used])
        variance = math.fsum(row[a] * row[b] * covariance[a, b] for a in used for b in used)
        estimate, se = (round(value / unit, _DIGITS) * unit for value in (estimate, math.sqrt(variance)))
        p = math.erfc(abs(estimate / se) / math.sqrt(2)) if se else None
        answer.append(
            {"term": term, "n_clients": len(y), "estimate": float(estimate), "se": float(se), "p": p}
        )
    return answer


def _fitted(
    y: Floats, x: Floats, starts: NDArray[np.int64], members: NDArray[np.int64]
) -> tuple[Floats, Floats] | None:
    """Estimates (predictors, then an intercept per group) and their covariances."""
    k, size = x.shape[1], x.shape[1] + len(starts)
    beta = np.zeros(size)
    for _ in range(_STEPS):
        mu = 1 / (1 + np.exp(-((x * beta[:k]).sum(axis=1) + np.repeat(beta[k:], members))))
        weight, left = mu * (1 - mu), y - mu
        score = np.concatenate([(x * left[:, None]).sum(axis=0), np.add.reduceat(left, starts)])
        information = np.zeros((size, size))
        for one in range(k):
            for other in range(k):
                information[one, other] = (weight * x[:, one] * x[:, other]).sum()
            information[one, k:] = information[k:, one] = np.add.reduceat(weight * x[:, one], starts)
        information[range(k, size), range(k, size)] = np.add.reduceat(weight, starts)
        solved = solve(information, np.column_stack([score, np.eye(size)]))
        if solved is None:
            return None
        beta = beta + solved[:, 0]
        if np.abs(beta).max() > _FAR:
            return None
        if np.abs(solved[:, 0]).max() < _TOLERANCE:
            return beta, solved[:, 1:]
    return None
