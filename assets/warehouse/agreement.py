"""How far coders agree: kappas, intraclass correlations and Krippendorff's alpha, with limits where a closed form exists.

One function, `coder_agreement`, is a step of the warehouse (`steps.py`): the limits need quantiles of the F distribution, which
DuckDB has not. All of it is closed form, sums are exact or in the order of the model, and what is given is rounded to `DIGITS`.

Values are numbers throughout; for the nominal statistics they are labels.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Estimate = tuple[float, float | None, float | None]  # value, lower and upper limit (95 %)
# unit -> coder -> value
Ratings = Mapping[str, Mapping[str, float]]

DIGITS = 10
_NORMAL = 1.959963984540054
_TAIL = 0.975
PAIR = 2

RESULT = (
    "STRUCT(rule_id VARCHAR, value DOUBLE, lower DOUBLE, upper DOUBLE, n_units INTEGER, n_coders INTEGER)[]"
)


def coder_agreement(
    units: Sequence[str], coders: Sequence[str], values: Sequence[float], labels: bool
) -> list[dict[str, str | float | int | None]]:
    """All statistics of agreement that a set of ratings allows.

    Args:
        units: what was coded, one entry per rating, in a fixed order.
        coders: who coded it; a coder rates a unit once.
        values: the ratings.
        labels: whether values are labels only, so that nominal statistics alone make sense.

    Returns:
        one entry per statistic (`rule_id`) with its value (None where it is not defined, as without any variation), 95 % limits
        where a closed form exists, and the units and coders that it rests on:

        * agreement: share of units on which all coders say the same
        * kappa, kappa_linear, kappa_quadratic: two coders (Cohen 1960, 1968)
        * kappa_light, kappa_conger: three coders or more (Light 1971, Conger 1980)
        * kappa_fleiss: any coders, the same number for each unit (Fleiss 1971)
        * icc_1, icc_2_1, icc_3_1: single ratings (Shrout & Fleiss 1979); icc_1_k, icc_2_k, icc_3_k: means over the coders
        * alpha_nominal, alpha_ordinal, alpha_interval, alpha_ratio: with missing ratings (Krippendorff 2011)

        agreement, kappa_fleiss and icc_1 take the units with the most frequent number of coders (the larger of two equally
        frequent), the other kappas and ICCs those that every coder has rated.
    """
    ratings: dict[str, dict[str, float]] = {}
    for unit, coder, value in zip(units, coders, values, strict=True):
        ratings.setdefault(unit, {})[coder] = value
    ratings = {unit: given for unit, given in ratings.items() if len(given) >= PAIR}
    return [
        {
            "rule_id": name,
            "value": None if found is None else _rounded(found[0]),
            "lower": None if found is None else _rounded(found[1]),
            "upper": None if found is None else _rounded(found[2]),
            "n_units": n_units,
            "n_coders": n_coders,
        }
        for name, found, n_units, n_coders in _all(ratings, labels)
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, DIGITS) + 0.0


def _all(ratings: Ratings, labels: bool) -> Iterator[tuple[str, Estimate | None, int, int]]:
    everybody = sorted({coder for given in ratings.values() for coder in given})
    if not everybody:
        return
    usual, size = _usual(ratings), len(everybody)
    same = [sorted(given.values()) for given in ratings.values() if len(given) == usual]
    whole = [[given[coder] for coder in everybody] for given in ratings.values() if len(given) == size]
    asked = [(name, what, same, usual) for name, what in _ANY_CODERS.items()]
    if whole:
        named = (_OF_TWO if size == PAIR else _OF_MORE) | _TWO_WAY
        asked += [(name, what, whole, size) for name, what in named.items()]
    for name, what, rows, coders in asked:
        if not labels or name in _OF_LABELS:
            found = what(rows)
            yield name, found, len(rows), coders
            if name in _OF_MEANS:
                yield _OF_MEANS[name], found and stepped_up(found, coders), len(rows), coders
    known, coincidences = coincidence_matrix(list(ratings.values()))
    for metric in ("nominal",) if labels else _METRICS:
        yield f"alpha_{metric}", krippendorff(known, coincidences, metric), len(ratings), size


def _usual(ratings: Ratings) -> int:
    """The most frequent number of coders of a unit; of two equally frequent ones the larger."""
    often = Counter(len(given) for given in ratings.values())
    return max(often, key=lambda size: (often[size], size))


# --- kappas ------------------------------------------------------------------------------------


def agreement(rows: list[list[float]]) -> Estimate | None:
    """Share of units on which all say the same."""
    return (sum(len(set(row)) == 1 for row in rows) / len(rows), None, None)


def cohen(rows: list[list[float]], power: int) -> Estimate | None:
    """Kappa of two coders, with limits by the large-sample variance of Fleiss, Cohen & Everitt 1969.

    Args:
        rows: two values per unit.
        power: 0 for plain kappa; else weights 1 - (|i - j| / (k - 1)) ** power over the places i, j of the values in the sorted
            list of the k values that occur (Cohen 1968; R package irr). A value that nobody used has no place.
    """
    known = sorted({value for row in rows for value in row})
    places, k, n = {value: place for place, value in enumerate(known)}, len(known), len(rows)
    table = np.zeros((k, k))
    for one, other in rows:
        table[places[one], places[other]] += 1
    steps = np.abs(np.subtract.outer(np.arange(k), np.arange(k)))
    weights = 1 - (steps / (k - 1)) ** power if power and k > 1 else (steps == 0).astype(float)
    first, second = table.sum(axis=1) / n, table.sum(axis=0) / n
    observed = _sum(weights * table) / n
    expected = _sum(weights * np.outer(first, second))
    if not expected < 1:
        return None
    kappa = (observed - expected) / (1 - expected)
    margins = np.add.outer(weights @ second, first @ weights)
    spread = _sum(table / n * (weights * (1 - expected) - margins * (1 - observed)) ** 2)
    spread -= (observed * expected - 2 * expected + observed) ** 2
    return _around(kappa, max(spread, 0.0) / (n * (1 - expected) ** 4))


def fleiss(rows: list[list[float]]) -> Estimate | None:
    """Kappa of Fleiss 1971: coders may change from unit to unit; limits by the variance of Gwet 2021."""
    known = sorted({value for row in rows for value in row})
    n, m = len(rows), len(rows[0])
    counts = np.array([[row.count(value) for value in known] for row in rows], dtype=np.float64)
    shares = counts.sum(axis=0) / (n * m)
    expected = _sum(shares**2)
    if not expected < 1:
        return None
    own = ((counts**2).sum(axis=1) - m) / (m * (m - 1))
    kappa = (_sum(own) / n - expected) / (1 - expected)
    if n < 2:
        return kappa, None, None
    by_unit = (own - expected) / (1 - expected)
    by_unit -= 2 * (1 - kappa) * ((counts / m * shares).sum(axis=1) - expected) / (1 - expected)
    return _around(kappa, _sum((by_unit - kappa) ** 2) / (n * (n - 1)))


def light(rows: list[list[float]]) -> Estimate | None:
    """Mean of the kappas of all pairs of coders (Light 1971)."""
    pairs = [cohen([[row[a], row[b]] for row in rows], 0) for a, b in combinations(range(len(rows[0])), PAIR)]
    known = [pair[0] for pair in pairs if pair is not None]
    return (math.fsum(known) / len(known), None, None) if len(known) == len(pairs) else None


def conger(rows: list[list[float]]) -> Estimate | None:
    """Kappa of the same coders throughout, chance by each coder's own shares (Conger 1980)."""
    known = sorted({value for row in rows for value in row})
    n, m = len(rows), len(rows[0])
    counts = np.array([[row.count(value) for value in known] for row in rows], dtype=np.float64)
    own = np.array([[sum(row[j] == value for row in rows) / n for value in known] for j in range(m)])
    expected = _sum((counts.sum(axis=0) / (n * m)) ** 2) - _sum(own.var(axis=0, ddof=1)) / m
    if not expected < 1:
        return None
    observed = (_sum(counts**2) - n * m) / (n * m * (m - 1))
    return (observed - expected) / (1 - expected), None, None


def _around(value: float, variance: float) -> Estimate:
    half = _NORMAL * math.sqrt(variance)
    return value, value - half, value + half


def _sum(values: Floats) -> float:
    return math.fsum(values.ravel().tolist())


# --- intraclass correlations -------------------------------------------------------------------


def icc_one_way(rows: list[list[float]]) -> Estimate | None:
    """ICC(1): units rated by any coders (Shrout & Fleiss 1979; limits of McGraw & Wong 1996)."""
    table = np.array(rows)
    n, k = table.shape
    if n < 2:
        return None
    between = k * _spread(table.mean(axis=1), n - 1)
    within = _sum((table - table.mean(axis=1, keepdims=True)) ** 2) / (n * (k - 1))
    return _ratio(between, within, k, n - 1, n * (k - 1))


def icc_consistency(rows: list[list[float]]) -> Estimate | None:
    """ICC(3,1): these coders only, their different levels left aside."""
    table = np.array(rows)
    n, k = table.shape
    if n < 2:
        return None
    between, _, rest = _mean_squares(table)
    return _ratio(between, rest, k, n - 1, (n - 1) * (k - 1))


def icc_agreement(rows: list[list[float]]) -> Estimate | None:
    """ICC(2,1): coders are a sample, their different levels count (limits of McGraw & Wong 1996)."""
    table = np.array(rows)
    n, k = table.shape
    if n < 2:
        return None
    between, coders, rest = _mean_squares(table)
    whole = between + (k - 1) * rest + k / n * (coders - rest)
    if not whole > 0:
        return None
    value = (between - rest) / whole
    if not (rest > 0 and value < 1):
        return value, None, None
    a = k * value / (n * (1 - value))
    b = 1 + k * value * (n - 1) / (n * (1 - value))
    free = (a * coders + b * rest) ** 2 / (
        (a * coders) ** 2 / (k - 1) + (b * rest) ** 2 / ((n - 1) * (k - 1))
    )
    low, high = _quantile(n - 1, free), _quantile(free, n - 1)
    both = k * coders + (k * n - k - n) * rest
    return (
        value,
        n * (between - low * rest) / (low * both + n * between),
        n * (high * between - rest) / (both + n * high * between),
    )


def stepped_up(single: Estimate, k: int) -> Estimate | None:
    """The coefficient of the mean of k coders from that of one (Spearman and Brown), limits likewise."""

    def step(value: float | None) -> float | None:
        return None if value is None or not 1 + (k - 1) * value > 0 else k * value / (1 + (k - 1) * value)

    value = step(single[0])
    return None if value is None else (value, step(single[1]), step(single[2]))


def _mean_squares(table: Floats) -> tuple[float, float, float]:
    """Of units, of coders, and of what is left."""
    n, k = table.shape
    rows, columns = table.mean(axis=1, keepdims=True), table.mean(axis=0, keepdims=True)
    rest = _sum((table - rows - columns + table.mean()) ** 2) / ((n - 1) * (k - 1))
    return k * _spread(rows, n - 1), n * _spread(columns, k - 1), rest


def _spread(means: Floats, free: int) -> float:
    return _sum((means - means.mean()) ** 2) / free


def _ratio(between: float, within: float, k: int, free: int, rest: int) -> Estimate | None:
    if not between + (k - 1) * within > 0:
        return None
    value = (between - within) / (between + (k - 1) * within)
    if not within > 0:
        return value, None, None
    low = between / within / _quantile(free, rest)
    high = between / within * _quantile(rest, free)
    return value, (low - 1) / (low + k - 1), (high - 1) / (high + k - 1)


def _quantile(free: float, rest: float) -> float:
    from scipy.special import fdtri

    return float(fdtri(free, rest, _TAIL))


# --- Krippendorff ------------------------------------------------------------------------------


def coincidence_matrix(units: Sequence[Mapping[str, float]]) -> tuple[Floats, Floats]:
    """The k values that occur, sorted, and how often two of them meet in a unit (k x k).

    Each of the m (m - 1) ordered pairs of values of a unit counts 1 / (m - 1), whether or not values are missing elsewhere.
    (irr 0.84.1 counts 1 where nothing is missing and there are more than two coders; that is not copied.)
    """
    sizes = np.array([len(given) for given in units])
    values = np.array([value for given in units for value in given.values()])
    known, places = np.unique(values, return_inverse=True)
    counts = np.zeros((len(units), len(known)))
    np.add.at(counts, (np.repeat(np.arange(len(units)), sizes), places), 1)
    coincidences = np.zeros((len(known), len(known)))
    for size in np.unique(sizes).tolist():
        own = counts[sizes == size]
        # Sums of whole numbers are exact in any order.
        coincidences += (own.T @ own - np.diag(own.sum(axis=0))) / (size - 1)
    return known, coincidences


def krippendorff(known: Floats, coincidences: Floats, metric: str) -> Estimate | None:
    """Alpha: 1 - observed / expected disagreement, by the matrix of coincidences.

    Args:
        known: the values that occur, sorted.
        coincidences: how often two of them meet.
        metric: how far apart two values are: nominal, ordinal, interval, ratio.
    """
    often = coincidences.sum(axis=1)
    apart = _apart(metric, known, often)
    expected = _sum(np.outer(often, often) * apart)
    if not expected > 0:
        return None
    return 1 - (_sum(often) - 1) * _sum(coincidences * apart) / expected, None, None


def _apart(metric: str, known: Floats, often: Floats) -> Floats:
    """Squared distances of the sorted values, each of which occurs so often."""
    if metric == "nominal":
        return 1 - np.eye(len(known))
    if metric == "ordinal":
        # values up to and including each, half of the outer two not counted
        middle = np.cumsum(often) - often / 2
        return np.subtract.outer(middle, middle) ** 2
    apart: Floats = np.subtract.outer(known, known)
    if metric == "ratio":
        whole = np.add.outer(known, known)
        apart = apart / np.where(whole == 0, 1, whole)
    return apart**2


_ANY_CODERS: dict[str, Callable[[list[list[float]]], Estimate | None]] = {
    "agreement": agreement,
    "kappa_fleiss": fleiss,
    "icc_1": icc_one_way,
}
_OF_TWO: dict[str, Callable[[list[list[float]]], Estimate | None]] = {
    "kappa": lambda rows: cohen(rows, 0),
    "kappa_linear": lambda rows: cohen(rows, 1),
    "kappa_quadratic": lambda rows: cohen(rows, 2),
}
_OF_MORE: dict[str, Callable[[list[list[float]]], Estimate | None]] = {
    "kappa_light": light,
    "kappa_conger": conger,
}
_TWO_WAY: dict[str, Callable[[list[list[float]]], Estimate | None]] = {
    "icc_2_1": icc_agreement,
    "icc_3_1": icc_consistency,
}
_OF_MEANS = {"icc_1": "icc_1_k", "icc_2_1": "icc_2_k", "icc_3_1": "icc_3_k"}
_OF_LABELS = ("agreement", "kappa", "kappa_light", "kappa_conger", "kappa_fleiss")
_METRICS = ("nominal", "ordinal", "interval", "ratio")
