"""A site's shares beside those of the others and beside its own past.

The others are a band of quantiles, without names and in whole percents, and only if there are enough of them. Limits are
those of a funnel plot (Spiegelhalter 2005, Stat Med 24:1185): what chance alone makes of the share of all others at the
site's own numbers, 95 % and 99.8 %.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import duckdb

from dyadlog.assets.quality.record import Record, Share
from dyadlog.schemas.indicators import indicators

Place = Literal["nothing", "too_few", "withheld", "as_others", "high", "very_high", "low", "very_low"]
Trend = Literal["unknown", "as_before", "higher", "lower"]

_LIMITS = (1.96, 3.09)
# Shares of the others are rounded to whole percents.
_ROUNDING = 0.005
_TREND_LIMIT = 3.0


@dataclass(frozen=True)
class Band:
    """Where the others lie: percentiles of their shares and the share of all of them, in whole percents."""

    sites: int
    low: float
    middle: float
    high: float
    pooled: float


@dataclass(frozen=True)
class Standing:
    """One share of a site.

    Args:
        indicator: what is counted.
        says: the same in words.
        unit: among what.
        n: how many.
        of: of how many.
        band: the others; null if there are too few of them.
        limits: from, to: what chance explains at these numbers (99.8 %); null without a band.
        place: where the site stands among the others.
        asks: whether somebody should look.
        trend: the newest part against what was before.
        words: place and trend in words.
    """

    indicator: str
    says: str
    unit: str
    n: int
    of: int
    band: Band | None
    limits: tuple[float, float] | None
    place: Place
    asks: bool
    trend: Trend
    words: str

    @property
    def share(self) -> float | None:
        """The share, if there is anything to look at."""
        return self.n / self.of if self.of else None


def read_shares(duck: duckdb.DuckDBPyConnection, site_id: str) -> list[Share]:
    """A site's shares."""
    rows = duck.execute(
        "select indicator, n, n_denominator from quality.indicator where site_id = $site order by indicator",
        {"site": site_id},
    ).fetchall()
    return [Share(*row) for row in rows]


def read_bands(duck: duckdb.DuckDBPyConnection, site_id: str) -> dict[str, Band]:
    """Where the others lie, as far as it may be said."""
    rows = duck.execute(
        "select indicator, n_peers, share_low, share_middle, share_high, share_pooled from quality.peer "
        "where site_id = $site and share_pooled is not null order by indicator",
        {"site": site_id},
    ).fetchall()
    return {name: Band(*figures) for name, *figures in rows}


def standings(
    shares: Sequence[Share], bands: Mapping[str, Band], earlier: Sequence[Record], least: int
) -> list[Standing]:
    """All shares of a site, in the order of the registry.

    Args:
        shares: tonight's.
        bands: where the others lie.
        earlier: what the site was told before, oldest first.
        least: the number below which nothing is said.
    """
    now = {share.indicator: share for share in shares}
    before = [{share.indicator: share for share in night.shares} for night in earlier]
    found = []
    for name, about in indicators().items():
        own, band = now.get(name, Share(name, 0, 0)), bands.get(name)
        limits = _limits(band, own.of, _LIMITS[1]) if band and own.of else None
        place = _place(own, band, least)
        trend = _trend(own, [night[name] for night in before if name in night], least)
        found.append(
            Standing(
                indicator=name,
                says=about.says,
                unit=about.of,
                n=own.n,
                of=own.of,
                band=band,
                limits=limits,
                place=place,
                asks=place == f"very_{about.worse}",
                trend=trend,
                words=_words(place, trend, least),
            )
        )
    return found


def _limits(band: Band, of: int, z: float) -> tuple[float, float]:
    middle = min(max(band.pooled, _ROUNDING), 1 - _ROUNDING)
    half = z * math.sqrt(middle * (1 - middle) / of) + _ROUNDING
    return round(max(0.0, middle - half), 4), round(min(1.0, middle + half), 4)


def _place(own: Share, band: Band | None, least: int) -> Place:
    if not own.of:
        return "nothing"
    if own.of < least:
        return "too_few"
    if band is None:
        return "withheld"
    share = own.n / own.of
    (low, high), (very_low, very_high) = (_limits(band, own.of, z) for z in _LIMITS)
    if share > high:
        return "very_high" if share > very_high else "high"
    if share < low:
        return "very_low" if share < very_low else "low"
    return "as_others"


def _trend(own: Share, past: Sequence[Share], least: int) -> Trend:
    """The newest part, as short as it can be judged, against all before it.

    Counts go over everything delivered so far, so the newest part is a difference of two nights.
    """
    for base in reversed(past):
        n, of = own.n - base.n, own.of - base.of
        if of < least:
            continue
        if base.of < least or not 0 <= n <= of:
            break
        middle = own.n / own.of
        spread = math.sqrt(middle * (1 - middle) * (1 / of + 1 / base.of))
        difference = n / of - base.n / base.of
        if spread and abs(difference) > _TREND_LIMIT * spread:
            return "higher" if difference > 0 else "lower"
        return "as_before"
    return "unknown"


def _words(place: Place, trend: Trend, least: int) -> str:
    told = {
        "nothing": "nothing to look at",
        "too_few": f"fewer than {least}: too few to say",
        "withheld": "withheld: too few other sites",
        "as_others": "as others",
        "high": "somewhat higher than others",
        "very_high": "higher than chance explains",
        "low": "somewhat lower than others",
        "very_low": "lower than chance explains",
    }[place]
    since = {
        "unknown": "",
        "as_before": "; as before",
        "higher": "; lately higher than before",
        "lower": "; lately lower than before",
    }[trend]
    return told + since
