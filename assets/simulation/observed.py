"""What clients, therapists and interviewers told of the sessions, and what feedback was shown."""

from __future__ import annotations

import numpy as np
import polars as pl

from dyadlog.assets.simulation.chance import Ints, choose, curve, rounded
from dyadlog.assets.simulation.course import HELD, Courses
from dyadlog.assets.simulation.records import Records, Table, same, where, words

STRAIN_SCHEME = "ct-brief"


def kind_of_open(courses: Courses) -> Ints:
    """Kind of the rupture that began last, for every planned session; -1 before the first."""
    slots = np.arange(courses.status.shape[1])
    began = np.maximum.accumulate(np.where(courses.rupture_begins >= 0, slots, 0), axis=1)
    kind: Ints = np.take_along_axis(courses.rupture_begins, began, axis=1)
    return kind


def report_table(r: Records) -> Table:
    """Direct reports of ruptures (`event` marked) and of repairs (resolved), by client and therapist."""
    p = r.p
    row, slot = r.held
    open_now = r.courses.in_rupture[row, slot]
    kinds = [*p.named("rupture.kinds"), "unspecified"]
    kind = np.where(open_now, kind_of_open(r.courses)[row, slot], -1)
    experience = r.staff.experience[r.clients.therapist[row]] / 10 - 1
    parts = []
    for perspective, more in (("client", 0.0), ("therapist", p.number("report.of_experience"))):
        chance = r.chance("report", perspective)
        sees = chance.logistic(len(row)) < p.number(f"report.{perspective}_logit") + more * experience
        imagines = chance.uniform(len(row)) < p.number("report.false_share")
        level = 1 + chance.pick(p.named("report.level"), len(row))
        marks = np.where(open_now, sees, imagines)
        resolves = r.courses.repaired[row, slot] & sees
        for event, which in (("marked", marks), ("resolved", resolves)):
            rows = np.flatnonzero(which)
            parts.append(
                pl.DataFrame(
                    {
                        **r.session(row[rows], slot[rows]),
                        "event": same(event, len(rows)),
                        "perspective": same(perspective, len(rows)),
                        "kind": where(
                            np.full(len(rows), event == "marked"), words(kinds, kind[rows] % len(kinds))
                        ),
                        "level": level[rows],
                    }
                )
            )
    return pl.concat(parts)


def strain_table(r: Records) -> Table:
    """Countertransference that therapists rated after a session."""
    p, chance = r.p, r.chance("strain")
    row, slot = r.held
    rated = chance.uniform(len(row)) < p.number("countertransference.rated")
    intensity = rounded(100 * chance.uniform(len(row)))
    rows = np.flatnonzero(rated & (r.courses.strain[row, slot] >= 0))
    row, slot = row[rows], slot[rows]
    return pl.DataFrame(
        {
            **r.session(row, slot),
            "scheme": same(STRAIN_SCHEME, len(rows)),
            "code": words([*p.named("countertransference.codes")], r.courses.strain[row, slot]),
            "intensity": intensity[rows],
        }
    )


def feedback_table(r: Records, clients: Table) -> Table:
    """Outcome feedback that was shown to therapists, in the arm that has it."""
    p, chance = r.p, r.chance("feedback")
    row, slot = r.held
    has = (clients["arm"] == "feedback").to_numpy()[row] & (r.courses.number_held[row, slot] > 1)
    shown = chance.uniform(len(row)) < p.number("feedback.shown")
    rows = np.flatnonzero(has & shown)
    row, slot = row[rows], slot[rows]
    worse = r.courses.symptoms[row, slot] - r.clients.severity[row] > p.number("feedback.alarm")
    return pl.DataFrame(
        {
            **r.session(row, slot),
            "instrument": same("phq-9", len(rows)),
            "signal": words(["on_track", "not_on_track"], worse.astype(np.int64)),
        }
    )


def interview_tables(r: Records) -> tuple[Table, Table]:
    """Recall interviews about two early sessions of some clients of some sites, and their coded moments."""
    p, chance = r.p, r.chance("interview")
    slots = [int(number) - 1 for number in p.named("interview.sessions").values()]
    asked = np.flatnonzero((r.courses.status[:, slots] == HELD).all(axis=1))
    asked = asked[: int(p.number("interview.clients"))] if r.site.interviews else asked[:0]
    row = np.repeat(asked, 2 * len(slots))
    slot = np.tile(np.repeat(slots, 2), len(asked))
    perspective = np.tile(np.arange(2), len(asked) * len(slots))
    count = len(row)
    states = p.named("interview.status")
    state = chance.pick(states, count)
    done = state == [*states].index("done")
    later = 1 + (chance.uniform(count) * p.number("interview.within_days")).astype(np.int64)
    interviewer = (chance.uniform(count) * p.number("interview.interviewers")).astype(np.int64)
    ids = [f"{r.short}-i{nth + 1}" for nth in range(int(p.number("interview.interviewers")))]
    people = ["client", "therapist"]
    interviews = pl.DataFrame(
        {
            **r.session(row, slot, later),
            "perspective": words(people, perspective),
            "interviewer": words(ids, interviewer),
            "status": words([*states], state),
            "minutes": where(done, rounded(curve(chance.uniform(count), p.curve("interview.minutes")))),
        }
    )
    most = int(p.number("interview.moments"))
    calm, tense = p.named("interview.codes"), p.named("interview.codes_in_rupture")
    draw = chance.uniform(count, most)
    in_rupture = r.courses.in_rupture[row, slot][:, None]
    code = np.where(in_rupture, choose(draw, tense), choose(draw, calm))
    start = np.sort((chance.uniform(count, most) * 2800).astype(np.int64), axis=1)
    length = 10 + (chance.uniform(count, most) * 110).astype(np.int64)
    which, nth = np.nonzero(
        (chance.uniform(count, most) < p.number("interview.moment_share")) & done[:, None]
    )
    coded = r.session(row[which], slot[which], later[which] + int(p.number("interview.coded_after_days")))
    moments = pl.DataFrame(
        {
            **coded,
            "perspective": words(people, perspective[which]),
            "moment": nth + 1,
            "code": words([*calm], code[which, nth]),
            "coder": same(f"{r.short}-k1", len(which)),
            "start_second": start[which, nth],
            "end_second": start[which, nth] + length[which, nth],
        }
    )
    return interviews, moments
