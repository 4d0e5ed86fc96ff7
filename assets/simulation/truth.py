"""What is true of a site, as plain tables; nothing here knows how it will be delivered."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from dyadlog.assets.simulation.answers import MISSING, answer, as_lists, form_of
from dyadlog.assets.simulation.chance import Chance, Flags, Floats, Ints, choose, curve, logit, rounded
from dyadlog.assets.simulation.course import (
    CANCELLED,
    HELD,
    MISSED,
    Clients,
    Courses,
    enrol,
    last_held,
    treat,
)
from dyadlog.assets.simulation.network import LEVELS, Site, Therapists, therapists
from dyadlog.schemas.instruments import Version
from dyadlog.schemas.simulation import Due, Parameters

Table = pl.DataFrame


@dataclass(frozen=True)
class Truth:
    """The tables of one site. Keys are `site_id`, `client_id`, `session_number` (among the planned sessions).

    Days: `study_day` counts from the client's enrolment, `day` and `recorded_on` from the start of the study.
    Latent values are in SD of clients at intake.
    """

    site: Table
    therapist: Table
    client: Table
    session: Table
    form: Table
    rupture: Table
    ending: Table
    withdrawal: Table

    def tables(self) -> dict[str, Table]:
        """All tables by name."""
        return dict(vars(self))


def truth_of(p: Parameters, seed: int, site: Site) -> Truth:
    """Everything that happens at a site."""
    return _Telling(p, seed, site).truth()


class _Telling:
    """Turns the arrays of a site into tables."""

    def __init__(self, p: Parameters, seed: int, site: Site) -> None:
        self.p, self.seed, self.site = p, seed, site
        self.staff: Therapists = therapists(p, seed, site)
        self.clients: Clients = enrol(p, seed, site, self.staff)
        self.courses: Courses = treat(p, seed, site, self.staff, self.clients)
        self.row, self.slot = np.nonzero(self.courses.status)
        place = Chance(seed, site.site_id, "calendar")
        self.enrolled = (place.uniform(site.clients) * p.number("calendar.enrolment_days")).astype(np.int64)
        start = (place.uniform(site.clients) * p.number("calendar.wait_days")).astype(np.int64)
        longest = self.courses.status.shape[1]
        step = int(p.number("calendar.days_between"))
        shift = (place.uniform(site.clients, longest) * p.number("calendar.shift_days")).astype(np.int64)
        self.days = start[:, None] + step * np.arange(longest) + shift
        self.lag = (place.uniform(site.clients, longest) * (site.recording_lag + 1)).astype(np.int64)
        short = site.site_id.replace("site-", "s")
        self.client_id = pl.Series([f"{short}-c{n:05d}" for n in range(1, site.clients + 1)], dtype=pl.String)
        self.therapist_id = pl.Series(
            [f"{short}-t{n:03d}" for n in range(1, site.therapists + 1)], dtype=pl.String
        )

    def chance(self, *purpose: str) -> Chance:
        return Chance(self.seed, self.site.site_id, *purpose)

    def truth(self) -> Truth:
        forms = [self._form(due) for due in self.p.battery]
        return Truth(
            site=pl.DataFrame([vars(self.site)]),
            therapist=self._therapist(),
            client=self._client(),
            session=self._session(),
            form=pl.concat(forms),
            rupture=self._rupture(),
            ending=self._ending(),
            withdrawal=self._withdrawal(),
        )

    def _who(self, row: Ints) -> dict[str, object]:
        """Columns that say about whom a row is."""
        return {
            "site_id": pl.repeat(self.site.site_id, len(row), eager=True),
            "client_id": self.client_id.gather(pl.Series(row)),
            "therapist_id": self.therapist_id.gather(pl.Series(self.clients.therapist[row])),
        }

    def _when(self, row: Ints, study_day: Ints, lag: Ints) -> dict[str, object]:
        day = self.enrolled[row] + study_day
        return {"study_day": study_day, "day": day, "recorded_on": day + lag}

    def _therapist(self) -> Table:
        return pl.DataFrame(
            {
                "site_id": pl.repeat(self.site.site_id, self.site.therapists, eager=True),
                "therapist_id": self.therapist_id,
                "years_experience": self.staff.experience,
                "training_level": words(LEVELS, self.staff.level),
                "alliance_effect": self.staff.alliance,
                "outcome_effect": self.staff.outcome,
                "rating_bias": self.staff.bias,
            }
        )

    def _client(self) -> Table:
        p, chance, count = self.p, self.chance("person"), self.site.clients
        row = np.arange(count)
        arms, approaches, genders = (p.weights(f"client.{name}") for name in ("arm", "approach", "gender"))
        clients = self.clients
        return pl.DataFrame(
            {
                **self._who(row),
                "enrolled_on": self.enrolled,
                "arm": words([*arms], chance.pick(arms, count)),
                "treatment_modality": words([*approaches], chance.pick(approaches, count)),
                "age_years": curve(chance.uniform(count), p.curve("client.age")).astype(np.int64),
                "gender": words([*genders], chance.pick(genders, count)),
                "severity": clients.severity,
                "interpersonal_problems": clients.interpersonal,
                "alliance_between": clients.alliance,
                "alliance_growth": clients.growth,
                "improvement": clients.improvement,
                "congruence": clients.congruence,
                "sessions_held": (self.courses.status == HELD).sum(axis=1),
                "sessions_planned": (self.courses.status > 0).sum(axis=1),
                "left_early": self.courses.left_after >= 0,
            }
        )

    def _session(self) -> Table:
        p, at, chance = self.p, (self.row, self.slot), self.chance("session")
        status = self.courses.status[at]
        count = len(status)
        held = status == HELD
        formats, parties = p.weights("session.format"), p.weights("session.absent_party")
        reasons = p.weights("session.absence_reason")
        # A treatment has its way of contact; now and then a session differs.
        usual = choose(self.chance("contact").uniform(self.site.clients), formats)[self.row]
        other = chance.pick(formats, count)
        way = np.where(chance.uniform(count) < p.number("session.other_format"), other, usual)
        minutes = rounded(curve(chance.uniform(count), p.curve("session.minutes")))
        by = chance.pick(parties, count)
        # Who leaves early is missed without a word.
        left = (self.courses.left_after[self.row] >= 0) & (self.slot > self.courses.left_after[self.row])
        by = np.where(left | (status == MISSED), [*parties].index("client"), by)
        why = np.where(left, [*reasons].index("no_show"), chance.pick(reasons, count))
        courses = self.courses
        return pl.DataFrame(
            {
                **self._who(self.row),
                "session_number": self.slot + 1,
                "attended_number": courses.number_held[at],
                **self._when(self.row, self.days[at], self.lag[at]),
                "status": words(STATUS, status),
                "format": where(held, words([*formats], way)),
                "duration_minutes": where(held, pl.Series(minutes)),
                "absent_by": where(~held, words([*parties], by)),
                "absence_reason": where(~held, words([*reasons], why)),
                "alliance": where(held, pl.Series(courses.alliance[at])),
                "alliance_within": where(held, pl.Series(courses.within[at])),
                "alliance_therapist": where(held, pl.Series(courses.therapist_view[at])),
                "symptoms": where(held, pl.Series(courses.symptoms[at])),
                "in_rupture": courses.in_rupture[at],
                "sudden_gain_before": courses.gain[at],
            }
        )

    def _form(self, due: Due) -> Table:
        """The forms of one measure of the battery that were filled in."""
        chance, p = self.chance("form", due.id), self.p
        model = p.answering[due.instrument, due.version]
        row, slot, latent, day, lag = self._occasions(due, model.latent)
        said = chance.logistic(len(row)) < logit(due.completed) + self.site.completeness
        row, slot, latent, day, lag = row[said], slot[said], latent[said], day[said], lag[said]
        answers = answer(model, latent, chance, p.number("answers.missing"))
        form = form_of(model)
        full = (answers != MISSING).all(axis=1)
        seconds = curve(chance.uniform(len(row)), p.curve("answers.seconds_per_item")) * len(form.items)
        claims = full & (chance.uniform(len(row)) < p.number("answers.claimed_total"))
        total = pl.Series(keyed(answers, form).sum(axis=1), dtype=pl.Int64)
        return pl.DataFrame(
            {
                **self._who(row),
                "session_number": where(slot >= 0, pl.Series(slot + 1)),
                **self._when(row, day, lag),
                "measure": pl.repeat(due.id, len(row), eager=True),
                "instrument": pl.repeat(due.instrument, len(row), eager=True),
                "version": pl.repeat(due.version, len(row), eager=True),
                "rater": pl.repeat(due.rater, len(row), eager=True),
                "occasion": pl.repeat(due.occasion, len(row), eager=True),
                "latent": latent,
                "items": as_lists(answers),
                "total": where(full, total),
                "claims_total": claims,
                "seconds": rounded(seconds),
            }
        )

    def _occasions(self, due: Due, latent: str) -> tuple[Ints, Ints, Floats, Ints, Ints]:
        """Client, slot (-1: none), latent value, study day and recording lag of each form that is due."""
        courses, everybody = self.courses, np.arange(self.site.clients)
        none = np.full(self.site.clients, -1)
        if due.occasion == "intake":
            return everybody, none, self.clients.severity, np.zeros_like(none), np.zeros_like(none)
        if due.occasion == "end":
            end = self._end_day()
            return everybody, none, courses.last_symptoms, end, self.lag[everybody, 0]
        row, slot = np.nonzero(courses.status == HELD)
        values = {
            "alliance_client": courses.alliance,
            "alliance_therapist": courses.therapist_view,
            "symptoms": courses.symptoms,
        }[latent]
        return row, slot, values[row, slot], self.days[row, slot], self.lag[row, slot]

    def _end_day(self) -> Ints:
        """The day on which a treatment is closed; that of a client who left is closed some weeks later."""
        last = self.days[np.arange(self.site.clients), last_held(self.courses)]
        wait = np.where(self.courses.left_after >= 0, int(self.p.number("course.closed_after_days")), 0)
        end: Ints = last + wait
        return end

    def _rupture(self) -> Table:
        courses = self.courses
        row, slot = np.nonzero(courses.rupture_begins >= 0)
        slots = np.arange(courses.status.shape[1])
        later = courses.repaired[row] & (slots > slot[:, None])
        repaired = later.any(axis=1)
        # The repair that follows belongs to this rupture: there is never more than one open.
        repair = np.argmax(later, axis=1)
        return pl.DataFrame(
            {
                **self._who(row),
                "session_number": slot + 1,
                **self._when(row, self.days[row, slot], self.lag[row, slot]),
                "kind": words([*self.p.weights("rupture.kinds")], courses.rupture_begins[row, slot]),
                "repaired_in": where(repaired, pl.Series(repair + 1)),
            }
        )

    def _ending(self) -> Table:
        p, count = self.p, self.site.clients
        chance, row, left = self.chance("ending"), np.arange(self.site.clients), self.courses.left_after >= 0
        early, late = p.weights("ending.early_reason"), p.weights("ending.planned_reason")
        reasons = [*early, *late]
        why = np.where(left, chance.pick(early, count), chance.pick(late, count) + len(early))
        return pl.DataFrame(
            {
                **self._who(row),
                **self._when(row, self._end_day(), self.lag[row, 0]),
                "initiator": words(["therapist", "client"], left.astype(np.int64)),
                "reason": words(reasons, why),
                "planned": ~left,
            }
        )

    def _withdrawal(self) -> Table:
        p, count = self.p, self.site.clients
        chance = self.chance("consent")
        row = np.flatnonzero(chance.uniform(count) < p.number("consent.withdrawn"))
        modes = p.weights("consent.mode")
        mode = chance.pick(modes, count)[row]
        day = (chance.uniform(count)[row] * self._end_day()[row]).astype(np.int64)
        return pl.DataFrame(
            {**self._who(row), **self._when(row, day, np.zeros_like(row)), "mode": words([*modes], mode)}
        )


STATUS = ("", "held", "missed", "cancelled")
assert STATUS[HELD] == "held"
assert STATUS[MISSED] == "missed"
assert STATUS[CANCELLED] == "cancelled"


def words(names: list[str] | tuple[str, ...], which: Ints) -> pl.Series:
    """Names by position."""
    return pl.Series(list(names), dtype=pl.String).gather(pl.Series(which))


def where(condition: Flags, values: pl.Series) -> pl.Series:
    """Values where the condition holds, null elsewhere."""
    return values.zip_with(
        pl.Series(condition), pl.Series([None], dtype=values.dtype).new_from_index(0, len(values))
    )


def keyed(answers: np.ndarray[tuple[int, ...], np.dtype[np.int16]], form: Version) -> Ints:
    """Answers in the direction of the scale."""
    turned = [form.items.index(item) for item in form.reversed]
    made = answers.astype(np.int64)
    made[:, turned] = int(form.min + form.max) - made[:, turned]
    return made
