"""Linear equations, solved the same way on every machine: one row after the other, without a library of linear algebra."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# A pivot that is this small beside the row it comes from says that the equations do not determine an answer.
_SINGULAR = 1e-11


def solve(matrix: Floats, right: Floats) -> Floats | None:
    """Gauss-Jordan elimination for symmetric positive definite equations.

    Args:
        matrix: coefficients, n x n.
        right: right-hand side, n or n x m.

    Returns:
        the solution, in the shape of the right-hand side; None if there is not exactly one.
    """
    size = len(matrix)
    whole = np.column_stack([matrix, right]).astype(np.float64)
    diagonal = np.diagonal(matrix).copy()
    for place in range(size):
        pivot = whole[place, place]
        if not pivot > _SINGULAR * diagonal[place]:
            return None
        whole[place] /= pivot
        factors = whole[:, place].copy()
        factors[place] = 0.0
        whole -= factors[:, None] * whole[place]
    return whole[:, size:].reshape(right.shape)
