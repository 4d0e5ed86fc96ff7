"""Scoring, reliable change and sudden gains for many clients; per client beside R's suddengains 0.7.2.

    python benchmarks/outcomes.py [--clients 190000] [--sessions 7]

Runs the shipped models on generated PHQ-9 forms (no log in between: ingest has a benchmark of its own). The R package took
42 s for 2,800 clients with 18 sessions on a machine like the one these models were written on, and scales with clients.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
R_SECONDS, R_CLIENTS, R_SESSIONS = 42.0, 2_800, 18

STUDY = """\
study: benchmark
title: Generated
simulated: true
sites: [{id: site-0}]
measures:
  - {id: phq, instrument: phq-9, version: "1", rater: client, occasion: pre_session, role: outcome}
outcomes:
  - {id: points_iapt, preset: points, instrument: phq-9, version: "1", norms: iapt}
  - {id: jt_c, preset: jacobson_truax, instrument: phq-9, version: "1", norms: iapt, functional_mean: 3.3, functional_sd: 3.8}
"""

# What intermediate.questionnaire holds, made directly: falling scores with noise, one answer in fifty missing.
FORMS = """
create table intermediate.questionnaire as
select
  'site-' || c % 30 as site_id,
  'e' || c || '-' || s as event_id,
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
  map(
    ['1', '2', '3', '4', '5', '6', '7', '8', '9'],
    list_transform(range(1, 10), lambda k:
      case when hash(c * 1000 + s * 10 + k) % 50 = 0 then null
      else greatest(0, least(3, (hash(c) % 4 + hash(c * 7919 + s * 31 + k) % 3 - s // 5)::bigint - 1))::double end)
  ) as items
from range($clients) as clients(c), range(1, $sessions + 1) as sessions(s);

-- none of these forms is about the alliance, so that its models have nothing to do
create table marts.session as
select site_id, client_id, episode_id, session_number, therapist_id, null::varchar as format
from intermediate.questionnaire limit 0
"""
MADE = ("intermediate.questionnaire", "marts.session")  # directly, above
WANTED = ("marts.outcome_client", "marts.sudden_gain", "marts.site_outcome")
SUDDEN = ("intermediate.session_series", "marts.sudden_gain_interval", "marts.sudden_gain")


def _needed() -> list[str]:
    """The wanted models and all they read, in the order in which they are built."""
    from dyadlog.assets.warehouse.models import models

    found: set[str] = set()
    left = list(WANTED)
    while left:
        name = left.pop()
        if name in models() and name not in MADE and name not in found:
            found.add(name)
            left += models()[name].reads
    return [name for name in models() if name in found]


def build(clients: int, sessions: int) -> dict[str, float]:
    """Seconds by model."""
    from dyadlog.assets.warehouse.build import run_model, working_database
    from dyadlog.assets.warehouse.inputs import load_study
    from dyadlog.assets.warehouse.models import models
    from dyadlog.schemas.study import read_study

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "study.yaml").write_text(STUDY)
        study = read_study(Path(folder))
        with working_database(study) as duck:
            load_study(duck, study)
            for layer in ("intermediate", "marts"):
                duck.execute(f"create schema {layer}")
            duck.execute(FORMS.replace("$clients", str(clients)).replace("$sessions", str(sessions)))
            steps = [run_model(duck, models()[name]) for name in _needed()]
        for step in steps:
            print(f"  {step.model:<32} {step.rows:>10,} rows {step.seconds:8.2f} s", flush=True)
        return {step.model: step.seconds for step in steps}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clients", type=int, default=190_000)
    parser.add_argument("--sessions", type=int, default=7)
    said = parser.parse_args()
    print(f"{said.clients:,} clients, {said.clients * said.sessions:,} sessions")
    whole = sum(build(said.clients, said.sessions).values())
    print(f"scoring, reliable change, sudden gains: {whole:.1f} s\n")
    print(f"{R_CLIENTS:,} clients, {R_SESSIONS} sessions each")
    seconds = build(R_CLIENTS, R_SESSIONS)
    sudden, theirs = sum(seconds[name] for name in SUDDEN) / R_CLIENTS, R_SECONDS / R_CLIENTS
    print(
        f"sudden gains (two rules): {sudden * 1e6:.0f} microseconds per client, R {theirs * 1e3:.0f} milliseconds: "
        f"{theirs / sudden:,.0f} times less"
    )


if __name__ == "__main__":
    sys.exit(main())
