"""Distance of a filled-in form from the mean answers of its site."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dyadlog.assets.warehouse.consistency import pairwise_covariances
from dyadlog.assets.warehouse.elimination import solve

_DIGITS = 9


def answer_distances(forms: Sequence[Sequence[float | None]]) -> list[float | None]:
    """Squared Mahalanobis distance of each form.

    Mahalanobis 1936, Proceedings of the National Institute of Sciences of India 2, 49-55; for missing answers as careless
    1.2.2 does it: covariances of two items over the forms with both, a missing answer at the mean. One multiplication and one
    addition at a time, in the order of the items, so that no library of linear algebra shows in a digit; to nine decimals.

    Args:
        forms: answers of each form in the order of the items, n x k, None where there is none.

    Returns:
        the distances; all empty where items determine each other, or forms are too few.
    """
    given = np.array([[answer is not None for answer in form] for form in forms], dtype=np.int64)
    values = np.array([[answer or 0.0 for answer in form] for form in forms], dtype=np.float64)
    covariances, means = pairwise_covariances(values, given)
    if len(forms) <= len(means) or not np.isfinite(covariances).all():
        return [None] * len(forms)
    inverse = solve(covariances, np.eye(len(means)))
    if inverse is None:
        return [None] * len(forms)
    away = ((values - means) * given).T.copy()
    distances = np.zeros(len(forms))
    for one in range(len(means)):
        beside = np.zeros(len(forms))
        for other in range(len(means)):
            beside += away[other] * inverse[one, other]
        distances += away[one] * beside
    return [round(float(distance), _DIGITS) + 0.0 for distance in distances]
