"""Internal consistency of a scale and statistics of its items, from the answers of many clients."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dyadlog.assets.warehouse.elimination import Floats, solve

Found = dict[str, object]

_DIGITS = 12
_ITEM = ("mean", "sd", "item_total_r", "item_rest_r", "alpha_without")
RESULT = (
    "STRUCT(n_clients INTEGER, mean DOUBLE, sd DOUBLE, alpha DOUBLE, alpha_standardised DOUBLE, lambda_6 DOUBLE, "
    f"mean_r DOUBLE, items STRUCT(item VARCHAR, n_clients INTEGER, {', '.join(f'{name} DOUBLE' for name in _ITEM)})[])"
)


def scale_consistency(names: Sequence[str], forms: Sequence[Sequence[float | None]]) -> Found:
    """Cronbach's alpha and what belongs to it, from the covariances of the items.

    Cronbach 1951, Psychometrika 16, 297-334; Guttman 1945, Psychometrika 10, 255-282 (lambda 6). Each covariance is over the
    clients who answered both items; where nobody left an item out these are all clients. Sums are exact (whole numbers, or
    `math.fsum`), and what is given is rounded to twelve decimals.

    Args:
        names: names of the k items of the scale.
        forms: answers of each client in the order of the items, n x k, turned where the item is reversed; None where there is
            none, one answer at least.

    Returns:
        clients with an answer; mean and SD of their item means; alpha, alpha of the correlations, lambda 6, mean correlation;
        for each item its clients, mean, SD, correlation with the mean of the scale and with the sum of the other items, and
        alpha without it. Empty where there is no variance or a correlation has fewer than two clients.
    """
    n, values = len(forms), np.array(forms, dtype=np.float64)
    given = np.isfinite(values).astype(np.float64)
    values = np.nan_to_num(values)
    sizes = given.sum(axis=1)
    totals = np.array([math.fsum(row) for row in values]) / sizes
    covariances, means = pairwise_covariances(values, given)
    sds = np.sqrt(np.diagonal(covariances))
    usable = bool(np.isfinite(covariances).all() and (sds > 0).all())
    mean = math.fsum(totals) / n if n else math.nan
    sd = math.sqrt(math.fsum((totals - mean) ** 2) / (n - 1)) if n > 1 else math.nan
    found: Found = {"n_clients": n, "mean": _told(mean), "sd": _told(sd)}
    found |= {"alpha": _told(_alpha(covariances)) if usable else None}
    correlations = covariances / (sds[:, None] * sds) if usable else None
    found |= _of_correlations(correlations)
    found["items"] = [
        {
            "item": name,
            "n_clients": int(given[:, place].sum()),
            "mean": _told(means[place]),
            "sd": _told(sds[place]),
            "item_total_r": _told(_correlation(values[:, place], totals, given[:, place])),
        }
        | _without(covariances, place, usable=usable)
        for place, name in enumerate(names)
    ]
    return found


def pairwise_covariances(values: Floats, given: Floats) -> tuple[Floats, Floats]:
    """Covariances (n - 1) over those who answered both, and the means of the items.

    Args:
        values: answers, n x k, 0 where there is none.
        given: 1 where there is an answer, else 0.

    Returns:
        k x k (nan with fewer than two answers to both) and k.
    """
    k = values.shape[1]
    both = given.T @ given
    if (values == np.round(values)).all():
        # Sums of whole numbers are exact in any order, so a library of linear algebra may add them up.
        products, sums = values.T @ values, values.T @ given
    else:
        products, sums = np.zeros((k, k)), np.zeros((k, k))
        for one in range(k):
            for other in range(k):
                products[one, other] = math.fsum(values[:, one] * values[:, other])
                sums[one, other] = math.fsum(values[:, one] * given[:, other])
    with np.errstate(invalid="ignore", divide="ignore"):
        covariances = (products - sums * sums.T / both) / np.where(both > 1, both - 1, np.nan)
        means = np.diagonal(sums) / np.diagonal(both)
    return covariances, means


def _alpha(covariances: Floats) -> float:
    k, whole = len(covariances), math.fsum(covariances.ravel())
    return k / (k - 1) * (1 - math.fsum(np.diagonal(covariances)) / whole) if whole > 0 else math.nan


def _of_correlations(correlations: Floats | None) -> Found:
    if correlations is None:
        return dict.fromkeys(("alpha_standardised", "lambda_6", "mean_r"))
    k, whole = len(correlations), math.fsum(correlations.ravel())
    inverse = solve(correlations, np.eye(k))
    # 1 / its diagonal is what the other items do not explain of an item
    own = math.nan if inverse is None or whole <= 0 else math.fsum(1 / np.diagonal(inverse)) / whole
    return {
        "alpha_standardised": _told(_alpha(correlations)),
        "lambda_6": _told(1 - own),
        "mean_r": _told((whole - k) / (k * (k - 1))),
    }


def _without(covariances: Floats, place: int, *, usable: bool) -> Found:
    if not usable:
        return dict.fromkeys(("item_rest_r", "alpha_without"))
    others = np.delete(np.arange(len(covariances)), place)
    rest = covariances[np.ix_(others, others)]
    spread = covariances[place, place] * math.fsum(rest.ravel())
    with_rest = math.fsum(covariances[place, others])
    return {
        "item_rest_r": _told(with_rest / math.sqrt(spread) if spread > 0 else math.nan),
        "alpha_without": _told(_alpha(rest) if len(rest) > 1 else math.nan),
    }


def _correlation(one: Floats, other: Floats, given: Floats) -> float:
    used = given > 0
    one, other = one[used], other[used]
    n = len(one)
    if n < 2:
        return math.nan
    one, other = one - math.fsum(one) / n, other - math.fsum(other) / n
    spread = math.fsum(one * one) * math.fsum(other * other)
    return math.fsum(one * other) / math.sqrt(spread) if spread > 0 else math.nan


def _told(value: float) -> float | None:
    return round(float(value), _DIGITS) + 0.0 if math.isfinite(value) else None
