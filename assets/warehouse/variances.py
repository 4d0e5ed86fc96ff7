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
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from dyadlog.assets.warehouse.minimum import least

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Answer = dict[str, float | list[float] | None]

RESULT = "STRUCT(variances DOUBLE[], intercept DOUBLE, slope DOUBLE)"
DIGITS = 6
_SAME = 1e-12  # variance over mean square below which values are the same but for the arithmetic
_ALL = np.zeros(1, dtype=np.int64)
_NOTHING: Answer = {"variances": None, "intercept": None, "slope": None}


def nested_variances(groups: Sequence[Sequence[int]], sums: Sequence[Sequence[float]]) -> Answer:
    """Variances of random intercepts that are nested in each other.

    Args:
        groups: for each level from the outermost to the innermost the group of each row. A row is a set of values that share
            all groups; rows of a group stand together.
        sums: of the values of each row: their number, sum and sum of squares; for a common slope also the sums of the times,
            of their squares and of their products with the values.

    Returns:
        `variances`: one per level, then that of the residual, in squared units of the values, `intercept` and `slope` (None
        without times); all of it rounded to `DIGITS` decimals of a standardised scale. Nothing where a level has a single group,
        where groups are no larger than those inside them, or where nothing varies.
    """
    scaled = _Scaled.of(sums)
    if scaled is None:
        return dict(_NOTHING)
    starts = _starts(groups)
    sizes = [scaled.count, *(len(own) for own in reversed(starts))]
    if sizes[-1] < 2 or any(inner <= outer for inner, outer in pairwise(sizes)):
        return dict(_NOTHING)
    # where the groups of a level begin among those of the level inside it
    parents = [np.searchsorted(inner, outer) for outer, inner in pairwise([_ALL, *starts])]
    innermost = _Innermost.of(np.add.reduceat(scaled.products, starts[-1], axis=0), parents[-1])

    def criterion(roots: Sequence[float]) -> tuple[float, Floats, float]:
        products, logs = innermost.taken_in(roots[-1] ** 2)
        for root, begin in zip(reversed(roots[:-1]), reversed(parents[:-1]), strict=True):
            products, log = _taken_in(products, root * root)
            products, logs = np.add.reduceat(products, begin, axis=0), logs + log
        return scaled.criterion(products[0], logs)

    return scaled.answer(criterion, len(groups))


def crossed_variances(
    sites: Sequence[int], therapists: Sequence[int], sums: Sequence[Sequence[float]]
) -> Answer:
    """Variances of sites and of therapists, who may work at several sites.

    Args:
        sites: numbers of the sites from 0, one per row. A row is all values of a therapist at a site.
        therapists: of the therapists; rows of a therapist stand together.
        sums: of the values of each row: their number, sum and sum of squares.

    Returns:
        as `nested_variances`, of sites, therapists and the residual.
    """
    scaled = _Scaled.of(sums)
    site = np.array(sites, dtype=np.int64)
    (begins,) = _starts([therapists])
    count = len(set(sites))
    if scaled is None or count < 2 or not (count < len(site) and 2 <= len(begins) < scaled.count):
        return dict(_NOTHING)
    size, fixed = scaled.products[:, 0, 0], scaled.products[:, 0, :]
    own = np.repeat(np.arange(len(begins)), np.diff([*begins, len(site)]))
    first, second = _pairs(begins, len(site))
    both = site[first] * count + site[second]
    of_both = size[first] * size[second]
    weight, of_therapist = np.add.reduceat(size, begins), np.add.reduceat(fixed, begins, axis=0)
    of_cell = size[:, None] * of_therapist[own]
    squared = of_therapist[:, :, None] * of_therapist[:, None, :]
    whole = np.bincount(site, size, count)
    beside = np.stack([np.bincount(site, column, count) for column in fixed.T])
    corner = scaled.products.sum(axis=0)
    # only sites that share a therapist need a matrix
    tied = np.unique(site[first][site[first] != site[second]])
    alone = np.setdiff1d(np.arange(count), tied)

    def criterion(roots: Sequence[float]) -> tuple[float, Floats, float]:
        of_site, ratio = roots[0] ** 2, roots[1] ** 2 / (1 + roots[1] ** 2 * weight)
        logs = float(np.log1p(roots[1] ** 2 * weight).sum())
        aside = beside - np.stack(
            [np.bincount(site, column, count) for column in (ratio[own, None] * of_cell).T]
        )
        rest = corner - (ratio[:, None, None] * squared).sum(axis=0)
        less = np.bincount(both, ratio[own[first]] * of_both, count * count).reshape(count, count)
        between = 1 + of_site * (whole - np.diag(less))
        logs += float(np.log(between[alone]).sum())
        rest = rest - of_site * (aside[:, alone] / between[alone]) @ aside[:, alone].T
        if len(tied):
            matrix = np.diag(between[tied]) - of_site * (less - np.diag(np.diag(less)))[np.ix_(tied, tied)]
            logs += float(np.linalg.slogdet(matrix)[1])
            rest = rest - of_site * aside[:, tied] @ np.linalg.solve(matrix, aside[:, tied].T)
        return scaled.criterion(rest, logs)

    return scaled.answer(criterion, 2)


Criterion = Callable[[Sequence[float]], tuple[float, Floats, float]]


class _Scaled:
    """Cross-products of standardised columns (1, time, value), one matrix per row, and the way back from them."""

    def __init__(self, products: Floats, count: int, place: tuple[float, float, float, float]) -> None:
        self.products, self.count, self._place = products, count, place

    @classmethod
    def of(cls, sums: Sequence[Sequence[float]]) -> _Scaled | None:
        """None where values or times do not vary."""
        told = np.array(sums, dtype=np.float64)
        timed = told.shape[-1] > 3
        n, y, yy, *time = told.T
        columns = (
            [[n, time[0], y], [time[0], time[1], time[2]], [y, time[2], yy]] if timed else [[n, y], [y, yy]]
        )
        products = np.stack([np.stack(row, axis=-1) for row in columns], axis=-2)
        whole = products.sum(axis=0)
        count = float(whole[0, 0])
        means = whole[0] / count
        squares = np.diag(whole) / count
        variances = squares - means**2
        if (variances[1:] <= _SAME * squares[1:]).any():
            return None
        deviations = np.sqrt(variances[1:])
        turn = np.diag([1.0, *(1 / deviations)])
        turn[1:, 0] = -means[1:] / deviations
        at = (float(means[1]), float(deviations[0])) if timed else (0.0, 1.0)
        place = (*at, float(means[-1]), float(deviations[-1]))
        return cls(turn @ products @ turn.T, round(count), place)

    def criterion(self, products: Floats, logs: float) -> tuple[float, Floats, float]:
        """Minus twice the profiled restricted log-likelihood up to a constant, fixed effects, residual sum."""
        x, xy = products[:-1, :-1], products[:-1, -1]
        sign, log = np.linalg.slogdet(x)
        fixed = np.asarray(np.linalg.solve(x, xy), dtype=np.float64) if sign > 0 else np.zeros(len(xy))
        rest = float(products[-1, -1] - xy @ fixed)
        if not (sign > 0 and rest > 0):
            return math.inf, fixed, rest
        free = self.count - len(fixed)
        return logs + float(log) + free * math.log(rest / free), fixed, rest

    def answer(self, criterion: Criterion, levels: int) -> Answer:
        """The estimates in units of the values."""
        roots = least(lambda tried: criterion(tried)[0], (1.0,) * levels)
        if roots is None:
            return dict(_NOTHING)
        _, fixed, rest = criterion(roots)
        residual = rest / (self.count - len(fixed))
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


@dataclass(frozen=True)
class _Innermost:
    """Innermost groups, those of the same size in the same group outside them taken together.

    What a random intercept takes from the cross-products of a group depends on its size and the sums of its columns alone.
    """

    whole: Floats  # cross-products of each group outside
    begins: Ints  # where the sizes of each group outside begin
    sizes: Floats
    counts: Ints  # groups of that size
    squares: Floats  # sum over them of the products of the sums of their columns

    @classmethod
    def of(cls, products: Floats, begins: Ints) -> _Innermost:
        """Of the cross-products of each group, and where those of each group outside begin."""
        outside = np.repeat(np.arange(len(begins)), np.diff([*begins, len(products)]))
        order = np.lexsort((products[:, 0, 0], outside))
        size, outside, sums = products[order, 0, 0], outside[order], products[order, 0, :]
        new = np.ones(len(order), dtype=bool)
        new[1:] = (size[1:] != size[:-1]) | (outside[1:] != outside[:-1])
        starts = np.flatnonzero(new)
        return cls(
            np.add.reduceat(products, begins, axis=0),
            np.searchsorted(outside[starts], np.arange(len(begins))),
            size[starts],
            np.diff([*starts, len(order)]),
            np.add.reduceat(sums[:, :, None] * sums[:, None, :], starts, axis=0),
        )

    def taken_in(self, ratio: float) -> tuple[Floats, float]:
        """As `_taken_in`, then added up by the groups outside."""
        scale = ratio / (1 + ratio * self.sizes)
        less = np.add.reduceat(scale[:, None, None] * self.squares, self.begins, axis=0)
        return self.whole - less, float((self.counts * np.log1p(ratio * self.sizes)).sum())


def _pairs(begins: Ints, length: int) -> tuple[Ints, Ints]:
    """All pairs of rows of the same group, each with itself too."""
    counts = np.diff([*begins, length])
    own = np.repeat(np.arange(len(begins)), counts)
    first = np.repeat(np.arange(length), counts[own])
    ends = np.cumsum(counts[own])
    return first, np.arange(len(first)) - np.repeat(ends - counts[own], counts[own]) + begins[own[first]]
