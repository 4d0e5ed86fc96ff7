"""What the published marts hold of one course of treatment, read for a picture."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb

# One statement per question; every one is about one client at one site.
_EPISODES = """
select episode_id from marts.session where site_id = $site and client_id = $client
union select episode_id from marts.alliance_session where site_id = $site and client_id = $client
union select episode_id from marts.outcome_score where site_id = $site and client_id = $client
union select episode_id from marts.rupture_event where site_id = $site and client_id = $client
union select episode_id from marts.dropout where site_id = $site and client_id = $client
order by episode_id
"""
_OF = "where site_id = $site and client_id = $client and episode_id = $episode"


@dataclass(frozen=True)
class Session:
    """A session and what became of it; `day` is relative to the client's index date."""

    number: int
    day: int | None
    status: str
    format: str | None
    absent_by: str | None
    therapist_id: str | None


@dataclass(frozen=True)
class Rating:
    """Alliance of a session as one rater saw it, on the common range."""

    series: tuple[str, str, str, str]
    session: int
    value: float
    at_ceiling: bool

    @property
    def rater(self) -> str:
        """Who rated."""
        return self.series[0]


@dataclass(frozen=True)
class Rupture:
    """A session in rupture by one rule and source, and where it was repaired."""

    rule_id: str
    source: str
    basis: str
    session: int
    status: str
    repaired_in: int | None


@dataclass(frozen=True)
class Score:
    """An outcome score; `session` is empty at intake, at the end and afterwards."""

    form: tuple[str, str, str]
    occasion: str
    session: int | None
    value: float
    higher_is_better: bool


@dataclass(frozen=True)
class Ending:
    """How the treatment ended; `censored` if no end was reported."""

    censored: bool
    initiator: str | None
    reason: str | None
    planned: bool | None


@dataclass(frozen=True)
class Course:
    """One episode of a client.

    Args:
        site_id: the site.
        client_id: the client.
        episode_id: the episode.
        sessions: all sessions in order.
        ratings: alliance ratings in order of rater, form and session.
        ruptures: what was said first, then what ratings show; by rule, source and session.
        scores: outcome scores in order of form and measurement.
        cutoffs: published cut-offs of each form, lowest first.
        judged: what became of the client: form, rule, category.
        ending: how it ended; None if nothing is known of sessions and end.
        simulated: whether the data were invented.
    """

    site_id: str
    client_id: str
    episode_id: str
    sessions: tuple[Session, ...]
    ratings: tuple[Rating, ...]
    ruptures: tuple[Rupture, ...]
    scores: tuple[Score, ...]
    cutoffs: dict[tuple[str, str, str], tuple[float, ...]]
    judged: tuple[tuple[str, str, str], ...]
    ending: Ending | None
    simulated: bool

    @property
    def is_empty(self) -> bool:
        """Nothing is there that could be drawn."""
        return not (self.sessions or self.ratings or self.scores or self.ruptures)


def is_known(duck: duckdb.DuckDBPyConnection, site_id: str, client_id: str) -> bool:
    """Whether the marts hold anything of the client."""
    who = {"site": site_id, "client": client_id}
    enrolled = duck.execute(
        "select 1 from marts.client where site_id = $site and client_id = $client limit 1", who
    ).fetchall()
    return bool(enrolled or duck.execute(_EPISODES, who).fetchall())


def courses(duck: duckdb.DuckDBPyConnection, site_id: str, client_id: str) -> list[Course]:
    """All episodes of a client, in the order of their names; none if only the enrolment is known."""
    who = {"site": site_id, "client": client_id}
    return [_course(duck, who | {"episode": row[0]}) for row in duck.execute(_EPISODES, who).fetchall()]


def _course(duck: duckdb.DuckDBPyConnection, who: dict[str, str]) -> Course:
    def rows(sql: str) -> list[tuple[object, ...]]:
        return duck.execute(sql, who).fetchall()

    ended = rows(f"select is_censored, end_initiator, end_reason, end_planned from marts.dropout {_OF}")
    cutoffs: dict[tuple[str, str, str], tuple[float, ...]] = {}
    for instrument, version, rater, cutoff in duck.execute(
        "select distinct instrument, version, rater, cutoff from marts.outcome_reference "
        "where cutoff_kind = 'published' and cutoff is not null order by all"
    ).fetchall():
        form = (instrument, version, rater)
        cutoffs[form] = (*cutoffs.get(form, ()), cutoff)
    ((simulated,),) = duck.execute("select is_simulated from meta.build").fetchall()
    return Course(
        who["site"],
        who["client"],
        who["episode"],
        tuple(
            Session(*row)  # type: ignore[arg-type]
            for row in rows(
                "select session_number, study_day, status, format, absent_by, therapist_id "
                f"from marts.session {_OF} order by session_number"
            )
        ),
        tuple(
            Rating(tuple(row[:4]), *row[4:])  # type: ignore[arg-type]
            for row in rows(
                "select rater, instrument, version, occasion, session_number, common_mean, is_at_ceiling "
                f"from marts.alliance_session {_OF} and scale = 'total' and common_mean is not null "
                "order by rater, instrument, version, occasion, session_number"
            )
        ),
        tuple(
            Rupture(*row)  # type: ignore[arg-type]
            for row in rows(
                "select rule_id, source, basis, session_number, status, repair_session_number "
                f"from marts.rupture_event {_OF} order by basis = 'rating', basis, rule_id, source, session_number, instrument, version, occasion"
            )
        ),
        tuple(
            Score(tuple(row[:3]), *row[3:])  # type: ignore[arg-type]
            for row in rows(
                "select instrument, version, rater, occasion, session_number, score, improvement_sign = 1 "
                f"from marts.outcome_score {_OF} order by instrument, version, rater, measurement"
            )
        ),
        cutoffs,
        tuple(
            (f"{instrument} ({rater})", str(rule), str(category).replace("_", " "))
            for instrument, rater, rule, category in rows(
                f"select instrument, rater, rule_id, category from marts.outcome_client {_OF} and category is not null "
                "order by instrument, version, rater, rule_id"
            )
        ),
        Ending(*ended[0]) if ended else None,  # type: ignore[arg-type]
        bool(simulated),
    )
