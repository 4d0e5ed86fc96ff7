"""Distance of a filled-in form from the mean answers of its site."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dyadlog.assets.warehouse.consistency import pairwise_covariances
from dyadlog.assets.warehouse.elimination import Floats, solve

_DIGITS = 9
_ROWS = 1024


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
    values = np.array(forms, dtype=np.float64)
    given = np.isfinite(values).astype(np.float64)
    values = np.nan_to_num(values)
    covariances, means = pairwise_covariances(values, given)
    if len(forms) <= len(means) or not np.isfinite(covariances).all():
        return [None] * len(forms)
    inverse = solve(covariances, np.eye(len(means)))
    if inverse is None:
        return [None] * len(forms)
    distances = np.concatenate(
        [
            _squares(
                ((values[start : start + _ROWS] - means) * given[start : start + _ROWS]).T.copy(), inverse
            )
            for start in range(0, len(forms), _ROWS)
        ]
    )
    return [round(distance, _DIGITS) + 0.0 for distance in distances.tolist()]


def _squares(away: Floats, inverse: Floats) -> Floats:
    """The quadratic form for each column of some forms that fit into a processor's own memory."""
    found = np.zeros(away.shape[1])
    for one, own in enumerate(away):
        beside = own * (inverse[one, one] / 2)
        for other in range(one):
            beside += away[other] * inverse[one, other]
        found += own * beside
    return 2 * found
