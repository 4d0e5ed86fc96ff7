"""Did the platform find what was planted, and nothing else? Runs the nights of a simulated study and compares."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import polars as pl

from dyadlog.assets.event_log.log import EventLog
from dyadlog.assets.intake.receive import open_log, receive
from dyadlog.assets.simulation.delivery import received_on
from dyadlog.assets.simulation.recovery import Recovered, recover
from dyadlog.assets.simulation.truth import truth_table
from dyadlog.assets.warehouse.build import run_models, working_database
from dyadlog.schemas.faults import faults
from dyadlog.schemas.study import Study, read_study

SCORED = "scored"


@dataclass(frozen=True)
class Recall:
    """How many of the planted faults of a kind were found.

    Args:
        fault: name in `faults.yaml`.
        kind: conformance, plausibility or handled.
        code: where it must show.
        planted: entries of the key.
        found: entries that show.
    """

    fault: str
    kind: str
    code: str
    planted: int
    found: int


@dataclass(frozen=True)
class Alarm:
    """Remarks that no planted fault explains.

    Args:
        code: reason code.
        false: remarks without a fault.
        all: all remarks with this code.
    """

    code: str
    false: int
    all: int


@dataclass(frozen=True)
class Score:
    """The result.

    Args:
        recall: by fault.
        alarms: by code.
        missed: entries of the key that do not show (columns of the key).
        unexplained: remarks without a fault (`code`, `site_id`, `file_name`, `line_number`, `subject`).
        clean_sessions: sessions in which nothing was planted.
        alarmed_sessions: those of them with a remark.
        lines: lines delivered in files that can be read.
        recovered: figures that went into the study, estimated from its marts.
        unaccounted: files whose lines are not accepted + duplicate + held back, or not as many as were written.
    """

    recall: list[Recall]
    alarms: list[Alarm]
    missed: pl.DataFrame
    unexplained: pl.DataFrame
    recovered: list[Recovered]
    clean_sessions: int
    alarmed_sessions: int
    lines: int
    unaccounted: int

    @property
    def refused_sound(self) -> int:
        """Lines and files with a remark in which nothing was planted."""
        return len(self.unexplained.filter(pl.col("file_name").is_not_null()))


def run_nights(
    folder: Path, told: Callable[[int, int], None] = lambda _night, _of: None
) -> tuple[Study, EventLog]:
    """Deliver the files of a simulated study night by night, into a study of its own beside it.

    Args:
        folder: the simulated study.
        told: called after each night with its number and the number of nights.
    """
    delivered = truth_table(folder, "delivery").sort("night", "site_id", "file_name")
    copy = folder / SCORED
    for name in ("study.yaml", "mappings"):
        source = folder / name
        if source.is_dir():
            shutil.copytree(source, copy / name, dirs_exist_ok=True)
        elif source.exists():
            copy.mkdir(exist_ok=True)
            shutil.copyfile(source, copy / name)
    study = read_study(copy)
    log = open_log(study)
    last = int(delivered["night"].max() or 0)  # type: ignore[arg-type]
    for (night,), files in delivered.partition_by("night", as_dict=True, maintain_order=True).items():
        for site_id, name in files.select("site_id", "file_name").iter_rows():
            _link(folder / "landing" / site_id / name, copy / "landing" / site_id / name)
        moment = received_on(int(night))
        for _ in receive(study, log, clock=lambda moment=moment: moment):  # type: ignore[misc]
            pass
        told(int(night), last)
    return study, log


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        os.link(source, target)


def score(folder: Path, study: Study, log: EventLog) -> Score:
    """Hold what the platform says against the key.

    Args:
        folder: the simulated study.
        study: the study in which its nights were run.
        log: its log.
    """
    with working_database(study) as duck:
        for _ in run_models(duck, study, log, log.head()):
            pass
        duck.register("key_table", truth_table(folder, "fault").with_row_index("entry").to_arrow())
        duck.register("delivery_table", truth_table(folder, "delivery").to_arrow())
        _load_rules(duck)
        duck.execute(f"create temp table seen as {_SEEN}")
        duck.execute(f"create temp table shown as {_SHOWN}")
        duck.execute(f"create temp table unexplained as {_UNEXPLAINED}")
        clean, alarmed = _row(duck, _SESSIONS)
        lines, unaccounted = _row(duck, _ACCOUNTS)
        return Score(
            [Recall(*row) for row in duck.execute(_RECALL).fetchall()],
            [Alarm(*row) for row in duck.execute(_ALARMS).fetchall()],
            duck.sql(
                "select key_table.* from key_table semi join shown on shown.entry = key_table.entry and not found order by entry"
            ).pl(),
            duck.sql("select * from unexplained order by all").pl(),
            recover(duck, folder),
            clean,
            alarmed,
            lines,
            unaccounted,
        )


def _load_rules(duck: duckdb.DuckDBPyConnection) -> None:
    rows = [
        (name, nth, fault.kind, fault.shows, code)
        for nth, (name, fault) in enumerate(faults().faults.items())
        for code in sorted(fault.codes)
    ]
    rules = pl.DataFrame(rows, schema=["fault", "nth", "kind", "shows", "code"], orient="row")
    duck.register("rule_table", rules.to_arrow())


def _row(duck: duckdb.DuckDBPyConnection, sql: str) -> Iterable[int]:
    ((*values,),) = duck.execute(sql).fetchall()
    return values


# What the platform says, wherever it says it.
_SEEN = """
with coded as (
  select commit.site_id, commit.file_name, fact.line_number, fact.status, unnest(fact.codes) as code
  from log.fact as fact
  inner join log.commit as commit using (commit_seq)
),
line as (
  select distinct site_id, file_name, line_number, split_part(code, '@', 1) as code from coded
),
repeated as (
  select commit.site_id, commit.file_name, fact.line_number
  from log.fact as fact
  inner join log.commit as commit using (commit_seq)
  where fact.status = 'duplicate'
),
event as (
  select site_id, event_id, client_id, session_number,
    case
      when state <> 'active' then state
      when revision > 1 then 'corrected'
    end as code
  from staging.event
),
pending as (
  select reference.site_id, reference.event_id, event.client_id, event.session_number,
    case waits_for when 'client' then 'FACT_PENDING_CLIENT' when 'session' then 'FACT_PENDING_SESSION' end as code
  from intermediate.reference
  inner join staging.event using (site_id, event_id)
  where waits_for in ('client', 'session')
),
gone as (
  select distinct event.site_id, event.client_id
  from intermediate.reference
  inner join staging.event using (site_id, event_id)
  where waits_for = 'consent'
    and not exists (from marts.session as s where s.site_id = event.site_id and s.client_id = event.client_id)
)
select 'line' as shows, code, site_id, file_name, line_number, null::varchar as subject,
  null::varchar as client_id, null::bigint as session_number
from line
union all
select 'line', 'duplicate', site_id, file_name, line_number, null, null, null from repeated
union all
select 'file', remark.code, commit.site_id, commit.file_name, null, null, null, null
from log.remark inner join log.commit as commit using (commit_seq)
where starts_with(remark.code, 'FILE_')
union all
select 'file', kind, site_id, file_name, null, null, null, null from log.commit where kind = 'duplicate_delivery'
union all
select 'event', code, site_id, null, null, event_id, client_id, session_number from event where code is not null
union all
select 'event', code, site_id, null, null, event_id, client_id, session_number from pending
union all
select 'score', 'TOTAL_DISAGREES', site_id, null, null, event_id, client_id, session_number
from marts.instrument_score where not claim_agrees
union all
select 'flag', code, site_id, null, null, subject, client_id, session_number from quality.flag
union all
select 'client', 'FACT_WITHDRAWN', site_id, null, null, client_id, client_id, null from gone
union all
select 'accepted', 'accepted', site_id, file_name, null, null, null, null from log.commit where kind = 'delivery'
"""

_MATCH = """
seen.shows = rule.shows and seen.code = rule.code and seen.site_id = key.site_id
and case rule.shows
  when 'line' then seen.file_name = key.file_name and seen.line_number = key.line_number
  when 'file' then seen.file_name = key.file_name
  when 'accepted' then seen.file_name = key.file_name
  when 'event' then seen.subject = key.event_id
  when 'score' then seen.subject = key.event_id
  else seen.subject = key.subject
end
"""

_SHOWN = f"""
select key.entry, key.fault, coalesce(bool_or(seen.code is not null), false) as found
from key_table as key
inner join rule_table as rule using (fault)
left join seen on {_MATCH}
group by key.entry, key.fault
"""

# Lines that repeat what is known are no alarm: a file that is sent again repeats all of its lines.
_UNEXPLAINED = f"""
select distinct seen.code, seen.site_id, seen.file_name, seen.line_number, seen.subject, seen.client_id, seen.session_number
from seen
where seen.code not in ('accepted', 'duplicate')
  and not exists (
    select 1 from key_table as key inner join rule_table as rule using (fault) where {_MATCH}
  )
  and not exists (
    -- the forms of a session whose report is lost wait for it
    select 1 from key_table as key
    where key.fault = 'missing_session' and seen.code = 'FACT_PENDING_SESSION' and key.site_id = seen.site_id
      and key.client_id = seen.client_id and key.session_number = seen.session_number
  )
  and not exists (
    -- who sees markers everywhere agrees with nobody; a subject of the drift begins with the coder
    select 1 from key_table as key
    where key.fault = 'coder_drift' and seen.code = 'CODER_DISAGREES' and key.site_id = seen.site_id
      and list_contains(string_split(seen.subject, ' '), split_part(key.subject, ' ', 1))
  )
"""

_RECALL = """
select rule.fault, any_value(rule.kind), string_agg(distinct rule.code, '|' order by rule.code),
  count(distinct shown.entry)::bigint, count(distinct shown.entry) filter (where shown.found)::bigint
from rule_table as rule
left join shown using (fault)
group by rule.fault
order by min(rule.nth)
"""

_ALARMS = """
select seen.code, (select count(*) from unexplained where unexplained.code = seen.code)::bigint as n_false,
  count(distinct (seen.site_id, seen.file_name, seen.line_number, seen.subject))::bigint
from seen
where seen.code not in ('accepted', 'duplicate')
group by seen.code
order by n_false desc, seen.code
"""

_SESSIONS = """
with touched as (
  select distinct site_id, client_id, session_number from key_table where client_id is not null
),
clean as (
  select site_id, client_id, session_number from marts.session
  anti join touched using (site_id, client_id, session_number)
)
select count(*), count(*) filter (where exists (
  select 1 from unexplained as u
  where u.site_id = clean.site_id and u.client_id = clean.client_id and u.session_number = clean.session_number
))
from clean
"""

_ACCOUNTS = """
select sum(case when d.is_read then d.lines else 0 end)::bigint,
  count(*) filter (where c.commit_seq is null
    or c.lines <> case when d.is_read then d.lines else 0 end
    or c.lines <> c.accepted + c.duplicate + c.held_back)
from delivery_table as d
left join log.commit as c using (site_id, file_name)
"""
