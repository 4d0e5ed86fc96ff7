"""All alliance and rupture marts beside three window passes over the same scores; growth with their number; peak memory.

    python benchmarks/alliance.py [--sessions 1290000] [--times 10] [--memory 4GB]

Both raters fill in a form of a total and three subscales after every session, so that there are eight scores per session, and
report some ruptures directly; there are no codings and no ratings before sessions. The
shipped models run on generated scores (scoring has a benchmark of its own). The yardstick is what an analyst would write first:
three queries with a window over the course of each score (lag, mean, rank), each kept as a table. CPU seconds count,
since machines are shared; each size runs in a process of its own, so that the peak is its own. `--times 1` leaves growth out.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

STUDY = """\
study: benchmark
title: Generated
simulated: true
sites: [{id: site-0}]
"""
SESSIONS_EACH = 10
# What the models start from, made directly: a client's level, a slow rise, noise, ruptures; one rating in twelve missing.
MADE = """
create table marts.session as
select
  'site-' || c % 30 as site_id,
  'c' || c as client_id,
  '1' as episode_id,
  s::bigint as session_number,
  'held' as status,
  'site-' || c % 30 || '-t' || (c // 30) % 40 as therapist_id,
  'in_person' as format
from range($clients) as clients(c), range(1, $each + 1) as sessions(s);

create table intermediate.questionnaire as
select
  site_id, client_id || '-' || session_number || '-' || rater as event_id, client_id, therapist_id, episode_id,
  session_number, session_number * 7 as study_day, session_number * 7 as recorded_day, 'wai-sr' as instrument,
  rater || '-1-5' as version, rater, 'post_session' as occasion
from marts.session, (values ('client'), ('therapist')) as raters(rater)
where hash(client_id, session_number, rater) % 12 > 0;

create table marts.instrument_score as
select
  form.*,
  scale.scale,
  scale.n_items,
  least(5, greatest(1, (
    2.5 + hash(client_id) % 20 / 10 + session_number / 30 + hash(client_id, session_number) % 10 / 10
    + hash(event_id, scale) % 12 / 12 - case when hash(client_id, session_number, 'r') % 9 = 0 then 1.2 else 0 end
  ))) as item_mean,
  round(item_mean * scale.n_items)::double as score,
  0 as n_missing,
  'prorate' as rule_id
from intermediate.questionnaire as form
inner join study.form_scale as scale on form.instrument = scale.instrument and form.version = scale.version;

-- one session in nine is reported as a rupture by each of the two, so that every held session is judged by reports
create table staging.event as
select
  site_id, client_id || '-' || session_number || '-' || rater || '-mark' as event_id, client_id, therapist_id, episode_id,
  session_number, null::varchar as actor_id, 'rupture.marked' as event_type,
  ('{"perspective": "' || rater || '", "intensity": 3}')::json as payload
from marts.session, (values ('client'), ('therapist')) as raters(rater)
where hash(client_id, session_number, rater, 'mark') % 9 = 0;

create table intermediate.reference as
select site_id, event_id, null::varchar as waits_for from staging.event;

-- improvement of a client, for the response surface
create table marts.outcome_client as
select distinct
  site_id, client_id, episode_id, 'phq-9' as instrument, '1' as version, 'client' as rater, 'first_last' as rule_id,
  (hash(client_id, 'z') % 20)::double as improvement
from marts.session;
"""
MODELS = {
    *(f"intermediate.{name}" for name in ("rating", "alliance_level", "rating_course", "rupture_rating")),
    *(f"intermediate.{name}" for name in ("rupture_by_rating", "session_change", "rupture_by_change")),
    *(f"intermediate.{name}" for name in ("coded_passage", "rupture_direct", "rupture_recognition")),
    *(f"intermediate.{name}" for name in ("rupture_coding", "rupture_interview", "rupture_by_report")),
    *(
        f"marts.{name}"
        for name in (
            "alliance_session",
            "alliance_dyad",
            "alliance_congruence",
            "truth_bias",
            "response_surface",
        )
    ),
    *(
        f"marts.{name}"
        for name in ("rupture_reference", "rupture_event", "rupture_session", "rupture_agreement")
    ),
}
COURSE = "site_id, client_id, episode_id, rater, instrument, version, occasion, scale"
PASSES = (
    f"lag(score) over (partition by {COURSE} order by session_number)",
    f"avg(score) over (partition by {COURSE})",
    f"rank() over (partition by {COURSE} order by score)",
)


def cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def measure(clients: int, memory: str) -> dict[str, float]:
    """CPU seconds of the passes and of the marts, by model, and the peak (MB) of this process."""
    from dyadlog.assets.warehouse.build import run_model, working_database
    from dyadlog.assets.warehouse.inputs import load_study
    from dyadlog.assets.warehouse.models import models
    from dyadlog.schemas.study import read_study

    asked = [model for model in models().values() if model.name in MODELS]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "study.yaml").write_text(STUDY)
        study = read_study(Path(folder))
        with working_database(study) as duck:
            duck.execute(f"set memory_limit = '{memory}'")
            load_study(duck, study)
            for layer in ("staging", "intermediate", "marts"):
                duck.execute(f"create schema {layer}")
            duck.execute(MADE.replace("$clients", str(clients)).replace("$each", str(SESSIONS_EACH)))
            ((scores,),) = duck.execute("select count(*) from marts.instrument_score").fetchall()
            start = cpu()
            for place, figure in enumerate(PASSES):
                duck.execute(
                    f"create table pass_{place} as select *, {figure} as figure from marts.instrument_score"
                )
                duck.execute(f"drop table pass_{place}")
            told: dict[str, float] = {"scores": scores, "passes": cpu() - start}
            for model in asked:
                start = cpu()
                step = run_model(duck, model)
                told[model.name] = cpu() - start
                print(
                    f"  {model.name:<34} {step.rows:>11,} rows {told[model.name]:8.2f} s",
                    file=sys.stderr,
                    flush=True,
                )
            told["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return told


def run(sessions: int, memory: str) -> dict[str, float]:
    """One size, in a process of its own."""
    words = [sys.executable, __file__, "--sessions", str(sessions), "--memory", memory, "--one"]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sessions", type=int, default=1_290_000)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--memory", default="3GB")
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    said = parser.parse_args()
    if said.one:
        json.dump(measure(said.sessions // SESSIONS_EACH, said.memory), sys.stdout)
        return
    whole = []
    for sessions in sorted({said.sessions // said.times, said.sessions}):
        found = run(sessions, said.memory)
        marts = sum(seconds for name, seconds in found.items() if "." in name)
        whole.append(marts)
        print(
            f"{sessions:,} sessions, {found['scores']:,.0f} scores: marts {marts:.1f} s CPU, three passes {found['passes']:.1f} s: "
            f"{marts / found['passes']:.1f} times; peak {found['peak']:,.0f} MB",
            flush=True,
        )
    if len(whole) == 2:
        print(f"{said.times} times the sessions take {whole[1] / whole[0]:.1f} times as long")


if __name__ == "__main__":
    sys.exit(main())
