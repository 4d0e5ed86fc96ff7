"""Tables of who was treated by whom, session by session, and how it ended."""

from __future__ import annotations

import numpy as np
import polars as pl

from dyadlog.assets.simulation.chance import Flags, curve, rounded
from dyadlog.assets.simulation.course import HELD, MISSED
from dyadlog.assets.simulation.network import LEVELS
from dyadlog.assets.simulation.records import Records, Table, where, words

_STATUS = ("", "held", "missed", "cancelled")  # in the order of course.HELD, MISSED, CANCELLED


def therapist_table(r: Records) -> Table:
    """One row per therapist."""
    return pl.DataFrame(
        {
            "site_id": r.site_column(r.site.therapists),
            "therapist_id": r.therapist_ids(),
            "years_experience": r.staff.experience,
            "training_level": words(LEVELS, r.staff.level),
            "alliance_effect": r.staff.alliance,
            "outcome_effect": r.staff.outcome,
            "rating_bias": r.staff.bias,
        }
    )


def client_table(r: Records) -> Table:
    """One row per client."""
    chance, count, clients = r.chance("person"), r.site.clients, r.clients
    said = {}
    for name, parameter in (("arm", "arm"), ("treatment_modality", "approach"), ("gender", "gender")):
        weights = r.p.named(f"client.{parameter}")
        said[name] = words([*weights], chance.pick(weights, count))
    return pl.DataFrame(
        {
            **r.who(r.everybody),
            "enrolled_on": r.enrolled,
            **said,
            "age_years": curve(chance.uniform(count), r.p.curve("client.age")).astype(np.int64),
            "severity": clients.severity,
            "interpersonal_problems": clients.interpersonal,
            "alliance_between": clients.alliance,
            "alliance_growth": clients.growth,
            "improvement": clients.improvement,
            "congruence": clients.congruence,
            "sessions_held": (r.courses.status == HELD).sum(axis=1),
            "sessions_planned": (r.courses.status > 0).sum(axis=1),
            "left_early": r.left,
        }
    )


def session_table(r: Records) -> Table:
    """One row per planned session."""
    p, courses, chance = r.p, r.courses, r.chance("session")
    row, slot = np.nonzero(courses.status)
    at = (row, slot)
    status, count = courses.status[at], len(row)
    held = status == HELD
    parties, reasons = p.named("session.absent_party"), p.named("session.absence_reason")
    minutes = rounded(curve(chance.uniform(count), p.curve("session.minutes")))
    by, why = chance.pick(parties, count), chance.pick(reasons, count)
    # Who leaves early is missed without a word.
    gone = r.left[row] & (slot > courses.left_after[row])
    by = np.where(gone | (status == MISSED), [*parties].index("client"), by)
    why = np.where(gone, [*reasons].index("no_show"), why)
    return pl.DataFrame(
        {
            **r.session(row, slot),
            "attended_number": courses.number_held[at],
            "status": words(_STATUS, status),
            "format": words([*p.named("session.format")], courses.contact[at]),
            "duration_minutes": where(held, minutes),
            "absent_by": where(~held, words([*parties], by)),
            "absence_reason": where(~held, words([*reasons], why)),
            "alliance": where(held, courses.alliance[at]),
            "alliance_within": where(held, courses.within[at]),
            "alliance_therapist": where(held, courses.therapist_view[at]),
            "symptoms": where(held, courses.symptoms[at]),
            "in_rupture": courses.in_rupture[at],
            "sudden_gain_before": courses.gain[at],
            "announced": pl.Series([r.site.sends_schedule]).new_from_index(0, count),
        }
    )


def rupture_table(r: Records) -> Table:
    """One row per rupture; `repaired_in` is the session in which it was repaired, if it was."""
    courses = r.courses
    row, slot = np.nonzero(courses.rupture_begins >= 0)
    slots = np.arange(courses.status.shape[1])
    later: Flags = courses.repaired[row] & (slots > slot[:, None])
    # Never more than one rupture is open: the next repair belongs to it.
    repair = np.argmax(later, axis=1)
    kinds = [*r.p.named("rupture.kinds")]
    return pl.DataFrame(
        {
            **r.session(row, slot),
            "kind": words(kinds, courses.rupture_begins[row, slot]),
            "repaired_in": where(np.asarray(later.any(axis=1)), repair + 1),
        }
    )


def ending_table(r: Records) -> Table:
    """One row per client: how the treatment ended."""
    chance, row = r.chance("ending"), r.everybody
    early, planned = r.p.named("ending.early_reason"), r.p.named("ending.planned_reason")
    drawn = chance.pick(early, len(row)), chance.pick(planned, len(row)) + len(early)
    return pl.DataFrame(
        {
            **r.who(row),
            **r.when(row, r.end_day, r.lag[row, 0]),
            "initiator": words(["therapist", "client"], r.left.astype(np.int64)),
            "reason": words([*early, *planned], np.where(r.left, *drawn)),
            "planned": ~r.left,
        }
    )


def followup_table(r: Records) -> Table:
    """One row per client who is contacted after the end."""
    states = r.p.named("followup.status")
    months = int(r.p.number("followup.months"))
    row = r.everybody
    return pl.DataFrame(
        {
            **r.who(row),
            **r.when(row, r.end_day + 30 * months, r.lag[row, 0]),
            "months_after_end": np.full(len(row), months),
            "status": words([*states], r.chance("followup").pick(states, len(row))),
        }
    )


def withdrawal_table(r: Records) -> Table:
    """One row per client who withdraws consent, some time before the end of treatment."""
    chance, count = r.chance("consent"), r.site.clients
    withdraws = chance.uniform(count) < r.p.number("consent.withdrawn")
    modes = r.p.named("consent.mode")
    mode, share = chance.pick(modes, count), chance.uniform(count)
    row = np.flatnonzero(withdraws)
    day = (share[row] * r.end_day[row]).astype(np.int64)
    return pl.DataFrame(
        {**r.who(row), **r.when(row, day, np.zeros_like(row)), "mode": words([*modes], mode[row])}
    )
