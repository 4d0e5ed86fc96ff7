"""Variance between sites, therapists, clients and sessions by restricted maximum likelihood (steps of the warehouse).

A random intercept per group changes the cross-products Z' V^-1 Z of the columns Z = (1, fixed effects, y) by a matrix of rank
one. So nested groups are taken in from the innermost to the outermost, each with its variance as a ratio to that of the residual,
and nothing larger than a few numbers per group is ever formed; sites that therapists cross come last and all at once. The
criterion is that of Bates, Maechler, Bolker & Walker 2015, Journal of Statistical Software 67(1), profiled over fixed effects and
residual variance; its least is looked for over the roots of the ratios, which may be zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dyadlog.assets.warehouse.minimum import least

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Answer = dict[str, float | list[float] | None]

RESULT = "STRUCT(variances DOUBLE[], intercept DOUBLE, slope DOUBLE)"
DIGITS = 6
_NOTHING: Answer = {"variances": None, "intercept": None, "slope": None}


def nested_variances(
    groups: Sequence[Sequence[int]], times: Sequence[float], values: Sequence[float]
) -> Answer:
    """Variances of random intercepts that are nested in each other.

    Args:
        groups: for each level from the outermost to the innermost the group of each value. Values of a group stand together.
        times: of the values, for a common slope; empty for none.
        values: what was measured, in a fixed order.

    Returns:
        `variances`: one per level, then that of the residual, in squared units of the values, `intercept` and `slope` (None
        without times); all of it rounded to `DIGITS` decimals of a standardised scale. Nothing where a level has a single group,
        where groups are no larger than those inside them, or where nothing varies.
    """
    scaled = _Scaled.of(times, values)
    if scaled is None:
        return dict(_NOTHING)
    starts = _starts(groups)
    sizes = [len(values), *(len(own) for own in reversed(starts))]
    if sizes[-1] < 2 or any(inner <= outer for inner, outer in pairwise(sizes)):
        return dict(_NOTHING)
    innermost = np.add.reduceat(scaled.products(), starts[-1], axis=0)
    # where the groups of a level begin among those of the level inside it
    parents = [np.searchsorted(inner, outer) for outer, inner in pairwise(starts)]
    parents = [np.zeros(1, dtype=np.int64), *parents]

    def criterion(roots: Sequence[float]) -> tuple[float, Floats, float]:
        products, logs = innermost, 0.0
        for root, begin in zip(reversed(roots), reversed(parents), strict=True):
            products, log = _taken_in(products, root * root)
            products, logs = np.add.reduceat(products, begin, axis=0), logs + log
        return scaled.criterion(products[0], logs)

    return scaled.answer(criterion, len(groups))


def crossed_variances(sites: Sequence[int], therapists: Sequence[int], values: Sequence[float]) -> Answer:
    """Variances of sites and of therapists, who may work at several sites.

    Args:
        sites: numbers of the sites from 0, one per value.
        therapists: of the therapists; values of a therapist stand together, and within them those of a site.
        values: what was measured, in a fixed order.

    Returns:
        as `nested_variances`, of sites, therapists and the residual.
    """
    scaled = _Scaled.of((), values)
    site = np.array(sites, dtype=np.int64)
    begins, own = _starts([therapists, sites])
    count = len(set(sites))
    if scaled is None or count < 2 or not (count < len(own) and 2 <= len(begins) < len(values)):
        return dict(_NOTHING)
    cells = np.add.reduceat(scaled.products(), own, axis=0)
    place, owner = site[own], np.searchsorted(begins, own, side="right") - 1
    width = count + cells.shape[1]
    whole = np.zeros((width, width))
    np.add.at(whole, (place, place), cells[:, 0, 0])
    for column in range(cells.shape[1]):
        np.add.at(whole, (place, np.full(len(place), count + column)), cells[:, 0, column])
    whole[count:, :count] = whole[:count, count:].T
    whole[count:, count:] = cells.sum(axis=0)
    sums = np.zeros((len(begins), width))
    np.add.at(sums, (owner, place), cells[:, 0, 0])
    for column in range(cells.shape[1]):
        np.add.at(sums, (owner, np.full(len(owner), count + column)), cells[:, 0, column])

    def criterion(roots: Sequence[float]) -> tuple[float, Floats, float]:
        of_site, of_therapist = (root * root for root in roots)
        ratio = of_therapist / (1 + of_therapist * sums[:, count])
        rest = whole - (sums * ratio[:, None]).T @ sums
        logs = float(np.log1p(of_therapist * sums[:, count]).sum())
        between = np.eye(count) + of_site * rest[:count, :count]
        logs += float(np.linalg.slogdet(between)[1])
        left = of_site * rest[count:, :count] @ np.linalg.solve(between, rest[:count, count:])
        return scaled.criterion(rest[count:, count:] - left, logs)

    return scaled.answer(criterion, 2)


Criterion = Callable[[Sequence[float]], tuple[float, Floats, float]]


class _Scaled:
    """Standardised columns (1, time, value) and the way back from them."""

    def __init__(self, columns: Floats, place: tuple[float, float, float, float]) -> None:
        self._columns, self._place = columns, place

    @classmethod
    def of(cls, times: Sequence[float], values: Sequence[float]) -> _Scaled | None:
        """None where values or times do not vary."""
        y, t = np.array(values, dtype=np.float64), np.array(times, dtype=np.float64)
        at = (float(t.mean()), float(t.std())) if len(t) else (0.0, 1.0)
        place = (*at, float(y.mean()) if len(y) else 0.0, float(y.std()) if len(y) else 0.0)
        if place[1] == 0 or place[3] == 0:
            return None
        times_too = [(t - place[0]) / place[1]] if len(t) else []
        columns = np.stack([np.ones_like(y), *times_too, (y - place[2]) / place[3]], axis=1)
        return cls(columns, place)

    def products(self) -> Floats:
        """Cross-products of the columns, one matrix per value."""
        return self._columns[:, :, None] * self._columns[:, None, :]

    def criterion(self, products: Floats, logs: float) -> tuple[float, Floats, float]:
        """Minus twice the profiled restricted log-likelihood up to a constant, fixed effects, residual sum."""
        x, xy = products[:-1, :-1], products[:-1, -1]
        sign, log = np.linalg.slogdet(x)
        fixed = np.asarray(np.linalg.solve(x, xy), dtype=np.float64) if sign > 0 else np.zeros(len(xy))
        rest = float(products[-1, -1] - xy @ fixed)
        if not (sign > 0 and rest > 0):
            return math.inf, fixed, rest
        free = len(self._columns) - len(fixed)
        return logs + float(log) + free * math.log(rest / free), fixed, rest

    def answer(self, criterion: Criterion, levels: int) -> Answer:
        """The estimates in units of the values."""
        roots = least(lambda tried: criterion(tried)[0], (1.0,) * levels)
        if roots is None:
            return dict(_NOTHING)
        _, fixed, rest = criterion(roots)
        residual = rest / (len(self._columns) - len(fixed))
        mean_t, sd_t, mean_y, sd_y = self._place
        variances = [_rounded(root * root * residual) * sd_y**2 for root in roots]
        slope = _rounded(float(fixed[1])) * sd_y / sd_t if len(fixed) > 1 else None
        intercept = mean_y + sd_y * _rounded(float(fixed[0])) - (slope or 0.0) * mean_t
        return {
            "variances": [*variances, _rounded(residual) * sd_y**2],
            "intercept": intercept,
            "slope": slope,
        }


def _rounded(value: float) -> float:
    return round(value, DIGITS) + 0.0  # no minus zero


def _starts(groups: Sequence[Sequence[int]]) -> list[Ints]:
    """Where each group of each level begins; a group ends where one outside it does."""
    found: list[Ints] = []
    changes = np.zeros(len(groups[0]), dtype=bool)
    changes[:1] = True
    for level in groups:
        own = np.array(level, dtype=np.int64)
        changes = changes.copy()
        changes[1:] |= own[1:] != own[:-1]
        found.append(np.flatnonzero(changes))
    return found


def _taken_in(products: Floats, ratio: float) -> tuple[Floats, float]:
    """Cross-products of groups once each has a random intercept, and the logarithm of the determinant it adds."""
    weight = products[:, 0, 0]
    scale = ratio / (1 + ratio * weight)
    less = scale[:, None, None] * products[:, :, :1] * products[:, :1, :]
    return products - less, float(np.log1p(ratio * weight).sum())
