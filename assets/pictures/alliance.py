"""Courses of the alliance and agreement of both raters, over all clients."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import duckdb

from dyadlog.assets.pictures.canvas import ACCENT, INK, MUTED, SOFT, WIDTH, Plan, figured, label, quiet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Clients behind a point; with fewer, a mean follows single persons.
MIN_CLIENTS = 5
Row = tuple[Any, ...]

# --- trajectories -----------------------------------------------------------------------------

_COURSES = f"""
select
  instrument, occasion, rater, session_number, count(*) as n,
  avg(common_mean order by common_mean) as mean,
  quantile_cont(common_mean, 0.25) as low,
  quantile_cont(common_mean, 0.75) as high
from marts.alliance_session
where scale = 'total' and common_mean is not null
group by all
having count(distinct (site_id, client_id)) >= {MIN_CLIENTS}
order by instrument, occasion, rater, session_number
"""
_COURSES_OF_SITES = f"""
select instrument, occasion, rater, site_id, session_number, avg(common_mean order by common_mean) as mean
from marts.alliance_session
where scale = 'total' and common_mean is not null
group by all
having count(distinct (site_id, client_id)) >= {MIN_CLIENTS}
order by instrument, occasion, rater, site_id, session_number
"""


def trajectories(duck: duckdb.DuckDBPyConnection) -> Iterable[Plan]:
    """Means and middle halves by session, one picture per form and occasion."""
    rows = duck.execute(_COURSES).fetchall()
    sites = duck.execute(_COURSES_OF_SITES).fetchall()
    title = "Course of the alliance"
    if not rows:
        nothing = f"No session of the course has alliance ratings of at least {MIN_CLIENTS} clients."
        yield Plan("trajectories", title, nothing)
        return
    forms = list(dict.fromkeys((row[0], row[1]) for row in rows))
    for place, (instrument, occasion) in enumerate(forms):
        mine = [row[2:] for row in rows if row[:2] == (instrument, occasion)]
        theirs = [row[2:] for row in sites if row[:2] == (instrument, occasion)]
        yield Plan(
            f"trajectories{place or ''}",
            title if len(forms) == 1 else f"{title}: {instrument}, {occasion.replace('_', ' ')}",
            "Mean of all clients by session, with the middle half of the clients as a band and the mean of each site as a thin line, "
            "on the common range of both raters. Bars: clients rated. Who has left is missing from later sessions, so a rising "
            f"line need not mean that anybody rose. Sessions with fewer than {MIN_CLIENTS} clients are not drawn.",
            2.55,
            partial(_draw_trajectories, rows=mine, sites=theirs),
            ("Rater", "Session", "Clients", "Mean", "Lower quartile", "Upper quartile"),
            tuple(
                (rater, str(session), str(n), *map(figured, values)) for rater, session, n, *values in mine
            ),
        )


def _draw_trajectories(drawn: Figure, rows: list[Row], sites: list[Row]) -> None:
    raters = list(dict.fromkeys(row[0] for row in rows))
    wide = (WIDTH - 0.4 - 0.35 * len(raters)) / len(raters)
    first, last = min(row[1] for row in rows), max(row[1] for row in rows)
    values = [value for row in rows for value in row[3:]] + [row[3] for row in sites]
    room = 0.08 * (max(values) - min(values) or 1.0)
    most = max(row[2] for row in rows)
    for place, rater in enumerate(raters):
        left = (0.4 + place * (wide + 0.35)) / WIDTH
        panel = quiet(drawn.add_axes((left, 0.32, wide / WIDTH, 0.52)))
        below = quiet(drawn.add_axes((left, 0.13, wide / WIDTH, 0.13)), grid="")
        label(panel, f"Rated by the {rater}")
        mine = [row for row in rows if row[0] == rater]
        numbers = [row[1] for row in mine]
        courses: dict[str, list[tuple[int, float]]] = defaultdict(list)
        for who, site, session, mean in sites:
            if who == rater:
                courses[site].append((session, mean))
        for course in courses.values() if len(courses) > 1 else ():
            panel.plot(*zip(*course, strict=True), color=MUTED, lw=0.5, alpha=0.7)
        panel.fill_between(numbers, [r[4] for r in mine], [r[5] for r in mine], color=SOFT, alpha=0.55, lw=0)
        panel.plot(numbers, [row[3] for row in mine], color=ACCENT, lw=1.8, marker="o", ms=2.6)
        panel.set_ylim(min(values) - room, max(values) + room)
        panel.set_xticks([])
        below.bar(numbers, [row[2] for row in mine], color=SOFT, width=0.8)
        below.set_ylim(0, most)
        below.set_yticks([0, most], ["0", f"{most:,}"], fontsize=7)
        every = max(1, -(-(last - first + 1) // 8))
        below.set_xticks(range(first, last + 1, every))
        below.set_xlabel("session", fontsize=7.5, labelpad=1)
        for one in (panel, below):
            one.set_xlim(first - 0.6, last + 0.6)


# --- congruence -------------------------------------------------------------------------------


def congruence(duck: duckdb.DuckDBPyConnection) -> Iterable[Plan]:
    """Correlations and differences over dyads, one picture per pair of forms and occasion."""
    rows = duck.execute(
        "select instrument, therapist_instrument, occasion, site_id, r, mean_difference from marts.alliance_congruence "
        "where scale = 'total' order by all"
    ).fetchall()
    title = "Agreement of client and therapist"
    pairs = [
        pair
        for pair in dict.fromkeys(row[:3] for row in rows)
        if sum(row[:3] == pair for row in rows) >= MIN_CLIENTS
    ]
    if not pairs:
        nothing = f"Fewer than {MIN_CLIENTS} dyads have sessions that both client and therapist rated."
        yield Plan("congruence", title, nothing)
        return
    for place, pair in enumerate(pairs):
        mine = [row[3:] for row in rows if row[:3] == pair]
        several = f": {pair[0]} and {pair[1]}, {pair[2].replace('_', ' ')}" if len(pairs) > 1 else ""
        yield Plan(
            f"congruence{place or ''}",
            title + several,
            "One dyad counts once. Left: correlation of both ratings over the sessions of a dyad (at least three rated by both). Right: mean of "
            "therapist minus client in points of the common range; below zero the therapist sees it worse. A high correlation and a "
            "large difference can go together. The dotted line is the mean.",
            1.9,
            partial(_draw_congruence, rows=mine),
            ("Site", "Dyads", "Mean r", "With r", "Mean difference"),
            tuple(_sites_of_congruence(mine)),
        )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _sites_of_congruence(rows: list[Row]) -> list[tuple[str, ...]]:
    by_site: dict[str, list[Row]] = {"all sites": rows}
    for row in rows:
        by_site.setdefault(row[0], []).append(row)
    return [
        (
            site,
            str(len(own)),
            figured(_mean(row[1] for row in own)),
            str(sum(row[1] is not None for row in own)),
            figured(_mean(row[2] for row in own)),
        )
        for site, own in by_site.items()
        if len(own) >= MIN_CLIENTS
    ]


def _draw_congruence(drawn: Figure, rows: list[Row]) -> None:
    wide, gap = (WIDTH - 1.1) / 2, 0.55
    furthest = max(0.5, *(abs(row[2]) for row in rows))
    for place, (text, values, reach) in enumerate(
        (
            ("Correlation within the dyad", [row[1] for row in rows if row[1] is not None], 1.0),
            ("Therapist minus client", [row[2] for row in rows], furthest),
        )
    ):
        panel = quiet(drawn.add_axes(((0.45 + place * (wide + gap)) / WIDTH, 0.16, wide / WIDTH, 0.63)))
        label(panel, f"{text} (n = {len(values):,})")
        panel.set_xlim(-reach, reach)
        if not values:
            panel.set_yticks([])
            panel.text(0, 0.5, "no dyad has three sessions rated by both", ha="center", color=MUTED)
            continue
        panel.hist(values, bins=20, range=(-reach, reach), color=SOFT, edgecolor=ACCENT, linewidth=0.5)
        panel.axvline(0, color=INK, lw=0.7)
        panel.axvline(sum(values) / len(values), color=ACCENT, lw=1.4, ls=(0, (1, 1.2)))
        panel.locator_params(axis="y", integer=True, nbins=4)
