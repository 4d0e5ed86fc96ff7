"""What trained observers found in recordings: markers of rupture, resolution, rituals; coded late and not alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from dyadlog.assets.simulation.chance import Floats, Ints, choose, curve, rounded
from dyadlog.assets.simulation.observed import kind_of_open
from dyadlog.assets.simulation.records import Records, Table, same, where, words

SCHEME = "3rs"
FAMILIES = ("withdrawal", "confrontation", "resolution")
# At most so many markers of a family in a session.
MOST = 4


@dataclass(frozen=True)
class _Sample:
    """Coded sessions: client, slot, days until they are coded."""

    row: Ints
    slot: Ints
    later: Ints


def coded_tables(r: Records) -> dict[str, Table]:
    """Tables `marker` (what there was to see), `coding` (passes), `segment` (what coders saw) and `ritual`."""
    p, chance = r.p, r.chance("coding")
    row, slot = r.held
    share = p.number("coding.session_share") if r.site.codes else 0.0
    rows = np.flatnonzero(chance.uniform(len(row)) < share)
    later = rounded(curve(chance.uniform(len(row)), p.curve("coding.days_later")))
    sample = _Sample(row[rows], slot[rows], later[rows])
    markers = _markers(r, sample)
    coding, segment = _passes(r, sample, markers)
    return {"marker": markers, "coding": coding, "segment": segment, "ritual": _rituals(r, sample)}


def _rates(r: Records, sample: _Sample) -> Floats:
    """Chance of each of the possible markers, by session and family."""
    p, at = r.p, (sample.row, sample.slot)
    kind = kind_of_open(r.courses)[at]
    kinds = [*p.named("rupture.kinds")]
    open_now, repaired = r.courses.in_rupture[at], r.courses.repaired[at]
    rates = np.full((len(sample.row), len(FAMILIES)), p.number("coding.marker_elsewhere"))
    for place, family in enumerate(FAMILIES[:2]):
        shown = open_now & ((kind == kinds.index(family)) | (kind == kinds.index("mixed")))
        rates[shown, place] = p.number("coding.marker_in_rupture")
    rates[open_now, 2] = p.number("coding.attempt_in_rupture")
    rates[repaired, 2] = p.number("coding.marker_in_repair")
    return rates


def _markers(r: Records, sample: _Sample) -> Table:
    p, chance, count = r.p, r.chance("marker"), len(sample.row)
    shape = (count, len(FAMILIES), MOST)
    there = chance.uniform(*shape) < _rates(r, sample)[:, :, None]
    second = (chance.uniform(*shape) * 2900).astype(np.int64)
    weight = chance.uniform(*shape)
    draw = chance.uniform(*shape)
    which, family, nth = np.nonzero(there)
    serious = r.courses.in_rupture[sample.row, sample.slot][which]
    level = np.where(
        serious, 2 + (weight[there] * 4).astype(np.int64), 1 + (weight[there] * 2).astype(np.int64)
    )
    codes = pl.Series(np.repeat("", len(which)), dtype=pl.String)
    for place, name in enumerate(FAMILIES):
        names = p.named(f"coding.codes_{name}")
        codes = words([*names], choose(draw[there], names)).zip_with(pl.Series(family == place), codes)
    return pl.DataFrame(
        {
            **r.session(sample.row[which], sample.slot[which], sample.later[which]),
            "family": words(FAMILIES, family),
            "marker": nth + 1,
            "code": codes,
            "start_second": second[there],
            "significance": level,
            "sampled": which,
        }
    )


def _passes(r: Records, sample: _Sample, markers: Table) -> tuple[Table, Table]:
    """Each session has a primary coder, some a second one; a coder misses markers, some coders more than others."""
    p, count = r.p, len(sample.row)
    chance = r.chance("coder")
    crew = int(p.number("coding.coders"))
    ids = [f"{r.short}-k{nth + 1}" for nth in range(crew)]
    leaning = p.number("coding.sees_logit") + p.number("coding.coder_sd") * chance.normal(crew)
    first = (chance.uniform(count) * crew).astype(np.int64)
    doubled = chance.uniform(count) < p.number("coding.double_share")
    minutes = 40 + (chance.uniform(count) * 11).astype(np.int64)
    extent = _extent(r, sample, chance.uniform(count))
    of_marker = markers["sampled"].to_numpy()
    passes, segments = [], []
    for role, coder, which in (
        ("primary", first, np.ones(count, bool)),
        ("reliability", (first + 1) % crew, doubled),
    ):
        rows = np.flatnonzero(which)
        sees = (chance.logistic(len(markers)) < leaning[coder][of_marker]) & which[of_marker]
        shift = (chance.uniform(len(markers)) * 7).astype(np.int64) - 3
        seen = np.flatnonzero(sees)
        ruptured = np.zeros(count, bool)
        ruptured[of_marker[sees & (markers["family"] != "resolution").to_numpy()]] = True
        passes.append(
            pl.DataFrame(
                {
                    **r.session(sample.row[rows], sample.slot[rows], sample.later[rows]),
                    "coding_role": same(role, len(rows)),
                    "coder": words(ids, coder[rows]),
                    "coded_minutes": minutes[rows],
                    "extent_resolved": where(ruptured[rows], extent[rows]),
                }
            )
        )
        start = np.maximum(0, markers["start_second"].to_numpy() + shift)
        segments.append(
            markers[seen]
            .drop("sampled")
            .with_columns(
                same(role, len(seen)).alias("coding_role"),
                words(ids, coder[of_marker[seen]]).alias("coder"),
                pl.Series("start_second", start[seen]),
                pl.Series("end_second", start[seen] + 20),
            )
        )
    return pl.concat(passes), pl.concat(segments)


def _extent(r: Records, sample: _Sample, draw: Floats) -> Ints:
    """How far a rupture was resolved, 1 to 5, as a good coder rates it."""
    repaired = r.courses.repaired[sample.row, sample.slot]
    extent: Ints = np.where(repaired, 3, 1) + (draw * 3).astype(np.int64)
    return extent


def _rituals(r: Records, sample: _Sample) -> Table:
    parts = []
    for phase, shown in (("opening", r.courses.opening), ("closing", r.courses.closing)):
        rows = np.flatnonzero(shown[sample.row, sample.slot])
        parts.append(
            pl.DataFrame(
                {
                    **r.session(sample.row[rows], sample.slot[rows], sample.later[rows]),
                    "phase": same(phase, len(rows)),
                }
            )
        )
    return pl.concat(parts)
