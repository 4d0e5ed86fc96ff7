"""Ingest of questionnaire events against a bare DuckDB copy and a plain pandas + Pandera script.

    python benchmarks/ingest.py [--rows 1000000] [--repeat 3]

Every measurement is a process of its own, and the contestants take turns, so that a noisy machine is noisy for
all of them; the best of the repeats counts.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SITE = "site-01"

# A line of some 370 bytes: envelope, payload and twelve answers.
EVENTS = """
copy (
  select '{"event_id":"e' || i || '","event_type":"instrument.completed","client_id":"c' || i // 20
    || '","therapist_id":"t' || i // 400 || '","episode_id":"ep1","session_number":' || i % 20 + 1
    || ',"study_day":' || i % 20 * 7 || ',"recorded_day":' || i % 20 * 7
    || ',"actor_role":"client","payload":{"instrument":"wai-sr","version":"client-1-5","rater":"client",'
    || '"occasion":"post_session","items":{'
    || (select string_agg('"' || k || '":' || hash(i * 12 + k) % 5 + 1, ',' order by k) from range(1, 13) t(k))
    || '}}}' as line
  from range($rows) t(i)
) to '$target' (format csv, header false, quote '', delimiter '\\x01')
"""


def generate(target: Path, rows: int) -> None:
    import duckdb

    duckdb.execute(EVENTS.replace("$rows", str(rows)).replace("$target", str(target)))


def bare(source: Path, folder: Path) -> dict[str, float]:
    """What DuckDB needs to read the JSON and write Parquet, with nothing checked."""
    import duckdb

    began = time.perf_counter()
    duckdb.execute(f"copy (select * from read_json('{source}')) to '{folder}/bare.parquet'")
    return {"seconds": time.perf_counter() - began}


def dyadlog(source: Path, folder: Path) -> dict[str, float]:
    """One delivery into a fresh log."""
    began = time.perf_counter()
    from datetime import UTC, datetime

    from dyadlog.assets.event_log.log import EventLog
    from dyadlog.assets.event_log.quarantine import Quarantine
    from dyadlog.assets.event_log.storage import LocalStorage
    from dyadlog.assets.intake.deliver import deliver
    from dyadlog.assets.intake.files import scan
    from dyadlog.assets.intake.reading import Readers
    from dyadlog.schemas.study import read_study

    imports = time.perf_counter() - began
    (folder / "landing" / SITE).mkdir(parents=True)
    os.link(source, folder / "landing" / SITE / "events.ndjson")
    (folder / "study.yaml").write_text(f"study: bench\ntitle: Bench\nsites: [{{id: {SITE}}}]\n")
    began = time.perf_counter()
    study = read_study(folder)
    log = EventLog(LocalStorage(folder / "log"))
    quarantine = Quarantine(LocalStorage(folder / "quarantine", private=True))
    (landed,) = scan(study).files
    commit = deliver(
        study,
        log,
        quarantine,
        landed,
        Readers(study),
        clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        code_version="bench",
    )
    seconds = time.perf_counter() - began
    assert commit is not None
    assert commit.receipt.accepted == commit.receipt.lines, "the generated file is faultless"
    return {"seconds": seconds, "imports": imports}


def plain(source: Path, folder: Path) -> dict[str, float]:
    """The script that a study without a platform would have."""
    import plain_pandas

    began = time.perf_counter()
    plain_pandas.main(source, folder / "plain.parquet")
    return {"seconds": time.perf_counter() - began}


CONTESTANTS = {"bare DuckDB copy": bare, "dyadlog deliver": dyadlog, "pandas + Pandera": plain}


def measure(name: str, source: Path) -> dict[str, float]:
    """Run one contestant in a new process."""
    command = [sys.executable, str(Path(__file__).resolve()), "--one", name, "--source", str(source)]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(run.stdout.splitlines()[-1])
    return found


def one(name: str, source: Path) -> None:
    with tempfile.TemporaryDirectory(dir=source.parent) as folder:
        found = CONTESTANTS[name](source, Path(folder))
    used = resource.getrusage(resource.RUSAGE_SELF)
    found |= {"peak_mb": used.ru_maxrss / 1024, "cpu": used.ru_utime + used.ru_stime}
    print(json.dumps(found))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--repeat", type=int, default=3)
    options.add_argument("--one", help=argparse.SUPPRESS)
    options.add_argument("--source", type=Path, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.one:
        one(given.one, given.source)
        return
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "events.ndjson"
        generate(source, given.rows)
        print(f"{given.rows:,} events, {source.stat().st_size / 1e6:.0f} MB, best of {given.repeat}")
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in CONTESTANTS}
        for _ in range(given.repeat):
            for name in CONTESTANTS:
                runs[name].append(measure(name, source))
    best = {name: min(found, key=lambda run: run["seconds"]) for name, found in runs.items()}
    base = best["bare DuckDB copy"]["seconds"]
    print(f"{'':20}{'seconds':>9}{'ratio':>7}{'imports':>9}{'peak MB':>9}{'cpu s':>7}")
    for name, run in best.items():
        imports = f"{run['imports']:.2f}" if "imports" in run else "-"
        print(
            f"{name:20}{run['seconds']:9.2f}{run['seconds'] / base:7.2f}{imports:>9}{run['peak_mb']:9.0f}{run['cpu']:7.1f}"
        )
    print("goal: dyadlog at most 3.00 x the bare copy and 2,048 MB")


if __name__ == "__main__":
    main()
