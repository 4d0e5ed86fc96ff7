"""The sites of a simulated study and the therapists who work there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from dyadlog.assets.simulation.chance import (
    Chance,
    Floats,
    Ints,
    choose,
    curve,
    look_up,
    normal_table,
    rounded,
)
from dyadlog.schemas.simulation import Parameters


@dataclass(frozen=True)
class Site:
    """What is true of a site.

    Args:
        site_id: pseudonym.
        clients: clients who enrol.
        therapists: therapists who treat them.
        attendance: share of the planned sessions that a usual client of the site attends.
        attrition: share of clients who leave treatment early.
        alliance: what the site adds to the alliance of its clients, in latent SD.
        completeness: what the site adds to the log odds that a form is filled in.
        recording_lag: days until the site has recorded a session, at most.
        sends_schedule: whether the site also reports planned sessions.
        codes: whether the site has recordings coded.
        interviews: whether the site holds recall interviews.
        delivers: `ndjson`, `gzip` or `table`.
    """

    site_id: str
    clients: int
    therapists: int
    attendance: float
    attrition: float
    alliance: float
    completeness: float
    recording_lag: int
    sends_schedule: bool
    codes: bool
    interviews: bool
    delivers: str


@dataclass(frozen=True)
class Therapists:
    """The therapists of a site; arrays have one entry per therapist.

    Args:
        experience: years of practice.
        level: position in `LEVELS`.
        alliance: what the therapist adds to the alliance of the clients, in latent SD.
        outcome: what the therapist adds to the clients' improvement, in latent SD over a course.
        bias: how much higher than the client the therapist rates the alliance, in latent SD.
    """

    experience: Floats
    level: Ints
    alliance: Floats
    outcome: Floats
    bias: Floats


LEVELS = ("trainee", "certified", "supervisor")


# Steps of the additive sequences that spread the properties of sites evenly, whatever the size of the sites.
_STEPS = {
    "attendance": 0.6180339887,
    "attrition": 0.7548776662,
    "completeness": 0.5698402910,
    "alliance": 0.8191725134,
    "lag": 0.6710436067,
    "format": 0.4142135624,
    "schedule": 0.7320508076,
    "coding": 0.2360679775,
    "interview": 0.6457513111,
}


def sites(p: Parameters, seed: int, count: int, clients: int) -> list[Site]:
    """The sites of a study.

    Sizes are drawn one from each stratum of their distribution; the other properties follow additive sequences over
    the sites in order of size. So even a study with few sites has small and large, good and bad ones, and no
    property goes with size by chance.

    Args:
        p: parameters.
        seed: seed of the study.
        count: number of sites.
        clients: clients of all sites together; every site has one at least.
    """
    size = Chance(seed, "site", "size").strata(count)
    sizes = _shares(curve(size, p.curve("site.size")), clients)
    rank = np.argsort(np.argsort(size, kind="stable"), kind="stable")

    def spread(name: str) -> Floats:
        place = Chance(seed, "site", name).uniform(1) + rank * _STEPS[name]
        within: Floats = place - np.floor(place)
        return within

    attendance = curve(spread("attendance"), p.curve("site.attendance"))
    attrition = curve(spread("attrition"), p.curve("site.attrition"))
    alliance = look_up(spread("alliance"), normal_table()) * p.number("alliance.site_sd")
    completeness = look_up(spread("completeness"), normal_table()) * p.number("site.completeness_sd")
    lag = rounded(curve(spread("lag"), p.curve("recording.site_lag")))
    kinds = p.named("delivery.formats")
    kind = choose(spread("format"), kinds)
    has = {
        name: spread(name) < p.number(f"site.{name}_share") for name in ("schedule", "coding", "interview")
    }
    digits = max(2, len(str(count)))
    return [
        Site(
            site_id=f"site-{nth + 1:0{digits}d}",
            clients=int(sizes[nth]),
            therapists=max(1, int(rounded(sizes[nth] / p.number("therapist.clients")))),
            attendance=float(attendance[nth]),
            attrition=float(attrition[nth]),
            alliance=float(alliance[nth]),
            completeness=float(completeness[nth]),
            recording_lag=int(lag[nth]),
            sends_schedule=bool(has["schedule"][nth]),
            codes=bool(has["coding"][nth]),
            interviews=bool(has["interview"][nth]),
            delivers=[*kinds][kind[nth]],
        )
        for nth in range(count)
    ]


def _shares(sizes: Floats, whole: int) -> Ints:
    """Whole numbers in proportion to `sizes`, at least 1 each, that add up to `whole`."""
    exact = sizes / math.fsum(sizes.tolist()) * whole
    shares = np.maximum(1, np.floor(exact).astype(np.int64))
    largest_rest = np.argsort(shares - exact, kind="stable")
    shares[largest_rest[: max(0, whole - int(shares.sum()))]] += 1
    while shares.sum() > whole:  # very small sites got a client more than their share
        shares[np.argmax(shares)] -= 1
    return shares


def therapists(p: Parameters, seed: int, site: Site) -> Therapists:
    """The therapists of a site."""
    count = site.therapists
    experience = curve(
        Chance(seed, site.site_id, "experience").uniform(count), p.curve("therapist.experience")
    )
    level = (experience >= p.number("therapist.certified_after")).astype(np.int64)
    level += experience >= p.number("therapist.supervisor_after")
    effects = Chance(seed, site.site_id, "therapist")
    return Therapists(
        experience=rounded(experience * 2) / 2,
        level=level,
        alliance=effects.normal(count) * p.number("alliance.therapist_sd"),
        outcome=effects.normal(count) * p.number("symptoms.therapist_sd"),
        bias=p.number("therapist_rating.bias")
        + effects.normal(count) * p.number("therapist_rating.therapist_sd"),
    )
