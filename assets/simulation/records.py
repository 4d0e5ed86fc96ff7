"""What all tables of a site are made from, and the columns that they share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from dyadlog.assets.simulation.chance import Chance, Flags, Floats, Ints
from dyadlog.assets.simulation.course import HELD, Clients, Courses, enrol, last_held, treat
from dyadlog.assets.simulation.network import Site, Therapists, therapists
from dyadlog.schemas.simulation import Parameters

Table = pl.DataFrame


class Records:
    """The arrays of a site, with ids and days.

    Args:
        p: parameters.
        seed: seed of the study.
        site: the site.

    Attributes:
        enrolled: day of the study on which each client enrolled.
        days: study day of every planned session (clients x slots).
        lag: days until what happened at it is recorded.
    """

    def __init__(self, p: Parameters, seed: int, site: Site) -> None:
        self.p, self.seed, self.site = p, seed, site
        self.staff: Therapists = therapists(p, seed, site)
        self.clients: Clients = enrol(p, seed, site, self.staff)
        self.courses: Courses = treat(p, seed, site, self.staff, self.clients)
        chance, count, longest = self.chance("calendar"), site.clients, self.courses.status.shape[1]
        self.enrolled = (chance.uniform(count) * p.number("calendar.enrolment_days")).astype(np.int64)
        start = (chance.uniform(count, 1) * p.number("calendar.wait_days")).astype(np.int64)
        shift = (chance.uniform(count, longest) * p.number("calendar.shift_days")).astype(np.int64)
        self.days: Ints = start + int(p.number("calendar.days_between")) * np.arange(longest) + shift
        self.lag: Ints = (chance.uniform(count, longest) * (site.recording_lag + 1)).astype(np.int64)
        self.short = site.site_id.replace("site-", "s")
        self._client_id = _ids(f"{self.short}-c", count, 5)
        self._therapist_id = _ids(f"{self.short}-t", site.therapists, 3)

    def chance(self, *purpose: str) -> Chance:
        """A stream of random numbers for one part of the tables."""
        return Chance(self.seed, self.site.site_id, *purpose)

    @property
    def held(self) -> tuple[Ints, Ints]:
        """Client and slot of every held session."""
        row, slot = np.nonzero(self.courses.status == HELD)
        return row, slot

    @property
    def everybody(self) -> Ints:
        """Position of every client."""
        return np.arange(self.site.clients)

    @property
    def left(self) -> Flags:
        """Whether each client left early."""
        left: Flags = self.courses.left_after >= 0
        return left

    @property
    def end_day(self) -> Ints:
        """Study day on which a treatment is closed; that of a client who left is closed some weeks later."""
        last = self.days[self.everybody, last_held(self.courses)]
        end: Ints = last + np.where(self.left, int(self.p.number("course.closed_after_days")), 0)
        return end

    def site_column(self, count: int) -> pl.Series:
        """The site's id in every row."""
        return same(self.site.site_id, count)

    def therapist_ids(self) -> pl.Series:
        """Ids of the site's therapists."""
        return self._therapist_id

    def who(self, row: Ints) -> dict[str, pl.Series]:
        """Columns that say about whom a row is."""
        return {
            "site_id": self.site_column(len(row)),
            "client_id": self._client_id.gather(pl.Series(row)),
            "therapist_id": self._therapist_id.gather(pl.Series(self.clients.therapist[row])),
        }

    def when(self, row: Ints, study_day: Ints, lag: Ints) -> dict[str, Ints]:
        """Columns that say when something was and when it was recorded."""
        day = self.enrolled[row] + study_day
        return {"study_day": study_day, "day": day, "recorded_on": day + lag}

    def session(self, row: Ints, slot: Ints, later: Ints | int = 0) -> dict[str, pl.Series | Ints]:
        """Columns that say to which session a row belongs.

        Args:
            row: client.
            slot: planned session.
            later: days by which it is recorded later than the session itself.
        """
        when = self.when(row, self.days[row, slot], self.lag[row, slot] + later)
        return {**self.who(row), "session_number": slot + 1, **when}


def _ids(head: str, count: int, digits: int) -> pl.Series:
    return pl.Series([f"{head}{nth:0{digits}d}" for nth in range(1, count + 1)], dtype=pl.String)


def same(value: str, count: int) -> pl.Series:
    """A column with the same text in every row."""
    return pl.Series([value], dtype=pl.String).new_from_index(0, count)


def words(names: Sequence[str], which: Ints) -> pl.Series:
    """Names by position."""
    return pl.Series([*names], dtype=pl.String).gather(pl.Series(which))


def where(condition: Flags, values: pl.Series | Ints | Floats) -> pl.Series:
    """Values where the condition holds, null elsewhere."""
    column = pl.Series(values)
    nothing = pl.Series([None], dtype=column.dtype).new_from_index(0, len(column))
    return column.zip_with(pl.Series(condition), nothing)
