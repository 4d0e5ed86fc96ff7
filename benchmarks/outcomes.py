"""Scoring, reliable change and sudden gains of many clients, from a log to all marts; per client beside R's suddengains 0.7.2.

    python benchmarks/outcomes.py [--clients 190000] [--sessions 7] [--memory 4GB]

A log is made of generated PHQ-9 forms before every session (delivered as any other; that time is told and is no part of the
figure, ingest has a benchmark of its own), then all marts are built from it, checked and published. The comparison with R runs
the models of sudden gains in memory, as a build does. R took 42 s for 2,800 clients with 18 sessions and one rule on a machine
like the one these models were written on, and scales with clients. CPU seconds count, since machines are shared; each part
runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import functools
import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

R_SECONDS, R_CLIENTS, R_SESSIONS = 42.0, 2_800, 18
SITES = 30

RULES = """\
measures:
  - {id: phq, instrument: phq-9, version: "1", rater: client, occasion: pre_session, role: outcome}
outcomes:
  - {id: points_iapt, preset: points, instrument: phq-9, version: "1", norms: iapt}
  - {id: jt_c, preset: jacobson_truax, instrument: phq-9, version: "1", norms: iapt, functional_mean: 3.3, functional_sd: 3.8}
"""
# Falling scores with noise, one answer in fifty missing.
ANSWERS = """
    list_transform(range(1, 10), lambda k:
      case when hash(c * 1000 + s * 10 + k) % 50 = 0 then null
      else greatest(0, least(3, (hash(c) % 4 + hash(c * 7919 + s * 31 + k) % 3 - s // 5)::bigint - 1)) end)
"""
FILE = f"""
copy (
  with form as (
    select c, s, {ANSWERS} as answers
    from range($clients) as clients(c), range(1, $sessions + 1) as sessions(s)
    where c % {SITES} = $site
  )
  select '{{"event_id":"n' || c || '","event_type":"client.enrolled","client_id":"c' || c || '"}}' as line
  from range($clients) as clients(c) where c % {SITES} = $site
  union all
  select '{{"event_id":"h' || c || '-' || s || '","event_type":"session.held","client_id":"c' || c
    || '","session_number":' || s || ',"study_day":' || s * 7 || '}}'
  from form
  union all
  select '{{"event_id":"q' || c || '-' || s || '","event_type":"instrument.completed","client_id":"c' || c
    || '","session_number":' || s || ',"study_day":' || s * 7 || ',"recorded_day":' || s * 7
    || ',"actor_role":"client","payload":{{"instrument":"phq-9","version":"1","rater":"client",'
    || '"occasion":"pre_session","items":{{'
    || list_aggregate(list_transform(answers, lambda answer, k: '"' || k || '":' || coalesce(answer::varchar, 'null')),
         'string_agg', ',')
    || '}}}}}}'
  from form
) to '$target' (format csv, header false, quote '', delimiter '\\x01')
"""
# What intermediate.questionnaire holds, made directly.
FORMS = f"""
create table intermediate.questionnaire as
select
  'site-' || c % {SITES} as site_id,
  'q' || c || '-' || s as event_id,
  'c' || c as client_id,
  null::varchar as therapist_id,
  '1' as episode_id,
  s::bigint as session_number,
  (s * 7)::bigint as study_day,
  (s * 7)::bigint as recorded_day,
  'phq-9' as instrument,
  '1' as version,
  'client' as rater,
  'pre_session' as occasion,
  null::decimal(18, 6) as claimed_total,
  null::double as seconds,
  map(list_transform(range(1, 10), lambda k: k::varchar), {ANSWERS}::double[]) as items
from range($clients) as clients(c), range(1, $sessions + 1) as sessions(s);

-- none of these forms is about the alliance, so that its models have nothing to do
create table marts.session as
select site_id, client_id, episode_id, session_number, therapist_id, null::varchar as format
from intermediate.questionnaire limit 0
"""
MADE = ("intermediate.questionnaire", "marts.session")
SUDDEN = ("intermediate.session_series", "marts.sudden_gain_interval", "marts.sudden_gain")


def filled(sql: str, **values: object) -> str:
    for name, value in values.items():
        sql = sql.replace(f"${name}", str(value))
    return sql


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def needed(wanted: tuple[str, ...]) -> list[str]:
    """The wanted models and all they read, in the order in which they are built."""
    from dyadlog.assets.warehouse.models import models

    found: set[str] = set()
    left = list(wanted)
    while left:
        name = left.pop()
        if name in models() and name not in MADE and name not in found:
            found.add(name)
            left += models()[name].reads
    return [name for name in models() if name in found]


def deliver_all(folder: Path, clients: int, sessions: int) -> dict[str, float]:
    """Write the log of a study, one delivery per site."""
    import duckdb

    from dyadlog.assets.event_log.log import EventLog
    from dyadlog.assets.event_log.quarantine import Quarantine
    from dyadlog.assets.event_log.storage import LocalStorage
    from dyadlog.assets.intake.deliver import deliver
    from dyadlog.assets.intake.files import scan
    from dyadlog.assets.intake.reading import Readers
    from dyadlog.schemas.study import read_study

    sites = "".join(f"  - id: site-{n}\n" for n in range(SITES))
    folder.mkdir()
    (folder / "study.yaml").write_text(
        f"study: benchmark\ntitle: Generated\nsimulated: true\nsites:\n{sites}{RULES}"
    )
    study = read_study(folder)
    log = EventLog(LocalStorage(folder / "log"))
    quarantine = Quarantine(LocalStorage(folder / "quarantine", private=True))
    began, spent, lines = time.perf_counter(), cpu(), 0
    for n in range(SITES):
        landing = folder / "landing" / f"site-{n}"
        landing.mkdir(parents=True)
        target = landing / "all.ndjson"
        duckdb.execute(filled(FILE, clients=clients, sessions=sessions, site=n, target=target))
        (landed,) = scan(study).files
        now = datetime(2026, 1, 1, tzinfo=UTC)
        commit = deliver(
            study, log, quarantine, landed, Readers(study), clock=lambda now=now: now, code_version="bench"
        )
        assert commit is not None
        assert commit.receipt.accepted == commit.receipt.lines, "the generated file is faultless"
        lines += commit.receipt.lines
        target.unlink()
    return {"lines": lines, "seconds": time.perf_counter() - began, "cpu": cpu() - spent}


def build(folder: Path) -> dict[str, float]:
    """All marts of that log."""
    from dyadlog.assets.event_log.log import EventLog
    from dyadlog.assets.event_log.storage import LocalStorage
    from dyadlog.assets.warehouse.build import build_all
    from dyadlog.schemas.study import read_study

    began, spent = time.perf_counter(), cpu()
    made = build_all(read_study(folder), EventLog(LocalStorage(folder / "log")))
    for step in sorted(made.steps, key=lambda step: -step.seconds)[:12]:
        print(f"  {step.model:<32} {step.rows:>10,} rows {step.seconds:8.2f} s", flush=True)
    return {"seconds": time.perf_counter() - began, "cpu": cpu() - spent, "models": len(made.steps)}


def sudden(clients: int, sessions: int) -> dict[str, float]:
    """CPU seconds of sudden gains and losses, in memory."""
    import duckdb

    from dyadlog.assets.warehouse import steps
    from dyadlog.assets.warehouse.inputs import load_study
    from dyadlog.assets.warehouse.models import models
    from dyadlog.assets.warehouse.work import run_model
    from dyadlog.schemas.study import read_study

    with tempfile.TemporaryDirectory() as made, duckdb.connect() as duck:
        (Path(made) / "study.yaml").write_text(
            f"study: benchmark\ntitle: Generated\nsites: [{{id: site-0}}]\n{RULES}"
        )
        steps.register(duck)
        load_study(duck, read_study(Path(made)))
        for layer in ("intermediate", "marts"):
            duck.execute(f"create schema {layer}")
        duck.execute(filled(FORMS, clients=clients, sessions=sessions))
        found = {"cpu": 0.0, "seconds": 0.0}
        for name in needed(SUDDEN):
            spent = cpu()
            step = run_model(duck, models()[name])
            if name in SUDDEN:
                found["cpu"] += cpu() - spent
                found["seconds"] += step.seconds
        return found


def in_process(*args: object) -> dict[str, float]:
    """One part in a process of its own; what it prints is passed on."""
    command = [sys.executable, str(Path(__file__).resolve()), *map(str, args)]
    run = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    *told, last = run.stdout.splitlines()
    print("".join(f"{line}\n" for line in told), end="", flush=True)
    found: dict[str, float] = json.loads(last)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clients", type=int, default=190_000)
    parser.add_argument("--sessions", type=int, default=7)
    parser.add_argument("--memory", default="4GB", help="what DuckDB may use of it")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    said = parser.parse_args()
    if said.part:
        import duckdb

        duckdb.connect = functools.partial(duckdb.connect, config={"memory_limit": said.memory})
        found = {
            "deliver": lambda: deliver_all(said.folder, said.clients, said.sessions),
            "build": lambda: build(said.folder),
            "sudden": lambda: sudden(said.clients, said.sessions),
        }[said.part]()
        found["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(found))
        return
    size = ("--clients", said.clients, "--sessions", said.sessions, "--memory", said.memory)
    print(f"{said.clients:,} clients, {said.clients * said.sessions:,} sessions, {SITES} sites", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        at = ("--folder", Path(folder) / "study")
        log = in_process("--part", "deliver", *size, *at)
        print(f"log of {log['lines']:,.0f} lines: {log['cpu']:.1f} CPU s", flush=True)
        made = in_process("--part", "build", *size, *at)
    print(
        f"all {made['models']:.0f} tables, checked and published: {made['seconds']:.1f} s, {made['cpu']:.1f} CPU s, "
        f"{made['cpu'] / said.clients * 1e6:.0f} CPU microseconds per client, peak {made['peak_mb']:,.0f} MB\n",
        flush=True,
    )
    theirs = R_SECONDS / R_CLIENTS
    for clients in (R_CLIENTS, 10 * R_CLIENTS):
        found = in_process("--part", "sudden", "--clients", clients, "--sessions", R_SESSIONS)
        each = found["cpu"] / clients / 2
        print(
            f"sudden changes of {clients:,} clients, {R_SESSIONS} sessions each: {each * 1e6:.0f} CPU microseconds per client "
            f"and rule, R {theirs * 1e3:.0f} milliseconds: {theirs / each:,.0f} times less"
        )


if __name__ == "__main__":
    sys.exit(main())
