"""The table of questionnaires that were filled in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from dyadlog.assets.simulation.answers import MISSING, answer, as_lists, form_of, keyed
from dyadlog.assets.simulation.chance import Floats, Ints, curve, logit, rounded
from dyadlog.assets.simulation.records import Records, Table, same, where
from dyadlog.schemas.simulation import Due


@dataclass(frozen=True)
class _Occasions:
    """Forms that are due: client, slot (-1: no session), latent value, study day, lag, log odds of a reply."""

    row: Ints
    slot: Ints
    latent: Floats
    day: Ints
    lag: Ints
    odds: Floats


def form_table(r: Records) -> Table:
    """One row per form of the battery that was filled in, with its answers."""
    return pl.concat([_forms(r, due) for due in r.p.battery])


def _forms(r: Records, due: Due) -> Table:
    chance, p = r.chance("form", due.id), r.p
    model = p.answering[due.instrument, due.version]
    form = form_of(model)
    asked = _occasions(r, due, model.latent)
    given = np.flatnonzero(chance.logistic(len(asked.row)) < asked.odds)
    row, slot, count = asked.row[given], asked.slot[given], len(given)
    answers = answer(model, asked.latent[given], chance, p.number("answers.missing"))
    full = (answers != MISSING).all(axis=1)
    seconds = curve(chance.uniform(count), p.curve("answers.seconds_per_item")) * len(form.items)
    claims = full & (chance.uniform(count) < p.number("answers.claimed_total"))
    words = {name: same(getattr(due, name), count) for name in ("instrument", "version", "rater", "occasion")}
    return pl.DataFrame(
        {
            **r.who(row),
            "session_number": where(slot >= 0, slot + 1),
            **r.when(row, asked.day[given], asked.lag[given]),
            "measure": same(due.id, count),
            **words,
            "latent": asked.latent[given],
            "items": as_lists(answers),
            "total": where(full, keyed(answers, form).sum(axis=1)),
            "claims_total": claims,
            "seconds": rounded(seconds),
        }
    )


def _occasions(r: Records, due: Due, latent: str) -> _Occasions:
    p, courses = r.p, r.courses
    usual = logit(due.completed) + r.site.completeness
    if due.sessions == "once":
        row, none = r.everybody, np.full(r.site.clients, -1)
        odds = np.full(len(row), usual)
        if due.occasion == "intake":
            zero = np.zeros_like(row)
            return _Occasions(row, none, r.clients.severity, zero, zero, odds)
        odds += p.number("answers.completed_of_leaving") * r.left
        return _Occasions(row, none, courses.last_symptoms, r.end_day, r.lag[row, 0], odds)
    row, slot = r.held
    values = {
        "alliance_client": courses.alliance,
        "alliance_therapist": courses.therapist_view,
        "symptoms": courses.symptoms,
    }[latent]
    contact = [p.named("answers.completed_of_contact")[name] for name in p.named("session.format")]
    odds = (
        usual
        + np.array(contact)[courses.contact[row, slot]]
        + p.number("answers.completed_of_within") * courses.within[row, slot]
    )
    return _Occasions(row, slot, values[row, slot], r.days[row, slot], r.lag[row, slot], odds)
