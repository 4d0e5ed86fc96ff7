"""The treatments of one site, session by session.

Every client has a row and every planned session a column. Random numbers are drawn for all of them at once, so
that what happens to one client does not move the chance of another. The equations are in docs/simulation.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dyadlog.assets.simulation.chance import Chance, Flags, Floats, Ints, choose, curve, hazard, logit
from dyadlog.assets.simulation.network import Site, Therapists
from dyadlog.schemas.simulation import Parameters

# What became of a planned session.
NOT_PLANNED, HELD, MISSED, CANCELLED = range(4)


@dataclass(frozen=True)
class Clients:
    """The clients of a site; arrays have one entry per client. Units are latent SD where nothing else is said.

    Args:
        therapist: position among the site's therapists.
        severity: symptoms at intake.
        interpersonal: interpersonal problems.
        alliance: how much better than others of the same therapist the client sees the alliance.
        growth: growth of the alliance over a long treatment.
        improvement: fall of symptoms over a long treatment.
        congruence: how much of a change in the client's alliance the therapist's rating follows.
        planned: sessions planned.
        attendance: log odds of attending a planned session.
    """

    therapist: Ints
    severity: Floats
    interpersonal: Floats
    alliance: Floats
    growth: Floats
    improvement: Floats
    congruence: Floats
    planned: Ints
    attendance: Floats


@dataclass
class Courses:
    """What happened; arrays of clients x planned sessions.

    Args:
        status: NOT_PLANNED, HELD, MISSED or CANCELLED.
        number_held: running number among the held sessions, 0 elsewhere.
        alliance: alliance as the client sees it after the session, latent SD.
        within: its part that is due to this session: state, rupture, repair.
        therapist_view: alliance as the therapist sees it, latent SD.
        symptoms: symptoms before the session, latent SD.
        rupture_begins: position of the kind of rupture that begins, -1 elsewhere.
        in_rupture: whether a rupture is open in the session.
        repaired: whether the rupture is repaired in the session.
        contact: position of the way of contact in `session.format`.
        opening, closing: whether an opening or closing ritual was observable.
        strain: position of the therapist's countertransference in `countertransference.codes`, -1 where there is none.
        gain: whether a sudden gain lies between the session and the held one before.
        left_after: slot of the last session of a client who left early, -1 for others.
        last_symptoms: symptoms at the end, latent SD; one entry per client.
    """

    status: Ints
    number_held: Ints
    alliance: Floats
    within: Floats
    therapist_view: Floats
    symptoms: Floats
    rupture_begins: Ints
    in_rupture: Flags
    repaired: Flags
    contact: Ints
    opening: Flags
    closing: Flags
    strain: Ints
    gain: Flags
    left_after: Ints
    last_symptoms: Floats


def enrol(p: Parameters, seed: int, site: Site, therapists: Therapists) -> Clients:
    """The clients of a site, before their first session."""
    count = site.clients
    who = Chance(seed, site.site_id, "client")
    therapist = (who.uniform(count) * site.therapists).astype(np.int64)
    severity = who.normal(count)
    share = p.number("client.severity_interpersonal_r")
    interpersonal = share * severity + np.sqrt(1 - share * share) * who.normal(count)
    alliance = (
        who.normal(count) * p.number("alliance.client_sd")
        - p.number("alliance.of_interpersonal") * interpersonal
    )
    shared = site.alliance + therapists.alliance[therapist] + alliance
    improvement = (
        p.number("symptoms.improvement")
        + p.number("symptoms.of_severity") * severity
        + p.number("symptoms.of_alliance") * shared
        + therapists.outcome[therapist]
        + p.number("symptoms.improvement_sd") * who.normal(count)
    )
    return Clients(
        therapist=therapist,
        severity=severity,
        interpersonal=interpersonal,
        alliance=alliance,
        growth=p.number("alliance.growth") + p.number("alliance.growth_sd") * who.normal(count),
        improvement=improvement,
        congruence=p.number("therapist_rating.congruence")
        + p.number("therapist_rating.congruence_sd") * who.normal(count),
        planned=curve(who.uniform(count), p.curve("course.planned")).astype(np.int64),
        attendance=logit(site.attendance) + p.number("course.attendance_sd") * who.normal(count),
    )


def treat(p: Parameters, seed: int, site: Site, therapists: Therapists, clients: Clients) -> Courses:
    """All sessions of a site's clients."""
    treatment = _Treatment(p, seed, site, therapists, clients)
    for slot in range(treatment.longest):
        treatment.session(slot)
    return treatment.end()


class _Treatment:
    """The treatments of a site on their way; arrays that change have one entry per client."""

    def __init__(
        self, p: Parameters, seed: int, site: Site, therapists: Therapists, clients: Clients
    ) -> None:
        count, self.longest = site.clients, int(p.number("course.longest"))
        self.p = p
        self.clients = clients
        self.made = _nothing(count, self.longest)
        self.draw = _draws(seed, site, count, self.longest)
        self._settings(Chance(seed, site.site_id, "course", "setting"))
        whose = clients.therapist
        self.level = site.alliance + therapists.alliance[whose] + clients.alliance
        self.bias = therapists.bias[whose]
        self.handling = p.number("rupture.of_experience") * (therapists.experience[whose] / 10 - 1)
        self.risk = (
            p.number("rupture.logit")
            + p.number("rupture.of_interpersonal") * clients.interpersonal
            - self.handling
        )
        steps = int(p.number("dropout.sessions_at_risk"))
        self.leaving = logit(hazard(site.attrition, steps)) + p.number("dropout.offset")
        self.going = np.ones(count, dtype=bool)
        self.held = np.zeros(count, dtype=np.int64)
        self.mood = np.zeros(count)  # state of the alliance
        self.within = np.zeros(count)  # the same with rupture and repair
        self.early_sum = np.zeros(count)
        self.in_rupture = np.zeros(count, dtype=bool)
        self.depth = np.zeros(count)
        self.bonus = np.zeros(count)
        self.strained = np.zeros(count)  # what the last session's countertransference does to the next
        self.stress = np.zeros(count)  # state of the symptoms
        self.gains = np.zeros(count)

    def session(self, slot: int) -> None:
        """One planned session of everybody who is still in treatment."""
        p, made = self.p, self.made
        treated = self.going & (slot < self.clients.planned)
        attends = self.clients.attendance + p.number("course.attendance_of_alliance") * self.within
        came = treated & ((slot == 0) | (self.draw["attend"][:, slot] < attends))
        called_off = self.draw["how"][:, slot] < p.number("course.cancelled_share")
        absent = np.where(called_off, CANCELLED, MISSED)
        gone = made.status[:, slot]  # who left at the session before is missed once
        made.status[:, slot] = np.where(came, HELD, np.where(treated, absent, gone))
        self.held += came
        made.number_held[:, slot] = np.where(came, self.held, 0)
        self._symptoms(slot, came)
        self._ruptures(slot, came)
        self._alliance(slot, came)
        self._leave(slot, came)

    def _settings(self, chance: Chance) -> None:
        """Ways of contact and rituals; a client has a usual one, from which a session may differ."""
        p, made = self.p, self.made
        shape = made.status.shape
        formats = p.named("session.format")
        usual = chance.pick(formats, shape[0])[:, None]
        differs = chance.uniform(*shape) < p.number("session.other_format")
        made.contact[:] = np.where(differs, choose(chance.uniform(*shape), formats), usual)
        for ritual, name in ((made.opening, "opening"), (made.closing, "closing")):
            has = chance.uniform(shape[0], 1) < p.number(f"ritual.{name}_clients")
            ritual[:] = has & (chance.uniform(*shape) < p.number("ritual.sessions"))
        codes = p.named("countertransference.codes")
        strain = chance.uniform(*shape) < p.number("countertransference.share")
        made.strain[:] = np.where(strain, choose(chance.uniform(*shape), codes), -1)
        self.of_contact = np.array([p.named("alliance.of_contact")[name] for name in formats])
        of_code = p.named("countertransference.of_code")
        # The last entry is for -1: no countertransference.
        self.of_strain = np.array([*(of_code[name] for name in codes), 0.0])

    def _growth(self) -> Floats:
        """How much of a long treatment's change has come by the nth session: (n - 1) / (n - 1 + half)."""
        past = np.maximum(self.held - 1, 0)
        grown: Floats = past / (past + self.p.number("course.half_change"))
        return grown

    def _course_of_symptoms(self) -> Floats:
        return (
            self.clients.severity
            - self.clients.improvement * self._growth()
            - self.gains
            - self.p.number("symptoms.of_within_alliance") * self.within
        )

    def _symptoms(self, slot: int, came: Flags) -> None:
        p, draw = self.p, self.draw
        gain = came & (self.held > 2) & (draw["gain"][:, slot] < p.number("symptoms.gain_share"))
        size = _between(p, "symptoms.gain", draw["size"][:, slot])
        self.gains += np.where(gain, size, 0)
        self.made.gain[:, slot] = gain
        fresh = (
            p.number("symptoms.state_kept") * self.stress
            + p.number("symptoms.state_sd") * draw["stress"][:, slot]
        )
        self.stress = np.where(came, fresh, self.stress)
        self.made.symptoms[:, slot] = self._course_of_symptoms() + self.stress

    def _ruptures(self, slot: int, came: Flags) -> None:
        p, draw = self.p, self.draw
        begins = came & ~self.in_rupture & (self.held > 1) & (draw["rupture"][:, slot] < self.risk)
        repaired = (
            came & self.in_rupture & (draw["repair"][:, slot] < p.number("repair.logit") + self.handling)
        )
        depth = _between(p, "rupture.depth", draw["depth"][:, slot])
        self.depth = np.where(begins, depth, self.depth)
        self.bonus += np.where(repaired, p.number("repair.gain"), 0)
        self.in_rupture = (self.in_rupture | begins) & ~repaired
        kind = choose(draw["kind"][:, slot], p.named("rupture.kinds"))
        self.made.rupture_begins[:, slot] = np.where(begins, kind, -1)
        self.made.repaired[:, slot] = repaired
        self.made.in_rupture[:, slot] = self.in_rupture & came

    def _alliance(self, slot: int, came: Flags) -> None:
        p, made = self.p, self.made
        mood = (
            p.number("alliance.state_kept") * self.mood
            + p.number("alliance.state_sd") * self.draw["mood"][:, slot]
        )
        self.mood = np.where(came, mood, self.mood)
        setting = self.of_contact[made.contact[:, slot]] + p.number("alliance.of_ritual") * (
            made.opening[:, slot].astype(np.float64) + made.closing[:, slot]
        )
        within = self.mood - self.depth * self.in_rupture + self.bonus + setting + self.strained
        self.within = np.where(came, within, self.within)
        self.strained = np.where(came, self.of_strain[made.strain[:, slot]], self.strained)
        course = self.level + self.clients.growth * self._growth()
        made.alliance[:, slot] = course + self.within
        made.within[:, slot] = self.within
        made.therapist_view[:, slot] = (
            self.bias
            + p.number("therapist_rating.of_level") * course
            + self.clients.congruence * self.within
            + p.number("therapist_rating.state_sd") * self.draw["view"][:, slot]
        )
        self.early_sum += np.where(came & (self.held <= 2), made.alliance[:, slot], 0)

    def _leave(self, slot: int, came: Flags) -> None:
        p = self.p
        early = self.early_sum / np.maximum(1, np.minimum(self.held, 2))
        odds = (
            self.leaving
            - p.number("dropout.of_early_alliance") * early
            + p.number("dropout.of_open_rupture") * self.in_rupture
        )
        left = came & (self.draw["leave"][:, slot] < odds) & (slot + 1 < self.clients.planned)
        self.made.left_after[left] = slot
        self.going &= ~left
        if slot + 1 < self.longest:
            # Who leaves does not say so: the next session is simply missed.
            self.made.status[left, slot + 1] = MISSED

    def end(self) -> Courses:
        """What happened; a treatment that was completed ends with a held session."""
        made = self.made
        slots = np.arange(self.longest)
        last = last_held(made)
        made.status[(slots > last[:, None]) & (made.left_after < 0)[:, None]] = NOT_PLANNED
        made.last_symptoms[:] = self._course_of_symptoms() + self.stress
        return made


def last_held(courses: Courses) -> Ints:
    """Slot of the last held session of every client."""
    held = courses.status == HELD
    last: Ints = held.shape[1] - 1 - np.argmax(held[:, ::-1], axis=1)
    return last


def _between(p: Parameters, name: str, uniform: Floats) -> Floats:
    """Even numbers between two parameters, `<name>_least` and `<name>_most`."""
    least = p.number(f"{name}_least")
    return least + uniform * (p.number(f"{name}_most") - least)


def _nothing(count: int, longest: int) -> Courses:
    shape = (count, longest)
    return Courses(
        status=np.zeros(shape, np.int64),
        number_held=np.zeros(shape, np.int64),
        alliance=np.zeros(shape),
        within=np.zeros(shape),
        therapist_view=np.zeros(shape),
        symptoms=np.zeros(shape),
        rupture_begins=np.full(shape, -1, np.int64),
        in_rupture=np.zeros(shape, bool),
        repaired=np.zeros(shape, bool),
        contact=np.zeros(shape, np.int64),
        opening=np.zeros(shape, bool),
        closing=np.zeros(shape, bool),
        strain=np.full(shape, -1, np.int64),
        gain=np.zeros(shape, bool),
        left_after=np.full(count, -1, np.int64),
        last_symptoms=np.zeros(count),
    )


def _draws(seed: int, site: Site, count: int, longest: int) -> dict[str, Floats]:
    def of(name: str) -> Chance:
        return Chance(seed, site.site_id, "course", name)

    made = {name: of(name).logistic(count, longest) for name in ("attend", "leave", "rupture", "repair")}
    made |= {name: of(name).normal(count, longest) for name in ("mood", "stress", "view")}
    made |= {name: of(name).uniform(count, longest) for name in ("how", "kind", "depth", "gain", "size")}
    return made
