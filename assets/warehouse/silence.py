"""How a site delivers, judged by its own past: the one rule by which a silent site is late.

A model of a site cannot know it, because until when it has been silent is told by the newest commit of the whole study.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple

from dyadlog.assets.event_log.records import KINDS, Commit
from dyadlog.schemas.study import Study


class Silence(NamedTuple):
    """How long a site has been silent.

    Args:
        days_since: days since its last readable delivery; None if there is none.
        usual_days: median days between its delivery days, if there were at least three.
        is_late: silent for more than twice its usual interval and more than two days; where its habit is not known yet,
            for more than the study's `quiet_days`.
    """

    days_since: int | None
    usual_days: float | None
    is_late: bool


def silence(delivered: Iterable[str], as_of: str | None, quiet_days: int) -> Silence:
    """Judge a site.

    Args:
        delivered: when its readable files were received (UTC, ISO 8601), in any order.
        as_of: when the newest commit of the study was received; None before the first.
        quiet_days: days without a delivery that the study remarks.
    """
    days = [date.fromisoformat(day) for day in sorted({stamp[:10] for stamp in delivered})]
    if not days or as_of is None:
        return Silence(None, None, False)
    since = (date.fromisoformat(as_of[:10]) - days[-1]).days
    gaps = [(b - a).days for a, b in pairwise(days)]
    usual = float(median(gaps)) if len(gaps) > 1 else None
    return Silence(since, usual, since > (quiet_days if usual is None else max(2.0, 2 * usual)))


def silences(study: Study, commits: Sequence[Commit]) -> list[dict[str, Any]]:
    """Rows of `checks.silence`: nothing can be late at a site that has never delivered (SITE_SILENT says so)."""
    told = [c for c in commits if KINDS[c.kind].is_file or (c.act and not c.change)]
    as_of = max((commit.received_at for commit in told), default=None)
    rows = []
    for site_id in study.site_ids:
        own = [c.received_at for c in told if c.kind == "delivery" and c.receipt.site_id == site_id]
        found = silence(own, as_of, study.protocol.thresholds.quiet_days)
        rows.append({"site_id": site_id, "n_violated": int(found.is_late), "n_denominator": int(bool(own))})
    return rows
