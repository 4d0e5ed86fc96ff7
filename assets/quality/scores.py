"""A site's first scores beside those of the others and beside those it sent before (`quality.score_peer`, `score_history`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import duckdb

from dyadlog.schemas.protocol import Protocol

Shift = Literal["too_few", "withheld", "alike", "higher", "lower", "other"]

# Means this near to each other, as parts of the answer range, do not say in which direction scores differ.
_SAME_MEAN = 0.02


@dataclass(frozen=True)
class Scores:
    """First scores of a site on a form; means are parts of the answer range.

    Args:
        form: id of the measure in study.yaml; instrument, version, rater and occasion if it is none.
        n: clients with a score.
        mean: their mean.
        mean_others: mean over the clients of all other sites, in whole percents; null if there are too few sites.
        n_lately: of the clients, those whose score was sent lately.
        mean_lately: their mean; null if there are none.
        mean_before: mean of those before; null if there are none.
        beside_others: how the scores differ from those of the others.
        beside_before: how those of lately differ from those before.
        words: both in words.
    """

    form: str
    n: int
    mean: float
    mean_others: float | None
    n_lately: int
    mean_lately: float | None
    mean_before: float | None
    beside_others: Shift
    beside_before: Shift
    words: str

    @property
    def asks(self) -> bool:
        """Whether somebody should look: what changed lately is also a finding."""
        return self.beside_before in ("higher", "lower", "other")


def read_scores(duck: duckdb.DuckDBPyConnection, protocol: Protocol, site_id: str) -> list[Scores]:
    """A site's first scores, form by form.

    Args:
        duck: the published file.
        protocol: study.yaml.
        site_id: the site.
    """
    least = protocol.thresholds.peers_min
    names = {(m.instrument, m.version, m.rater, m.occasion): m.id for m in protocol.measures}
    rows = duck.execute(
        "select [instrument, version, rater, occasion], peer.n, mean, mean_others, is_apart, n_lately, "
        "mean_lately, mean_before, is_shifted from quality.score_peer as peer inner join quality.score_history "
        "using (site_id, instrument, version, rater, occasion) where site_id = $site order by all",
        {"site": site_id},
    ).fetchall()
    found = []
    for form, n, mean, others, is_apart, n_lately, lately, before, is_shifted in rows:
        place = _shift(is_apart, mean, others) if n >= least else "too_few"
        since = _shift(is_shifted, lately, before) if is_shifted is not None else "too_few"
        found.append(
            Scores(
                form=names.get(tuple(form), " ".join(form)),
                n=n,
                mean=round(mean, 4),
                mean_others=others,
                n_lately=n_lately,
                mean_lately=None if lately is None else round(lately, 4),
                mean_before=None if before is None else round(before, 4),
                beside_others=place,
                beside_before=since,
                words=_words(place, since, least),
            )
        )
    return found


def _shift(is_other: bool | None, mean: float | None, beside: float | None) -> Shift:
    if is_other is None or mean is None or beside is None:
        return "withheld"
    if not is_other:
        return "alike"
    if abs(mean - beside) < _SAME_MEAN:
        return "other"
    return "higher" if mean > beside else "lower"


def _words(place: Shift, since: Shift, least: int) -> str:
    if place == "too_few":
        return f"fewer than {least}: too few to say"
    told = {
        "withheld": "withheld: too few other sites",
        "alike": "as others",
        "higher": "higher than others",
        "lower": "lower than others",
        "other": "spread otherwise than others",
    }[place]
    lately = {
        "too_few": "",
        "alike": "; as before",
        "higher": "; lately higher than before",
        "lower": "; lately lower than before",
        "other": "; lately spread otherwise",
    }[since]
    return told + lately
