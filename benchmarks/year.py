"""A year of a large network: first night, one new delivery, all marts again; beside bare DuckDB.

    python benchmarks/year.py [--preset ccmh-year] [--tenth] [--study DIR]

Every step is a process of its own. Ratios count, and those of processor time more than those of the clock: the
machine may be shared. The study is simulated unless `--study` names one (which is copied).
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

Figures = dict[str, float]
TENTH = ["--sites", "18", "--clients", "19000"]

# Parses every payload and adds up every answer.
PASS = """
select count(*), sum(list_sum(list_transform(
  map_values(from_json(payload -> '$.items', '"MAP(VARCHAR, DOUBLE)"')), lambda answer: coalesce(answer, 0))))
from read_parquet($files) where status = 'accepted'
"""


def copy(folder: Path) -> Figures:
    """What DuckDB needs to read the same files and write Parquet, with nothing checked."""
    import duckdb

    files = sorted((folder / "landing").glob("*/*"))
    lines = [str(file) for file in files if ".ndjson" in file.name]
    tables = [str(file) for file in files if ".csv" in file.name]
    with tempfile.TemporaryDirectory(dir=folder) as place, duckdb.connect() as duck:
        kinds = (
            ("read_json", "format = 'newline_delimited'", lines),
            ("read_csv", "all_varchar = true", tables),
        )
        for read, how, names in kinds:
            if names:
                duck.execute(
                    f"copy (select * from {read}({names!r}, {how}, union_by_name = true)) to '{place}/{read}.parquet'"
                )
    return {}


def bare_pass(folder: Path) -> Figures:
    import duckdb

    files = [str(file) for file in (folder / "log" / "segments").glob("*.parquet")]
    ((events, answers),) = duckdb.execute(PASS, {"files": files}).fetchall()
    return {"events": events, "sum": answers}


def ingest(folder: Path) -> Figures:
    from dyadlog.assets.intake.receive import open_log, receive
    from dyadlog.schemas.study import read_study

    study = read_study(folder)
    return {"deliveries": sum(1 for _ in receive(study, open_log(study)))}


def marts(folder: Path) -> Figures:
    return _build(folder, judged=False)


def marts_and_expectations(folder: Path) -> Figures:
    return _build(folder, judged=True)


def _build(folder: Path, *, judged: bool) -> Figures:
    from dyadlog.assets.intake.receive import open_log
    from dyadlog.assets.quality.expectations import run_expectations
    from dyadlog.assets.warehouse.build import build_all
    from dyadlog.schemas.study import read_study

    study = read_study(folder)
    laps = {"expectations": 0.0, "expectations cpu": 0.0}
    before = time.perf_counter(), time.process_time()

    def told(step: object) -> None:
        nonlocal before
        now = time.perf_counter(), time.process_time()
        if getattr(step, "model", "") == "checks.expectation":
            laps.update({"expectations": now[0] - before[0], "expectations cpu": now[1] - before[1]})
        before = now

    build_all(study, open_log(study), expectations=run_expectations if judged else None, told=told)
    return laps


def reports(folder: Path) -> Figures:
    from dyadlog.orchestration.reports import write_reports
    from dyadlog.orchestration.watch import Watcher
    from dyadlog.schemas.study import read_study

    return {"pages": len(write_reports(read_study(folder), Watcher()))}


def night(folder: Path) -> Figures:
    """All of a night without Dagster's bookkeeping, as in the first night's parts."""
    return ingest(folder) | marts_and_expectations(folder) | reports(folder)


STEPS: dict[str, Callable[[Path], Figures]] = {
    step.__name__: step for step in (copy, bare_pass, ingest, marts, marts_and_expectations, reports, night)
}


def measure(step: str, folder: Path) -> Figures:
    """Run one step in a new process."""
    command = [sys.executable, str(Path(__file__).resolve()), "--one", step, "--study", str(folder)]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    found: Figures = json.loads(run.stdout.splitlines()[-1])
    return found


def one(step: str, folder: Path) -> None:
    began = time.perf_counter()
    found = STEPS[step](folder)
    used = resource.getrusage(resource.RUSAGE_SELF)
    found |= {"seconds": time.perf_counter() - began, "cpu": used.ru_utime + used.ru_stime}
    print(json.dumps(found | {"peak_mb": used.ru_maxrss / 1024}))


def prepare(folder: Path, given: argparse.Namespace) -> tuple[Path, Path]:
    """The study with one delivery held back, the last one of a site of middling size: where it lies, where it belongs."""
    if given.study:
        for part in ("landing", "mappings"):
            if (given.study / part).is_dir():
                shutil.copytree(given.study / part, folder / part)
        shutil.copy(given.study / "study.yaml", folder)
    else:
        size = TENTH if given.tenth else []
        command = [sys.executable, "-m", "dyadlog.orchestration.cli", "simulate", str(folder)]
        subprocess.run([*command, "--preset", given.preset, *size], check=True, capture_output=True)
    sites = [site for site in (folder / "landing").iterdir() if any(site.iterdir())]
    sites.sort(key=lambda site: sum(file.stat().st_size for file in site.iterdir()))
    last = max(sites[len(sites) // 2].iterdir())
    return last.rename(folder / last.name), last


def table(given: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(dir=given.scratch) as place:
        folder = Path(place) / "study"
        folder.mkdir()
        held_back, place_of_it = prepare(folder, given)
        size = sum(file.stat().st_size for file in (folder / "landing").glob("*/*"))
        print(f"{sum(1 for _ in (folder / 'landing').iterdir())} sites, {size / 1e6:,.0f} MB of deliveries")
        print(f"{'':34}{'seconds':>9}{'cpu s':>9}{'peak MB':>9}", flush=True)
        base = _show("bare copy of the files", measure("copy", folder))
        read = _show("first night: ingest", measure("ingest", folder))
        once = _show("bare pass over the log", measure("bare_pass", folder))
        found = measure("marts_and_expectations", folder)
        judged = {
            "seconds": found["expectations"],
            "cpu": found["expectations cpu"],
            "peak_mb": found["peak_mb"],
        }
        rest = {key: found[key] - judged[key] for key in ("seconds", "cpu")} | {"peak_mb": found["peak_mb"]}
        parts = [read, _show("first night: marts", rest), _show("first night: expectations", judged)]
        parts.append(_show("first night: reports", measure("reports", folder)))
        first = {key: sum(part[key] for part in parts) for key in ("seconds", "cpu")}
        _show("first night", first | {"peak_mb": max(part["peak_mb"] for part in parts)})
        held_back.rename(place_of_it)
        second = _show("a night with one new delivery", measure("night", folder))
        for kept in ("marts", "state/sites"):
            shutil.rmtree(folder / kept)
        again = _show("all marts again", measure("marts", folder))
    print(f"{'goal':40}{'by clock':>9}{'by cpu':>9}")
    _ratio("ingest <= 3 x the bare copy", read, base)
    _ratio("all marts again <= 10 x the bare pass", again, once)
    _ratio("one new delivery <= 0.15 x first night", second, first)
    print(f"peak memory <= 4,096 MB: {max(p['peak_mb'] for p in (*parts, second, again)):,.0f} MB")


def _show(name: str, found: Figures) -> Figures:
    print(f"{name:34}{found['seconds']:9.1f}{found['cpu']:9.1f}{found['peak_mb']:9.0f}", flush=True)
    return found


def _ratio(goal: str, mine: Figures, theirs: Figures) -> None:
    clock, cpu = (mine[key] / theirs[key] for key in ("seconds", "cpu"))
    print(f"{goal:40}{clock:9.2f}{cpu:9.2f}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--preset", default="ccmh-year")
    options.add_argument("--tenth", action="store_true", help="a tenth of the clients and sites")
    options.add_argument("--study", type=Path, help="a simulated study, instead of a new one")
    options.add_argument("--scratch", type=Path, help="folder with room for three times the deliveries")
    options.add_argument("--one", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.one:
        one(given.one, given.study)
    else:
        table(given)


if __name__ == "__main__":
    main()
