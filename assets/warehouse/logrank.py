"""Log-rank test over any number of groups."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

import numpy as np

from dyadlog.assets.warehouse.elimination import solve

Test = dict[str, float | int | None]


def logrank(
    groups: Sequence[str], times: Sequence[int], leaving: Sequence[int], events: Sequence[int]
) -> Test:
    """Observed against expected events in each group, at the times of any event.

    Mantel 1966, Cancer Chemotherapy Reports 50, 163-170; Peto & Peto 1972, Journal of the Royal Statistical Society A 135,
    185-207. Variances are hypergeometric.

    Args:
        groups: group of each entry; entries of a group stand together.
        times: when clients leave, once per group and time.
        leaving: how many leave then, with or without an event.
        events: how many of them with an event.

    Returns:
        numbers of groups, clients and events; chi-square, its degrees of freedom and p; these are empty with fewer than two
        groups, or where no group could have had more or fewer events than it had.
    """
    own = [
        {time: (left, had) for _, time, left, had in rows}
        for _, rows in groupby(zip(groups, times, leaving, events, strict=True), key=lambda row: row[0])
    ]
    counts: Test = {"n_sites": len(own), "n_clients": sum(leaving), "n_events": sum(events)}
    nothing: Test = {"chi_square": None, "df": None, "p": None}
    moments = sorted({time for time, had in zip(times, events, strict=True) if had})
    if len(own) < 2 or not moments:
        return counts | nothing
    ends = sorted(set(times))
    at = {time: place for place, time in enumerate(ends)}
    left = np.zeros((len(own), len(ends)))
    had = np.zeros((len(own), len(ends)))
    for group, rows in enumerate(own):
        for time, entry in rows.items():
            left[group, at[time]], had[group, at[time]] = entry
    # Whole numbers, so every sum is exact.
    risk = np.cumsum(left[:, ::-1], axis=1)[:, ::-1]
    places = [at[time] for time in moments]
    risk, had = risk[:, places], had[:, places]
    n, d = risk.sum(axis=0), had.sum(axis=0)
    share = risk / n
    scale = np.where(n > 1, d * (n - d) / np.maximum(n - 1, 1), 0.0)
    surplus = [math.fsum(row) for row in had - d * share]
    free = len(own) - 1
    variance = np.array(
        [
            [math.fsum(scale * share[one] * ((one == other) - share[other])) for other in range(free)]
            for one in range(free)
        ]
    )
    solved = solve(variance, np.array(surplus[:free]))
    if solved is None:
        return counts | nothing
    chi_square = math.fsum(a * b for a, b in zip(surplus[:free], solved, strict=True))
    return counts | {"chi_square": chi_square, "df": free, "p": beyond_chi_square(chi_square, free)}


def beyond_chi_square(value: float, df: int) -> float:
    """Chance of a greater chi-square; closed form for whole degrees of freedom (Abramowitz & Stegun 1964, 26.4.4-5)."""
    half = max(value, 0.0) / 2
    if df % 2:
        p, term = math.erfc(math.sqrt(half)), math.exp(-half) * math.sqrt(half) * 2 / math.sqrt(math.pi)
        start = 3
    else:
        p, term = math.exp(-half), math.exp(-half) * half
        start = 4
    for step in range(start, df + 1, 2):
        p += term
        term *= half * 2 / step
    return min(p, 1.0)
