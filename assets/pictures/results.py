"""Ruptures by rule and outcome by site."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import duckdb

from dyadlog.assets.pictures.canvas import (
    ACCENT,
    BAD,
    GOOD,
    INK,
    MUTED,
    PAPER,
    SOFT,
    TINT,
    WIDTH,
    Plan,
    beside,
    figured,
    label,
    quiet,
    signs,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Of the normal distribution, for 95 % intervals.
Z = 1.959964
Row = tuple[Any, ...]

# --- ruptures ---------------------------------------------------------------------------------

_FOUND = """
with judged as (select source, basis, count(*) as n_sessions from marts.rupture_session group by all)

select
  basis, rule_id, source, n_sessions,
  count(*) filter (where status = 'repaired') as repaired,
  count(*) filter (where status = 'unrepaired') as unrepaired,
  count(*) filter (where status = 'censored') as censored
from marts.rupture_event
inner join judged using (source, basis)
group by basis, rule_id, source, n_sessions
order by basis = 'rating', basis, rule_id, source
"""


def ruptures(duck: duckdb.DuckDBPyConnection) -> Plan:
    """Ruptures per ten sessions by rule and source, and what became of them."""
    rows = duck.execute(_FOUND).fetchall()
    title = "Ruptures by rule and source"
    if not rows:
        return Plan("ruptures", title, "No rule found a rupture, and nobody reported one.")
    return Plan(
        "ruptures",
        title,
        "Ruptures per ten sessions that the rule could judge, and what became of them. The rules disagree because they ask different questions; none is "
        "the right one. Censored: ratings stop before a repair could be seen, which is not the same as unrepaired.",
        0.75 + 0.175 * len(rows),
        partial(_draw_ruptures, rows=rows),
        (
            "Rests on",
            "Rule",
            "Source",
            "Sessions judged",
            "Repaired",
            "Not repaired",
            "Censored",
            "Per ten sessions",
        ),
        tuple(
            (*row[:3], *(f"{value:,}" for value in row[3:]), figured(10 * sum(row[4:]) / row[3]))
            for row in rows
        ),
    )


def _draw_ruptures(drawn: Figure, rows: list[Row]) -> None:
    tall = drawn.get_figheight()
    names = [f"{rule} · {source}" for _, rule, source, *_ in rows]
    left = 0.25 + 0.053 * max(map(len, names))
    panel = quiet(
        drawn.add_axes((left / WIDTH, 0.32 / tall, (WIDTH - left - 0.45) / WIDTH, (tall - 0.75) / tall)),
        grid="x",
    )
    label(panel, "Per ten sessions")
    starts = [0.0] * len(rows)
    for column, words, style in (
        (4, "repaired", {"color": GOOD}),
        (5, "not repaired", {"color": BAD}),
        (6, "censored", {"color": PAPER, "edgecolor": MUTED, "linewidth": 0.7}),
    ):
        widths = [10 * row[column] / row[3] for row in rows]
        panel.barh(range(len(rows)), widths, left=starts, height=0.68, label=words, **style)
        starts = [start + width for start, width in zip(starts, widths, strict=True)]
    for place, (end, row) in enumerate(zip(starts, rows, strict=True)):
        beside(panel, end, place, f"{sum(row[4:]):,}")
    panel.set_yticks(range(len(rows)), names, fontsize=7)
    panel.set_ylim(len(rows) - 0.4, -0.6)
    panel.set_xlim(0, 1.08 * max(starts))
    signs(panel)


# --- outcome ----------------------------------------------------------------------------------

# Of several rules that judge a form, the first; effects rest on the pairs of scores and are the same under most.
_SITES = """
with chosen as (
  select instrument, version, rater, rule_id
  from marts.site_outcome
  group by instrument, version, rater, rule_id
  qualify row_number() over (
    partition by instrument, version, rater order by sum(n_judged) > 0 desc, sum(n_pairs) desc, rule_id
  ) = 1
)

select
  instrument, version, rater, rule_id, site_id, n_pairs, smcr, sqrt(smcr_variance) as se,
  n_recovered, n_improved, n_unchanged, n_deteriorated
from marts.site_outcome
inner join chosen using (instrument, version, rater, rule_id)
order by instrument, version, rater, site_id
"""
_POOLED = "select instrument, version, rater, rule_id, estimate, low, high from marts.pooled_outcome where effect = 'smcr' and method = 'reml'"
_CATEGORIES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("recovered", {"color": GOOD}),
    ("improved", {"color": SOFT, "edgecolor": ACCENT, "linewidth": 0.5}),
    ("unchanged", {"color": TINT, "edgecolor": MUTED, "linewidth": 0.5}),
    ("deteriorated", {"color": BAD}),
)


def outcomes(duck: duckdb.DuckDBPyConnection) -> Iterable[Plan]:
    """Effect and categories of each site, one picture per form."""
    rows = [row for row in duck.execute(_SITES).fetchall() if row[5]]
    pooled = {row[:4]: row[4:] for row in duck.execute(_POOLED).fetchall()}
    if not rows:
        nothing = "No client has an outcome score both before and after."
        yield Plan("outcome", "Outcome by site", nothing)
        return
    for place, key in enumerate(dict.fromkeys(row[:4] for row in rows)):
        mine = [row[4:] for row in rows if row[:4] == key]
        over = pooled.get(key)
        yield Plan(
            f"outcome{place or ''}",
            f"Outcome by site: {key[0]}, {key[2]}",
            "Left: standardised mean change by the SD before (bias corrected), with its 95 % interval; plus is better; the diamond is pooled over sites "
            f"(random effects, REML). Right: what became of the clients by the rule {key[3]}. n: clients with both scores; who has no "
            "second score is missing. Sites differ in whom they treat: this is no league table.",
            0.72 + 0.2 * (len(mine) + (over is not None)),
            partial(_draw_outcome, rows=mine, pooled=over),
            ("Site", "Pairs", "Effect", "Low", "High", *(name.capitalize() for name, _ in _CATEGORIES)),
            tuple(_rows_of_outcome(mine, over)),
        )


def _rows_of_outcome(rows: list[Row], pooled: Row | None) -> list[tuple[str, ...]]:
    told = []
    for site, pairs, effect, se, *categories in rows:
        known = effect is not None and se is not None
        limits = (effect - Z * se, effect + Z * se) if known else (None, None)
        told.append((site, str(pairs), figured(effect), *map(figured, limits), *map(str, categories)))
    if pooled:
        told.append(("pooled", str(sum(row[1] for row in rows)), *map(figured, pooled), "", "", "", ""))
    return told


def _draw_outcome(drawn: Figure, rows: list[Row], pooled: Row | None) -> None:
    tall, lines = drawn.get_figheight(), len(rows) + (pooled is not None)
    names = [f"{row[0]} (n = {row[1]:,})" for row in rows] + (["pooled"] if pooled else [])
    left = 0.2 + 0.06 * max(map(len, names))
    wide = (WIDTH - left - 0.45) / 2
    bottom, high = 0.28 / tall, (tall - 0.72) / tall
    forest = quiet(drawn.add_axes((left / WIDTH, bottom, wide / WIDTH, high)), grid="x")
    shares = quiet(drawn.add_axes(((left + wide + 0.35) / WIDTH, bottom, wide / WIDTH, high)), grid="x")
    label(forest, "Standardised mean change")
    forest.axvline(0, color=INK, lw=0.7)
    for place, (_, _, effect, se, *_) in enumerate(rows):
        if effect is None or se is None:
            beside(forest, 0, place, "too few clients")
            continue
        forest.plot([effect - Z * se, effect + Z * se], [place, place], color=ACCENT, lw=1.2)
        forest.plot(effect, place, "s", color=ACCENT, ms=4)
    if pooled:
        estimate, low, up = pooled
        at = len(rows)
        forest.fill([low, estimate, up, estimate], [at, at - 0.3, at, at + 0.3], color=INK, lw=0)
    forest.set_yticks(range(lines), names, fontsize=7)
    shares.set_yticks([])
    for panel in (forest, shares):
        panel.set_ylim(lines - 0.4, -0.6)
    shares.set_xlim(0, 100)
    shares.set_xticks([0, 50, 100], ["0", "50 %", "100"])
    if not any(sum(row[4:]) for row in rows):
        shares.text(50, 0, "no rule judges this form", ha="center", va="center", color=MUTED, fontsize=7.5)
        return
    for words, style in _CATEGORIES:
        shares.barh(0, 0, label=words, **style)
    for place, row in enumerate(rows):
        start = 0.0
        for (_, style), count in zip(_CATEGORIES, row[4:], strict=True):
            width = 100 * count / (sum(row[4:]) or 1)
            shares.barh(place, width, left=start, height=0.66, **style)
            start += width
    signs(shares)
