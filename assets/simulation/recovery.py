"""Can what went into a simulated study be found again in its marts?

Each figure is estimated twice, by the same formula: from the true values, and from the marts, with everything in
between: answers, deliveries, faults, scoring. Where a parameter of the model is the figure itself, it stands beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import polars as pl
import yaml

from dyadlog.assets.simulation.truth import truth_table

Array = npt.NDArray[np.float64]
KEY = ["site_id", "client_id", "session_number"]
# Ratings from which a client's own spread is used, and drops counted in it (the rules of that name in marts.rupture_event).
_LEAST_RATINGS = 4
_BY_OWN_SD = "drop_own_sd_k"
_FIRST = 2


@dataclass(frozen=True)
class Recovered:
    """One figure.

    Args:
        name: what is estimated.
        true: estimate from the true values.
        found: estimate from the marts.
        se: standard error of `found`.
        n: sessions, therapists or ratings behind it.
        parameter: what the model was given, where the figure estimates it.
    """

    name: str
    true: float
    found: float
    se: float
    n: int
    parameter: float | None = None

    @property
    def off(self) -> float:
        """How many standard errors lie between the two."""
        return abs(self.found - self.true) / self.se if self.se else float("inf")


def recover(duck: duckdb.DuckDBPyConnection, folder: Path) -> list[Recovered]:
    """Estimate all figures.

    Args:
        duck: a database with the marts of the study.
        folder: the simulated study.
    """
    return [_early_alliance(duck, folder), _therapists(duck, folder), *_ruptures(duck, folder)]


def logistic(design: Array, happened: Array, steps: int = 25) -> tuple[Array, Array]:
    """Coefficients of a logistic regression and their standard errors (Newton)."""
    found = np.zeros(design.shape[1])
    information = np.eye(design.shape[1])
    for _ in range(steps):
        p = 1 / (1 + np.exp(-design @ found))
        weighted = design * (p * (1 - p))[:, None]
        information = design.T @ weighted
        found += np.linalg.solve(information, design.T @ (happened - p))
    return found, np.sqrt(np.diag(np.linalg.inv(information)))


def therapist_icc(group: npt.NDArray[np.int64], value: Array) -> tuple[float, float]:
    """Share of variance between groups of unequal size, ANOVA estimator, and its standard error.

    The standard error is Smith's (1957) for equal groups, with the mean size.
    """
    sizes = np.bincount(group)
    count, groups = len(value), len(sizes)
    means = np.bincount(group, value) / sizes
    between = float((sizes * (means - value.mean()) ** 2).sum()) / (groups - 1)
    within = float(((value - means[group]) ** 2).sum()) / (count - groups)
    size = (count - float((sizes**2).sum()) / count) / (groups - 1)
    icc = (between - within) / (between + (size - 1) * within)
    spread = 2 * (1 - icc) ** 2 * (1 + (size - 1) * icc) ** 2 / (size * (size - 1) * (groups - 1))
    return icc, float(np.sqrt(spread))


def _held(duck: duckdb.DuckDBPyConnection, folder: Path) -> pl.DataFrame:
    """Held sessions of the marts with what was true in them."""
    held = duck.sql(
        """
        select s.site_id, s.client_id, s.session_number, s.therapist_id, s.attended_seq, a.item_mean,
          s.session_number = d.last_held_session as is_last, coalesce(d.unilateral, false) as left_early_told
        from marts.session as s
        left join marts.dropout as d using (site_id, client_id, episode_id)
        left join marts.alliance_session as a
          on a.site_id = s.site_id and a.client_id = s.client_id and a.episode_id = s.episode_id
          and a.session_number = s.session_number and a.rater = 'client' and a.scale = 'total'
        where s.status = 'held'
        order by s.site_id, s.client_id, s.session_number
        """
    ).pl()
    session = truth_table(folder, "session").select(*KEY, "alliance", "attended_number", "in_rupture")
    client = truth_table(folder, "client").select("site_id", "client_id", "left_early", "sessions_held")
    return held.join(session, on=KEY, maintain_order="left").join(
        client, on=["site_id", "client_id"], maintain_order="left"
    )


def _early_alliance(duck: duckdb.DuckDBPyConnection, folder: Path) -> Recovered:
    """Fall of the log odds of leaving after a session per latent SD of the alliance in the first two.

    As in the model beside an open rupture, which is known from the truth; the last session of a completed treatment bears
    no risk. Ratings are brought to the latent scale by regression calibration (Carroll et al. 2006, chapter 4): on the
    mean of the true values at the same ratings.
    """
    first = pl.col("attended_number") <= _FIRST
    risk = (
        _held(duck, folder)
        .with_columns(
            pl.col("alliance").filter(first).mean().over("client_id").alias("early"),
            pl.col("item_mean").filter(first).mean().over("client_id").alias("rated"),
            (pl.col("attended_number") == pl.col("sessions_held")).alias("is_truly_last"),
            pl.col("is_last").fill_null(value=False),
        )
        .filter(pl.col("attended_number") >= _FIRST)
        .drop_nulls(["early", "rated"])
    )
    person = risk.unique("client_id", maintain_order=True)
    early, rated = person["early"].to_numpy(), person["rated"].to_numpy()
    slope = float(np.cov(early, rated)[0, 1] / rated.var(ddof=1))

    def fall(predictor: str, unit: float, last: str, left: str) -> tuple[float, float, int]:
        at_risk = risk.filter(pl.col(left) | ~pl.col(last)).with_columns(
            (pl.col(left) & pl.col(last)).alias("leaves")
        )
        # where nobody left nothing is learnt
        at_risk = at_risk.filter(pl.col("leaves").any().over("site_id"))
        site = at_risk["site_id"].to_dummies().to_numpy().astype(float)
        known = at_risk.select(pl.col(predictor) * unit, pl.col("in_rupture").cast(pl.Float64)).to_numpy()
        found, se = logistic(np.column_stack([known, site]), at_risk["leaves"].to_numpy().astype(float))
        return -float(found[0]), float(se[0]), len(at_risk)

    true, _, _ = fall("early", 1.0, "is_truly_last", "left_early")
    found, se, n = fall("rated", slope, "is_last", "left_early_told")
    name = "early alliance and leaving (log odds per latent SD)"
    return Recovered(name, true, found, se, n, _parameter(folder, "dropout.of_early_alliance"))


def _parameter(folder: Path, name: str) -> float:
    made = yaml.safe_load((folder / "truth" / "parameters.yaml").read_text("utf-8"))
    return float(made["parameters"][name])


def _therapists(duck: duckdb.DuckDBPyConnection, folder: Path) -> Recovered:
    """Share of the variance of clients' mean alliance that lies between therapists."""
    rated = _held(duck, folder).drop_nulls("item_mean")
    client = rated.group_by("site_id", "client_id", "therapist_id", maintain_order=True).agg(
        pl.col("item_mean", "alliance").mean()
    )
    client = client.filter(pl.len().over("therapist_id") > 1)
    group = client["therapist_id"].rank("dense").cast(pl.Int64).to_numpy() - 1
    true, _ = therapist_icc(group, client["alliance"].to_numpy())
    found, se = therapist_icc(group, client["item_mean"].to_numpy())
    return Recovered("alliance between therapists (ICC)", true, found, se, int(group.max()) + 1)


def _ruptures(duck: duckdb.DuckDBPyConnection, folder: Path) -> list[Recovered]:
    """Share of ratings that the drop rules by own SD call a rupture, by rater."""
    rules = duck.sql(
        f"select distinct rule_id, source from marts.rupture_event where starts_with(rule_id, '{_BY_OWN_SD}') order by all"
    ).fetchall()
    found: list[Recovered] = []
    for rule, rater in rules:
        k = float(rule.removeprefix(_BY_OWN_SD))
        rated = duck.execute(
            "select site_id, client_id, session_number from marts.alliance_session "
            "where rater = $rater and scale = 'total' and score is not null",
            {"rater": rater},
        ).pl()
        ((hits,),) = duck.execute(
            "select count(*) from marts.rupture_event where rule_id = $rule and source = $rater",
            {"rule": rule, "rater": rater},
        ).fetchall()
        share, n = hits / len(rated), len(rated)
        true = _drops(folder, rater, rated, k)
        se = float(np.sqrt(max(share, 1 / n) * (1 - share) / n))
        found.append(Recovered(f"{rule}, {rater} (share of ratings)", true, share, se, n))
    return found


def _drops(folder: Path, rater: str, rated: pl.DataFrame, k: float) -> float:
    """The same share in what was truly answered, over the clients whose ratings arrived."""
    answers = truth_table(folder, "form").filter(rater=rater, occasion="post_session")
    kept = answers.filter(pl.col("items").list.drop_nulls().list.len() >= pl.col("items").list.len() - 2)
    mean = pl.col("items").list.mean()
    series = kept.join(rated.select("site_id", "client_id").unique(), on=["site_id", "client_id"], how="semi")
    series = series.sort(KEY).with_columns(mean.alias("mean"))
    spread = pl.col("mean").std(ddof=1).over("client_id")
    fall = pl.col("mean").shift(1).over("client_id") - pl.col("mean")
    is_drop = (pl.len().over("client_id") >= _LEAST_RATINGS) & (spread > 0) & (fall >= k * spread)
    return float(series.select(is_drop.fill_null(value=False).mean()).item())
