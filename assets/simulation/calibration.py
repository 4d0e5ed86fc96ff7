"""What a simulated study shows beside figures from outside: the calibration table.

Figures are computed from the truth, before faults, over all clients, withdrawn or not. Sums are exact
(`math.fsum`), so that the table, too, is the same on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import polars as pl

from dyadlog.assets.simulation.answers import MISSING, as_matrix, keyed
from dyadlog.assets.simulation.truth import Truth
from dyadlog.schemas.instruments import shipped_instruments
from dyadlog.schemas.simulation import Target

Table = pl.DataFrame

# Sites with fewer clients say little about themselves.
_LEAST_CLIENTS = 10
_ALPHAS = {"phq-intake": "phq_alpha", "oq-intake": "oq_alpha", "alliance-client": "wai_alpha"}
# Said with every table.
SCATTER = "Tolerances are for studies of a dozen sites or more; smaller ones scatter more."
_RULES = ("client_reports", "therapist_reports", "rating_drops", "rupture_begins")


class Tally:
    """Collects what the figures need, site after site."""

    def __init__(self) -> None:
        self._clients: list[Table] = []
        self._answers: dict[str, list[list[int]]] = {measure: [] for measure in _ALPHAS}
        self.answers = 0

    def add(self, truth: Truth) -> None:
        """Take up one site."""
        self._clients.append(_by_client(truth))
        self.answers += truth.form["items"].explode().count()
        for measure, sums in self._answers.items():
            forms = truth.form.filter(
                (pl.col("measure") == measure) & pl.col("session_number").fill_null(3).eq(3)
            )
            if len(forms):
                sums.append(_sums(forms))

    def figures(self) -> dict[str, float]:
        """All figures by the names of the targets; those without a denominator are left out."""
        clients = pl.concat(self._clients)
        made = {**_site_figures(clients), **_client_figures(clients), **_ruptures(clients)}
        for measure, name in _ALPHAS.items():
            made[name] = _alpha(self._answers[measure])
        made["item_answers"] = self.answers
        return {name: value for name, value in made.items() if not math.isnan(value)}


def table(figures: dict[str, float], targets: dict[str, Target]) -> list[tuple[str, str, str, str, str]]:
    """Rows of the calibration table: what, target, tolerance, simulated, verdict (`met`, `off` or `no data`)."""
    rows = []
    for name, target in targets.items():
        found = figures.get(name)
        verdict = (
            "no data" if found is None else "met" if abs(found - target.value) <= target.tolerance else "off"
        )
        shown = "-" if found is None else f"{found:,.{target.digits}f}"
        value, give = (f"{number:,.{target.digits}f}" for number in (target.value, target.tolerance))
        rows.append((target.says, value, give, shown, verdict))
    return rows


def as_markdown(figures: dict[str, float], targets: dict[str, Target]) -> str:
    """The calibration table as a page."""
    head = ("what", "target", "tolerance", "simulated", "verdict")
    rows = [head, tuple("---" for _ in head), *table(figures, targets)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(["# Calibration of simulated data", "", *lines, "", SCATTER, ""])


def _by_client(truth: Truth) -> Table:
    """One row per client with everything that is counted."""
    key = ["site_id", "client_id"]
    sessions = truth.session.group_by(key).agg(
        (pl.col("status") == "held").sum().alias("held"), pl.len().alias("planned")
    )
    phq = truth.form.filter(instrument="phq-9").sort("study_day", "occasion", maintain_order=True)
    by_occasion = {
        name: phq.filter(occasion=occasion).group_by(key).agg(pl.col("total").last().alias(name))
        for name, occasion in (("phq_before", "intake"), ("phq_after", "end"), ("phq_last", "pre_session"))
    }
    forms = truth.form.filter(occasion="intake", instrument="phq-9").select(
        *key, pl.lit(True).alias("form_before")
    )
    ends = truth.form.filter(occasion="end", instrument="phq-9").select(
        *key, pl.lit(True).alias("form_after")
    )
    made = truth.client.select(*key, "left_early")
    reports = truth.report.filter(event="marked")
    rules = {f"{who}_reports": reports.filter(perspective=who) for who in ("client", "therapist")} | {
        "rupture_begins": truth.rupture,
        "rating_drops": _drops(truth),
    }
    flags = [rows.select(*key, pl.lit(True).alias(name)).unique(key) for name, rows in rules.items()]
    for part in [sessions, *by_occasion.values(), forms, ends, _alliance(truth), *flags]:
        made = made.join(part, on=key, how="left", maintain_order="left")
    return made.with_columns(pl.col("form_before", "form_after", *rules).fill_null(value=False))


def _ratings(truth: Truth) -> Table:
    return (
        truth.form.filter(measure="alliance-client").drop_nulls("total").sort("client_id", "session_number")
    )


def _alliance(truth: Truth) -> Table:
    """Client-rated alliance: mean of sessions 1-2, and of sessions 1-5."""
    total, number = pl.col("total"), pl.col("session_number")
    sums = {"alliance_early": total.filter(number <= 2), "alliance_first": total.filter(number <= 5)}
    means = [pl.when(of.len() > 0).then(of.sum() / of.len()).alias(name) for name, of in sums.items()]
    return _ratings(truth).group_by("site_id", "client_id").agg(means)


def _drops(truth: Truth) -> Table:
    """Clients with a fall between neighbouring ratings of two SD of the falls and rises of all (Stiles et al. 2004)."""
    falls = (
        _ratings(truth)
        .with_columns(
            (pl.col("total").shift(1) - pl.col("total"))
            .over("client_id", order_by="session_number")
            .alias("fall")
        )
        .drop_nulls("fall")
    )
    size = falls["fall"].cast(pl.Int64)
    count = len(size)
    if count == 0:
        return falls
    # Whole numbers: 2 SD as a comparison of squares, exact.
    squares = int((size * size).sum())
    return falls.filter((pl.col("fall") > 0) & (pl.col("fall").cast(pl.Int64) ** 2 * count >= 4 * squares))


def _site_figures(clients: Table) -> dict[str, float]:
    sites = clients.group_by("site_id").agg(
        pl.len().alias("n"), pl.col("left_early").sum(), pl.col("held").sum(), pl.col("planned").sum()
    )
    sites = sites.sort("site_id")
    large = sites.filter(pl.col("n") >= _LEAST_CLIENTS)
    attrition = [left / n for left, n in large.select("left_early", "n").iter_rows()]
    attendance = [held / planned for held, planned in large.select("held", "planned").iter_rows()]
    sizes = sorted(sites["n"].to_list())
    return {
        "attrition_mean": mean(attrition),
        "attrition_sd": sd(attrition),
        "attendance_mean": mean(attendance),
        "attendance_sd": sd(attendance),
        "attendance_least": min(attendance, default=math.nan),
        "attendance_most": max(attendance, default=math.nan),
        "size_small": _quantile(sizes, 0.05) / _quantile(sizes, 0.5),
        "size_large": _quantile(sizes, 0.95) / _quantile(sizes, 0.5),
    }


def _client_figures(clients: Table) -> dict[str, float]:
    held = clients["held"].to_list()
    before, after = (clients[name].drop_nulls().to_list() for name in ("phq_before", "phq_after"))
    outcome = clients.with_columns(pl.coalesce("phq_after", "phq_last").alias("phq_end"))
    pairs = outcome.drop_nulls(["alliance_first", "phq_before", "phq_end"])
    first, last, alliance = (pairs[name].to_list() for name in ("phq_before", "phq_end", "alliance_first"))
    early = clients.drop_nulls("alliance_early").filter(pl.col("held") >= 2)
    stayed, left = (early.filter(left_early=value)["alliance_early"].to_list() for value in (False, True))
    return {
        "sessions_mean": mean(held),
        "sessions_sd": sd(held),
        "sessions_held": float(sum(held)),
        "completed_before": mean(clients["form_before"].cast(pl.Int64).to_list()),
        "completed_after": mean(clients["form_after"].cast(pl.Int64).to_list()),
        "phq_before_mean": mean(before),
        "phq_before_sd": sd(before),
        "phq_after_mean": mean(after),
        "phq_after_sd": sd(after),
        "alliance_outcome_r": -_partial(alliance, last, first),
        "early_alliance_d": _difference(stayed, left),
    }


def _ruptures(clients: Table) -> dict[str, float]:
    return {f"rupture_{rule}": mean(clients[rule].cast(pl.Int64).to_list()) for rule in _RULES}


def _sums(forms: Table) -> list[int]:
    """Whole sums from which alpha follows: complete forms, sum and squares of totals, then of each item."""
    instrument, version = forms.select("instrument", "version").row(0)
    form = shipped_instruments()[instrument].versions[version]
    answers = as_matrix(forms["items"], len(form.items))
    matrix = keyed(answers[(answers != MISSING).all(axis=1)], form)
    columns = [matrix.sum(axis=1), *matrix.T]
    return [
        len(matrix),
        *(int(part) for column in columns for part in (column.sum(), (column * column).sum())),
    ]


def _alpha(parts: list[list[int]]) -> float:
    """Cronbach's alpha."""
    whole = [sum(column) for column in zip(*parts, strict=True)]
    if not whole or whole[0] < 2:
        return math.nan
    n, items = whole[0], len(whole) // 2 - 1
    total, *single = (n * whole[place + 1] - whole[place] ** 2 for place in range(1, len(whole), 2))
    return items / (items - 1) * (1 - sum(single) / total) if total else math.nan


# --- exact statistics ---------------------------------------------------------------------------


def mean(values: Sequence[float]) -> float:
    """Mean; NaN of nothing."""
    return math.fsum(values) / len(values) if values else math.nan


def sd(values: Sequence[float]) -> float:
    """Standard deviation of a sample; NaN of fewer than two values."""
    return math.sqrt(_products(values, values) / (len(values) - 1)) if len(values) > 1 else math.nan


def correlation(x: Sequence[float], y: Sequence[float]) -> float:
    """Pearson's correlation; NaN where one does not vary."""
    spread = _products(x, x) * _products(y, y)
    return _products(x, y) / math.sqrt(spread) if spread else math.nan


def _products(x: Iterable[float], y: Iterable[float]) -> float:
    one, two = list(x), list(y)
    if not one:
        return 0.0
    center = mean(one), mean(two)
    return math.fsum((a - center[0]) * (b - center[1]) for a, b in zip(one, two, strict=True))


def _partial(x: Sequence[float], y: Sequence[float], given: Sequence[float]) -> float:
    """Correlation of x with what of y a line through `given` does not say (residual gain)."""
    spread = _products(given, given)
    if not spread:
        return math.nan
    slope = _products(given, y) / spread
    return correlation(x, [b - slope * c for b, c in zip(y, given, strict=True)])


def _difference(one: Sequence[float], two: Sequence[float]) -> float:
    """Difference of two means in pooled SD."""
    if len(one) < 2 or len(two) < 2:
        return math.nan
    pooled = (_products(one, one) + _products(two, two)) / (len(one) + len(two) - 2)
    return (mean(one) - mean(two)) / math.sqrt(pooled) if pooled else math.nan


def _quantile(ordered: Sequence[float], share: float) -> float:
    """Quantile of ordered values, linear between them."""
    place = share * (len(ordered) - 1)
    left = min(int(place), len(ordered) - 2) if len(ordered) > 1 else 0
    right = min(left + 1, len(ordered) - 1)
    return ordered[left] + (place - left) * (ordered[right] - ordered[left])
