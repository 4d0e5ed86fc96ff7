"""Small estimators, to see whether what went into a simulated study can be found in it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def within_slope(person: npt.NDArray[np.int64], x: Array, y: Array, *others: Array) -> float:
    """Slope of y on x within persons (fixed effects), given other predictors."""
    centred = [_centred(person, column) for column in (x, *others)]
    slopes, *_ = np.linalg.lstsq(np.column_stack(centred), _centred(person, y), rcond=None)
    return float(slopes[0])


def _centred(person: npt.NDArray[np.int64], values: Array) -> Array:
    return values - (np.bincount(person, values) / np.bincount(person))[person]


def logistic(design: Array, happened: Array, steps: int = 25) -> Array:
    """Coefficients of a logistic regression (Newton)."""
    found = np.zeros(design.shape[1])
    for _ in range(steps):
        p = 1 / (1 + np.exp(-design @ found))
        weighted = design * (p * (1 - p))[:, None]
        found += np.linalg.solve(design.T @ weighted, design.T @ (happened - p))
    return found
