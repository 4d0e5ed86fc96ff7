"""What SQL cannot do exactly: iterative estimates and quantiles, as functions that models call (`-- python:` in their header).

A model stays one SELECT, with its lineage and scope: it hands over lists in a stated order and takes the answer. Every
step starts from a fixed point, stops at a fixed tolerance, sees its input in the order of the model, and rounds what it
gives to `DIGITS` decimals of a standardised scale, so that neither threads nor the linear algebra below change a digest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import duckdb
import numpy as np
from numpy.typing import NDArray

from dyadlog.assets.warehouse import agreement, consistency, student, variances
from dyadlog.assets.warehouse.distance import answer_distances
from dyadlog.assets.warehouse.logistic import logistic
from dyadlog.assets.warehouse.logrank import logrank
from dyadlog.assets.warehouse.minimum import least
from dyadlog.assets.warehouse.surface import SURFACE_STEP

Floats = NDArray[np.float64]
Slopes = list[dict[str, float | None]]

DIGITS = 6
MIN_CLIENTS = (
    3  # a variance of intercepts, one of slopes and their covariance come from that many clients at least
)
_STEPS = 1000
_TAU_TOLERANCE = 1e-12
_FIXED = ("level", "level_se", "trend", "trend_se", "sigma")
_NOTHING: dict[str, float | None] = dict.fromkeys(
    ("fixed_intercept", "fixed_slope", "intercept", "slope", "deviation", "se")
)


def reml_tau2(effects: Sequence[float], variances: Sequence[float]) -> float:
    """Variance between sites by restricted maximum likelihood.

    Fisher scoring as in Viechtbauer 2005, Journal of Educational and Behavioral Statistics 30, 261-293; from the
    estimator of Hedges, steps halved that would leave zero. Adds, multiplies and divides only, so it is the same everywhere.

    Args:
        effects: one per site, in a fixed order.
        variances: their sampling variances, above zero.

    Returns:
        the variance, zero for a single site.
    """
    k = len(effects)
    if k < 2:
        return 0.0
    mean = math.fsum(effects) / k
    tau2 = max(0.0, math.fsum((y - mean) ** 2 for y in effects) / (k - 1) - math.fsum(variances) / k)
    for _ in range(_STEPS):
        weights = [1 / (v + tau2) for v in variances]
        total, squares = math.fsum(weights), math.fsum(w**2 for w in weights)
        cubes = math.fsum(w**3 for w in weights)
        mean = math.fsum(w * y for w, y in zip(weights, effects, strict=True)) / total
        weighted = math.fsum(w**2 * (y - mean) ** 2 for w, y in zip(weights, effects, strict=True))
        # trace of P and of P P, with P = W - W 1 1' W / sum W
        trace, trace_squared = total - squares / total, squares - 2 * cubes / total + (squares / total) ** 2
        step = (weighted - trace) / trace_squared
        if tau2 + step < 0:
            step = -tau2
        tau2 += step
        if abs(step) <= _TAU_TOLERANCE * max(1.0, tau2):
            break
    return tau2


def hlm_slopes(times: Sequence[Sequence[float]], scores: Sequence[Sequence[float]]) -> Slopes:
    """Slope of every client from one mixed model, score ~ time + (time | client), by restricted maximum likelihood.

    The criterion is that of Bates, Maechler, Bolker & Walker 2015, Journal of Statistical Software 67(1), profiled over the
    fixed effects and the residual variance; per client it needs two by two matrices only, which are written out. The
    least is looked for by Nelder & Mead over the factor of the relative covariance, which may end at its border (slopes that
    intercepts determine): there the gradient searches of statsmodels 0.15 stop early.

    Args:
        times: times of the scores of each client.
        scores: the scores.

    Returns:
        for each client the mean intercept and slope, the empirical Bayes intercept and slope (mean and deviation together), the deviation
        and its conditional standard error; nothing where the model cannot be fitted.
    """
    mixed = _Mixed.of(times, scores) if len(scores) >= MIN_CLIENTS else None
    theta = least(mixed.criterion, (1.0, 0.0, 1.0)) if mixed else None
    if mixed is None or theta is None:
        return [dict(_NOTHING) for _ in scores]
    return mixed.answer(theta)


def mixed_effects(
    model: str, times: Sequence[Sequence[float]], scores: Sequence[Sequence[float]]
) -> dict[str, float | None]:
    """Fixed intercept and slope of score ~ time with errors, over all dyads (or clients).

    Args:
        model: `pooled` (least squares over all rows), `random_intercept` or `random_slope` (restricted maximum likelihood, as
            in `hlm_slopes`; intercept and slope of a dyad may correlate).
        times: predictor of each dyad.
        scores: the scores.

    Returns:
        level (intercept) and trend (slope) with standard errors, residual standard deviation; nothing where the model
        cannot be fitted.
    """
    nothing: dict[str, float | None] = dict.fromkeys(_FIXED)
    mixed = _Mixed.of(times, scores) if sum(map(len, scores)) > 2 else None
    if mixed is None:
        return nothing
    if model == "pooled":
        return mixed.fixed((0.0, 0.0, 0.0), 2 * DIGITS)
    if len(scores) < MIN_CLIENTS:
        return nothing
    if model == "random_slope":
        theta = least(mixed.criterion, (1.0, 0.0, 1.0))
        return mixed.fixed(theta, DIGITS) if theta else nothing
    alone = least(lambda spread: mixed.criterion((spread[0], 0.0, 0.0)), (1.0,))
    return mixed.fixed((alone[0], 0.0, 0.0), DIGITS) if alone else nothing


class _Mixed:
    """Sums per client of the model with standardised times and scores."""

    def __init__(self, sums: Floats, place: tuple[float, float, float, float]) -> None:
        self._n, self._t, self._tt, self._y, self._ty, self._yy = sums
        self._rows = float(self._n.sum())
        self._place = place

    @classmethod
    def of(cls, times: Sequence[Sequence[float]], scores: Sequence[Sequence[float]]) -> _Mixed | None:
        """The sums; none where times or scores do not differ."""
        sizes = np.array([len(own) for own in scores])
        t = np.array([value for own in times for value in own], dtype=np.float64)
        y = np.array([value for own in scores for value in own], dtype=np.float64)
        place = (float(t.mean()), float(t.std()), float(y.mean()), float(y.std()))
        if place[1] == 0 or place[3] == 0:
            return None
        t, y = (t - place[0]) / place[1], (y - place[2]) / place[3]
        starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
        parts = [np.ones_like(t), t, t * t, y, t * y, y * y]
        return cls(np.stack([np.add.reduceat(part, starts) for part in parts]), place)

    def _information(
        self, theta: Sequence[float]
    ) -> tuple[tuple[Floats, Floats, tuple[Floats, Floats, Floats, Floats]], tuple[float, float, float]]:
        """Per client the determinant of M, L M^-1 L' (its three entries) and K = S G, and X'V^-1 X of the fixed effects."""
        a, b, c = theta
        n, t, tt = self._n, self._t, self._tt
        m11 = a * a * n + 2 * a * b * t + b * b * tt + 1
        m12 = c * (a * t + b * tt)
        m22 = c * c * tt + 1
        det = m11 * m22 - m12 * m12
        g = np.stack(
            (
                a * a * m22 / det,
                a * (b * m22 - c * m12) / det,
                (b * b * m22 - 2 * b * c * m12 + c * c * m11) / det,
            )
        )
        # K = S G: what is taken off S, Z'y and y'y by the random effects
        k11, k12 = n * g[0] + t * g[1], n * g[1] + t * g[2]
        k21, k22 = t * g[0] + tt * g[1], t * g[1] + tt * g[2]
        x11 = float((n - k11 * n - k12 * t).sum())
        x12 = float((t - k11 * t - k12 * tt).sum())
        x22 = float((tt - k21 * t - k22 * tt).sum())
        return (det, g, (k11, k12, k21, k22)), (x11, x12, x22)

    def _solved(self, theta: Sequence[float]) -> tuple[Floats, Floats, float, float]:
        """Per client L M^-1 L' (its three entries), the fixed effects, the residual sum and the criterion."""
        (det, g, (k11, k12, k21, k22)), (x11, x12, x22) = self._information(theta)
        y1 = float((self._y - k11 * self._y - k12 * self._ty).sum())
        y2 = float((self._ty - k21 * self._y - k22 * self._ty).sum())
        taken = g[0] * self._y**2 + 2 * g[1] * self._y * self._ty + g[2] * self._ty**2
        area = x11 * x22 - x12 * x12
        fixed = np.array([x22 * y1 - x12 * y2, x11 * y2 - x12 * y1]) / area
        rest = float((self._yy - taken).sum()) - y1 * float(fixed[0]) - y2 * float(fixed[1])
        if not (area > 0 and rest > 0):
            return g, fixed, rest, math.inf
        free = self._rows - 2
        return g, fixed, rest, float(np.log(det).sum()) + math.log(area) + free * math.log(rest / free)

    def criterion(self, theta: Sequence[float]) -> float:
        """Minus twice the profiled restricted log-likelihood, up to a constant."""
        return self._solved(theta)[3]

    def fixed(self, theta: Sequence[float], digits: int) -> dict[str, float | None]:
        """Fixed effects in score points and points per time, with their errors, rounded on the standardised scale."""
        _, effects, rest, criterion = self._solved(theta)
        if not math.isfinite(criterion):
            return dict.fromkeys(_FIXED)
        sigma = math.sqrt(rest / (self._rows - 2))
        mean_t, sd_t, mean_y, sd_y = self._place
        shift = mean_t / sd_t
        (v11, v12), (_, v22) = self._errors(theta)
        level, trend = (float(part) for part in effects)
        found = {
            "level": level - trend * shift,
            "level_se": sigma * math.sqrt(max(0.0, v11 - 2 * shift * v12 + shift * shift * v22)),
            "trend": trend,
            "trend_se": sigma * math.sqrt(v22),
            "sigma": sigma,
        }
        rounded = {name: round(value, digits) + 0.0 for name, value in found.items()}
        unit = {"trend": sd_y / sd_t, "trend_se": sd_y / sd_t}
        told: dict[str, float | None] = {
            name: value * unit.get(name, sd_y) for name, value in rounded.items()
        }
        told["level"] = mean_y + rounded["level"] * sd_y
        return told

    def _errors(self, theta: Sequence[float]) -> tuple[tuple[float, float], tuple[float, float]]:
        """Covariance of the fixed effects over the residual variance."""
        x11, x12, x22 = self._information(theta)[1]
        area = x11 * x22 - x12 * x12
        return (x22 / area, -x12 / area), (-x12 / area, x11 / area)

    def answer(self, theta: Sequence[float]) -> Slopes:
        """The clients' slopes in score points per session."""
        g, (level, trend), rest, _ = self._solved(theta)
        left1 = self._y - self._n * level - self._t * trend
        left2 = self._ty - self._t * level - self._tt * trend
        up, tilt = g[0] * left1 + g[1] * left2, g[1] * left1 + g[2] * left2
        error = np.sqrt(np.maximum(g[2], 0) * (rest / (self._rows - 2)))
        mean_t, sd_t, mean_y, sd_y = self._place
        unit = sd_y / sd_t
        deviation, error = (_rounded(part) * unit for part in (tilt, error))
        fixed_slope = float(_rounded(np.array([trend]))[0]) * unit
        slope = fixed_slope + deviation
        intercept = mean_y + sd_y * _rounded(level + up) - slope * mean_t
        fixed_intercept = mean_y + sd_y * float(_rounded(np.array([level]))[0]) - fixed_slope * mean_t
        return [
            {"fixed_intercept": fixed_intercept, "fixed_slope": fixed_slope}
            | {"intercept": i, "slope": s, "deviation": d, "se": e}
            for i, s, d, e in zip(
                intercept.tolist(), slope.tolist(), deviation.tolist(), error.tolist(), strict=True
            )
        ]


def _rounded(values: Floats) -> Floats:
    return np.round(values, DIGITS) + 0.0  # no minus zero


_SLOPES = f"STRUCT({', '.join(f'{name} DOUBLE' for name in _NOTHING)})[]"
# Function, types of what it takes, type of what it gives.
STEPS: dict[str, tuple[Callable[..., object], tuple[str, ...], str]] = {
    "reml_tau2": (reml_tau2, ("DOUBLE[]", "DOUBLE[]"), "DOUBLE"),
    "response_surface": SURFACE_STEP,
    "answer_distances": (answer_distances, ("DOUBLE[][]",), "DOUBLE[]"),
    "scale_consistency": (
        consistency.scale_consistency,
        ("VARCHAR[]", "DOUBLE[][]"),
        consistency.RESULT,
    ),
    "t_quantile": (student.t_quantile, ("BIGINT",), "DOUBLE"),
    "beyond_t": (student.beyond_t, ("DOUBLE", "BIGINT"), "DOUBLE"),
    "normal_below": (student.normal_below, ("DOUBLE",), "DOUBLE"),
    "least_squares": (
        student.least_squares,
        ("DOUBLE[]", "VARCHAR[]", "DOUBLE[][]", "VARCHAR[]", "VARCHAR[][]"),
        student.TERMS,
    ),
    "mixed_effects": (
        mixed_effects,
        ("VARCHAR", "DOUBLE[][]", "DOUBLE[][]"),
        f"STRUCT({', '.join(f'{name} DOUBLE' for name in _FIXED)})",
    ),
    "hlm_slopes": (hlm_slopes, ("DOUBLE[][]", "DOUBLE[][]"), _SLOPES),
    "nested_variances": (
        variances.nested_variances,
        ("BIGINT[][]", "DOUBLE[][]"),
        variances.RESULT,
    ),
    "crossed_variances": (
        variances.crossed_variances,
        ("BIGINT[]", "BIGINT[]", "DOUBLE[][]"),
        variances.RESULT,
    ),
    "coder_agreement": (
        agreement.coder_agreement,
        ("VARCHAR[]", "VARCHAR[]", "DOUBLE[]", "BOOLEAN"),
        agreement.RESULT,
    ),
    "logrank": (
        logrank,
        ("VARCHAR[]", "BIGINT[]", "INTEGER[]", "INTEGER[]"),
        "STRUCT(n_sites INTEGER, n_clients INTEGER, n_events INTEGER, chi_square DOUBLE, df INTEGER, p DOUBLE)",
    ),
    "logistic": (
        logistic,
        ("BOOLEAN[]", "VARCHAR[]", "DOUBLE[][]", "VARCHAR[]"),
        "STRUCT(term VARCHAR, n_clients INTEGER, estimate DOUBLE, se DOUBLE, p DOUBLE)[]",
    ),
}

# Steps that look at one row only; what the others give is estimated from many rows together.
BY_ROW = frozenset({"t_quantile", "beyond_t", "normal_below"})


def register(duck: duckdb.DuckDBPyConnection) -> None:
    """Make the steps known to a database."""
    for name, (step, takes, gives) in STEPS.items():
        duck.create_function(name, step, list(takes), gives)
