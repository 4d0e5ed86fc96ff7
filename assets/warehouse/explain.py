"""Where a number comes from: models, rules, and the lines of the deliveries that it rests on.

What is said of events is tried out and not guessed: the row is built again from fewer events. An event decides a
cell if the cell changes without it. The events named are enough: from them alone comes the same cell.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from dyadlog.assets.event_log.log import EventLog
from dyadlog.assets.event_log.records import Commit
from dyadlog.assets.event_log.standing import voided
from dyadlog.assets.warehouse import inputs, steps
from dyadlog.assets.warehouse.lineage import ancestry
from dyadlog.assets.warehouse.models import models
from dyadlog.assets.warehouse.worlds import Row, Worlds, chain, is_constant, is_separable
from dyadlog.schemas.errors import UserError
from dyadlog.schemas.marts import contracts
from dyadlog.schemas.study import Study

# Up to so many events each one is left out in turn; of more, whole kinds of events are.
ONE_BY_ONE = 400
# Rows of facts in one build of all worlds.
_LARGEST = 2_000_000
# Constants of more rows than these are counted and not shown.
_SHOWN_CONSTANTS = 4
# Columns that name a person or a place in a course, and no method.
_OF_PERSONS = {"site_id", "client_id", "episode_id", "session_number", "event_id", "measurement"}


@dataclass(frozen=True)
class Told:
    """One accepted line that said something of an event.

    Args:
        event_id: the event.
        event_type: kind of event.
        session_number: session it speaks of.
        revision: of the event.
        holds: whether this is the newest revision.
        decides: whether the cell is another one without the event; None if that was not tried.
        commit_seq: commit of the delivery.
        delivery_id: the delivery.
        file_name: its name in the landing folder.
        line_number: the line.
        voided_in: commit that voided this delivery; the line counts because another one repeats it.
    """

    event_id: str
    event_type: str
    session_number: int | None
    revision: int
    holds: bool
    decides: bool | None
    commit_seq: int
    delivery_id: str
    file_name: str
    line_number: int
    voided_in: int | None


@dataclass(frozen=True)
class Rested:
    """Rows of one table and one site that a figure of several sites rests on."""

    table: str
    site_id: str | None
    rows: int


@dataclass
class Explanation:
    """What one cell of a mart is made of.

    Args:
        mart: the table.
        column: the column.
        label: what it means.
        key: columns of the grain.
        value: the cell.
        path: (table, column, what it is made of), from the cell down to the log.
        constants: table -> rows of rules, norms and thresholds that apply, or how many there are.
        events: lines of events from which alone the same cell comes.
        rests_on: instead of events, where the figure combines sites.
    """

    mart: str
    column: str
    label: str
    key: Row
    value: Any
    path: list[tuple[str, str, list[tuple[str, str]]]]
    constants: dict[str, list[Row] | int]
    events: list[Told] = field(default_factory=list)
    rests_on: list[Rested] = field(default_factory=list)


def explain(
    study: Study,
    log: EventLog,
    upto: int,
    published: Path,
    mart: str,
    key: dict[str, str],
    columns: Sequence[str],
) -> list[Explanation]:
    """Explain cells of one row.

    Args:
        study: the protocol.
        log: the event log.
        upto: the commit that the marts were built of.
        published: the marts.
        mart: name of a mart.
        key: columns and values that one row only has; empty text for an empty cell.
        columns: the columns to explain.

    Raises:
        UserError: there is no such mart, column or row, or there are several rows.
    """
    if mart not in contracts() or not mart.startswith("marts."):
        raise UserError(
            f"{mart} is no mart; there are {', '.join(n for n in contracts() if n.startswith('marts.'))}"
        )
    known = contracts()[mart].columns
    for column in (*key, *columns):
        if column not in known:
            raise UserError(f"{mart} has no column {column}; it has {', '.join(known)}")
    row = _row(published, mart, key)
    whole = {column: row[column] for column in contracts()[mart].grain}
    found = _by_events(study, log, upto, published, mart, whole, row, columns) if is_separable(mart) else None
    rests_on = _by_rows(study, log, upto, mart, row) if found is None else []
    constants = _constants(study, published, mart, row)
    return [
        Explanation(
            mart,
            column,
            known[column].comment,
            whole,
            row[column],
            ancestry(mart, column),
            constants,
            found[column] if found else [],
            rests_on,
        )
        for column in columns
    ]


def _row(published: Path, mart: str, key: dict[str, str]) -> Row:
    same = " and ".join(f"{column}::varchar is not distinct from nullif(${column}, '')" for column in key)
    with duckdb.connect(str(published), read_only=True) as duck:
        found = duck.execute(f"select * from {mart} where {same or 'true'} limit 1000", key)
        names = [column[0] for column in found.description or []]
        rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    if not rows:
        raise UserError(f"{mart} has no row with this key; its key is {', '.join(contracts()[mart].grain)}")
    if len(rows) > 1:
        differ = [c for c in contracts()[mart].grain if len({row[c] for row in rows}) > 1]
        raise UserError(
            f"{mart} has several rows with this key; say {' and '.join(differ)} too, as NAME=VALUE"
        )
    return rows[0]


# --- events ---------------------------------------------------------------------------------


def _by_events(
    study: Study,
    log: EventLog,
    upto: int,
    published: Path,
    mart: str,
    key: Row,
    row: Row,
    columns: Sequence[str],
) -> dict[str, list[Told]] | None:
    """For each column the lines it rests on; None if not even all events of the site give the row again."""
    with closing(Worlds(study, log, upto, published, mart, key["site_id"])) as worlds:
        whole = None
        for client in dict.fromkeys((row.get("client_id"), None)):
            events = worlds.events(client)
            if _equal(worlds.rows(key, [events])[0], row, columns):
                whole = events
                break
        if whole is None:
            return None
        commits = log.commits()[:upto]
        told = {}
        for column, (enough, deciding) in _narrowed(worlds, whole, key, row, columns).items():
            told[column] = _told(worlds, enough, deciding, commits)
        return told


def _narrowed(
    worlds: Worlds, whole: frozenset[str], key: Row, row: Row, columns: Sequence[str]
) -> dict[str, tuple[frozenset[str], frozenset[str] | None]]:
    """For each column enough events, and those that decide it."""
    groups = worlds.groups(whole)
    if len(groups) * len(whole) > _LARGEST:
        return dict.fromkeys(columns, (whole, None))
    without_kind = worlds.rows(key, [whole - group for group in groups])
    single = sorted(whole) if len(whole) <= ONE_BY_ONE else []
    without_one = worlds.rows(key, [whole - {event} for event in single]) if single else []
    tries: list[tuple[str, frozenset[str]]] = []
    deciding: dict[str, frozenset[str] | None] = {}
    for column in columns:
        decides = frozenset(
            event for event, made in zip(single, without_one, strict=True) if not _equal(made, row, [column])
        )
        deciding[column] = decides if single else None
        kinds = [g for g, made in zip(groups, without_kind, strict=True) if not _equal(made, row, [column])]
        if single:
            tries.append((column, decides))
        tries += [(column, decides.union(*kinds)), (column, whole)]
    # The smallest that gives the cell again is tried first.
    distinct = list(dict.fromkeys(events for _, events in tries))
    made_of = dict(zip(distinct, worlds.rows(key, distinct), strict=True))
    enough: dict[str, frozenset[str]] = {}
    for column, events in tries:
        if column not in enough and _equal(made_of[events], row, [column]):
            enough[column] = events
    return {column: (enough[column], deciding[column]) for column in columns}


def _equal(made: Row | None, row: Row, columns: Sequence[str]) -> bool:
    # As text, because a missing number (nan) is not equal to itself.
    return made is not None and all(repr(made[column]) == repr(row[column]) for column in columns)


def _told(
    worlds: Worlds, enough: frozenset[str], deciding: frozenset[str] | None, commits: Sequence[Commit]
) -> list[Told]:
    facts = worlds.duck.execute(
        "select event_id, event_type, session_number, revision, "
        "revision = max(revision) over (partition by event_id) as holds, commit_seq, line_number from arrived "
        "where list_contains($enough, event_id) order by commit_seq, line_number, event_id, revision",
        {"enough": sorted(enough)},
    ).fetchall()
    gone = voided(commits)
    return [
        Told(
            event,
            kind,
            session,
            revision,
            holds,
            None if deciding is None else event in deciding,
            seq,
            commits[seq - 1].receipt.delivery_id,
            commits[seq - 1].receipt.file_name,
            line,
            gone.get(seq),
        )
        for event, kind, session, revision, holds, seq, line in facts
    ]


# --- rows of several sites ------------------------------------------------------------------


def _by_rows(study: Study, log: EventLog, upto: int, mart: str, row: Row) -> list[Rested]:
    """Rows that a figure of several sites is made of, by table and site."""
    with duckdb.connect() as duck:
        steps.register(duck)
        inputs.load_log(duck, log, log.commits()[:upto])
        inputs.load_study(duck, study)
        for layer in ("staging", "intermediate", "marts"):
            duck.execute(f"create schema {layer}")
        for model in chain(mart, through_constants=True):
            if model.name != mart:
                duck.execute(f"create table {model.name} as {model.sql}")
        told = []
        for name in sorted(set(models()[mart].reads) & set(models())):
            has = [column for (column, *_) in duck.execute(f"describe {name}").fetchall()]
            key = {c: row[c] for c in models()[mart].grain if c in has and c not in _OF_PERSONS}
            same = " and ".join(f"{column} is not distinct from ${column}" for column in key) or "true"
            site = "site_id" if "site_id" in has else "null"
            found = duck.execute(
                f"select {site}, count(*) from {name} where {same} group by all order by all", key
            ).fetchall()
            told += [Rested(name, site_id, n) for site_id, n in found if n]
        return told


# --- rules, norms, thresholds ---------------------------------------------------------------


def _constants(study: Study, published: Path, mart: str, row: Row) -> dict[str, list[Row] | int]:
    """What the models on the way compare with, as far as it applies to the row."""
    on_the_way = chain(mart)
    said = set(re.findall(r"\w+", " ".join(model.sql for model in on_the_way)))
    names = sorted({r for model in on_the_way for r in model.reads if r not in models() or is_constant(r)})
    found: dict[str, list[Row] | int] = {}
    with duckdb.connect() as duck:
        inputs.load_study(duck, study)
        duck.execute(f"attach '{str(published).replace(chr(39), chr(39) * 2)}' as published (read_only)")
        for name in names:
            if name.startswith("log."):
                continue
            place = name if name.startswith("study.") else f"published.{name}"
            has = [column for (column, *_) in duck.execute(f"describe {place}").fetchall()]
            key = {c: row[c] for c in has if c in models()[mart].grain and c not in _OF_PERSONS}
            same = " and ".join(f"{column} is not distinct from ${column}" for column in key) or "true"
            rows = duck.execute(f"select * from {place} where {same} order by all", key).fetchall()
            shown = [
                {c: v for c, v in zip(has, each, strict=True) if v is not None and c in said} for each in rows
            ]
            if rows:
                found[name] = shown if len(rows) <= _SHOWN_CONSTANTS else len(rows)
    return found
