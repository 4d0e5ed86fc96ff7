"""Chance that gives the same bits on every machine.

Only Philox's integers, `+ - * /`, comparisons and look-ups in constant tables stand between a seed and what is
written. NumPy's own `exp`, `log` and normal variates differ in the last bit between processors, and Python's
`sum` over floating numbers between versions: none of them is used on the way.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from functools import cache
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

# Pieces of the quantile tables. The last piece on each side is as long as it takes for the mean of the tail beyond
# it to be right.
PIECES = 4096
_NORMAL_END, _LOGISTIC_END = 4.0, 10.3
# Digits kept of the tables' entries: far coarser than the last bit of any library's logarithm.
_DIGITS = 8


class Chance:
    """A stream of random numbers of its own for every purpose.

    Args:
        seed: the study's seed.
        purpose: names what the numbers are for (site, part of the model); streams of different purposes are
            independent of each other and of the order in which they are used.
    """

    def __init__(self, seed: int, *purpose: str) -> None:
        digest = hashlib.sha256("/".join((str(seed), *purpose)).encode()).digest()
        self._bits = np.random.Philox(key=int.from_bytes(digest[:16], "little"))

    def uniform(self, *shape: int) -> Floats:
        """Numbers above 0 and below 1, each a multiple of 2^-53."""
        raw = self._bits.random_raw(math.prod(shape))
        numbers: Floats = (raw >> np.uint64(12)).astype(np.float64) * 2.0**-52 + 2.0**-53
        return numbers.reshape(shape)

    def normal(self, *shape: int) -> Floats:
        """Standard normal numbers, piecewise linear between the quantiles of `normal_table`, within +-4."""
        return look_up(self.uniform(*shape), normal_table())

    def logistic(self, *shape: int) -> Floats:
        """Standard logistic numbers: `logistic < x` holds with the probability 1 / (1 + exp(-x))."""
        return look_up(self.uniform(*shape), logistic_table())

    def strata(self, count: int) -> Floats:
        """One uniform number from each of `count` equal strata of (0, 1), in random order."""
        order = np.argsort(self.uniform(count), kind="stable").astype(np.float64)
        return (order + self.uniform(count)) / count

    def pick(self, weights: dict[str, float], count: int) -> Ints:
        """Positions in `weights`, with these relative frequencies."""
        return choose(self.uniform(count), weights)


def choose(uniform: Floats, weights: dict[str, float]) -> Ints:
    """Positions in `weights` for uniform numbers."""
    whole = math.fsum(weights.values())
    bounds = np.array([math.fsum([*weights.values()][:nth]) / whole for nth in range(1, len(weights))])
    return np.searchsorted(bounds, uniform, side="right").astype(np.int64)


def look_up(uniform: Floats, table: Floats) -> Floats:
    """Value of a quantile function that is linear between equidistant entries of a table."""
    place = uniform * (len(table) - 1)
    left = place.astype(np.int64)
    low = table.take(left)
    value: Floats = low + (place - left) * (table.take(left + 1) - low)
    return value


def curve(uniform: Floats, points: Sequence[tuple[float, float]]) -> Floats:
    """Value of a quantile function that is linear between points (probability, value)."""
    probability = np.array([p for p, _ in points])
    at = np.array([v for _, v in points])
    left = np.clip(np.searchsorted(probability, uniform, side="right") - 1, 0, len(points) - 2)
    share = (uniform - probability[left]) / (probability[left + 1] - probability[left])
    value: Floats = at[left] + share * (at[left + 1] - at[left])
    return value


@cache
def normal_table() -> Floats:
    """Quantiles of the normal distribution at 0, 1/4096, ..., 1."""
    return _table(NormalDist().inv_cdf, _NORMAL_END)


@cache
def logistic_table() -> Floats:
    """Quantiles of the logistic distribution at 0, 1/4096, ..., 1."""
    return _table(lambda p: math.log(p / (1 - p)), _LOGISTIC_END)


def _table(quantile: Callable[[float], float], end: float) -> Floats:
    inner = [round(quantile(k / PIECES), _DIGITS) for k in range(1, PIECES)]
    return np.array([-end, *inner, end])


def logit(probability: float) -> float:
    """Log odds of a probability, from the table."""
    return float(look_up(np.array([probability]), logistic_table())[0])


def hazard(share: float, steps: int) -> float:
    """Probability per step with which a share of persons has left after some steps.

    Found by halving intervals and multiplying, which are exact.
    """
    low, high = 0.0, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        stayed = 1.0
        for _ in range(steps):
            stayed *= 1 - middle
        low, high = (middle, high) if 1 - stayed < share else (low, middle)
    return low


def rounded(numbers: Any) -> Ints:
    """Numbers rounded half up."""
    whole: Ints = np.floor(np.asarray(numbers) + 0.5).astype(np.int64)
    return whole
