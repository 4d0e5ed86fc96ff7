"""The reports of a night: a page per site after a common start, all sites, and the expectations' share of the night.

    python benchmarks/report.py [--sites 180] [--clients 6000] [--nights 12] [--past 365]

The study is simulated (preset `ccmh-year`). Ratios count, and those of processor time more than those of the clock: the
machine may be shared. Every step is a process of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import date, timedelta
from pathlib import Path

Figures = dict[str, float]
PAGE_GOAL, ALL_GOAL, SHARE_GOAL = 0.5, 90.0, 0.3


def used() -> tuple[float, float]:
    spent = resource.getrusage(resource.RUSAGE_SELF)
    return time.perf_counter(), spent.ru_utime + spent.ru_stime


def night(folder: Path) -> Figures:
    """Deliveries, marts and expectations, without Dagster's bookkeeping; what the expectations took of it."""
    from dyadlog.assets.intake.receive import open_log, receive
    from dyadlog.assets.quality.expectations import run_expectations
    from dyadlog.assets.warehouse.build import Step, build_all
    from dyadlog.schemas.study import read_study

    study = read_study(folder)
    for _ in receive(study, open_log(study)):
        pass
    before, judged = used(), (0.0, 0.0)

    def told(step: Step) -> None:
        nonlocal before, judged
        now = used()
        if step.model == "checks.expectation":
            judged = now[0] - before[0], now[1] - before[1]
        before = now

    build_all(study, open_log(study), expectations=run_expectations, told=told)
    return {"expectations": judged[0], "expectations cpu": judged[1]}


def reports(folder: Path) -> Figures:
    from dyadlog.orchestration.reports import write_reports
    from dyadlog.orchestration.watch import Watcher
    from dyadlog.schemas.study import read_study

    return {"pages": len(write_reports(read_study(folder), Watcher()))}


def first_page(folder: Path) -> Figures:
    """The common start: libraries, templates, the published file; and one page."""
    from dyadlog.assets.quality.report import gather, night_of, write_site_reports
    from dyadlog.assets.warehouse.published import current
    from dyadlog.schemas.study import read_study

    study = read_study(folder)
    build = current(study)
    assert build is not None
    write_site_reports(gather(study, build, night_of(build), sites=study.site_ids[:1]))
    return {}


def remember(folder: Path, nights: int) -> None:
    """Let every site have been told the same on many nights before."""
    for site in (folder / "reports").glob("*/*/findings.json"):
        told = json.loads(site.read_bytes())
        for back in range(1, nights + 1):
            past = date.fromisoformat(told["as_of"][:10]) - timedelta(days=back)
            name = f"{past}-{nights - back:06}"
            before = told | {"night": name, "as_of": f"{past}T02:00:00+00:00", "commit_seq": nights - back}
            place = site.parents[1] / name
            place.mkdir()
            (place / "findings.json").write_text(json.dumps(before), "utf-8")


STEPS = {step.__name__: step for step in (night, reports, first_page)}


def measure(step: str, folder: Path) -> Figures:
    command = [sys.executable, str(Path(__file__).resolve()), "--one", step, "--study", str(folder)]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    found: Figures = json.loads(run.stdout.splitlines()[-1])
    print(f"{step:44}{found['seconds']:9.1f}{found['cpu']:9.1f}{found['peak_mb']:9.0f}", flush=True)
    return found


def one(step: str, folder: Path) -> None:
    start = time.perf_counter()
    found = STEPS[step](folder)
    spent = resource.getrusage(resource.RUSAGE_SELF)
    found |= {"seconds": time.perf_counter() - start, "cpu": spent.ru_utime + spent.ru_stime}
    print(json.dumps(found | {"peak_mb": spent.ru_maxrss / 1024}))


def table(given: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "study"
        command = [sys.executable, "-m", "dyadlog.orchestration.cli", "simulate", str(folder), "--preset"]
        size = ["ccmh-year", "--sites", str(given.sites), "--clients", str(given.clients)]
        size += ["--nights", str(given.nights)]
        subprocess.run([*command, *size, "--faults", "realistic"], check=True, capture_output=True)
        print(f"{given.sites} sites, {given.clients:,} clients")
        print(f"{'':44}{'seconds':>9}{'cpu s':>9}{'peak MB':>9}", flush=True)
        work = measure("night", folder)
        start = measure("first_page", folder)
        everything = measure("reports", folder)
        largest = max(page.stat().st_size for page in (folder / "reports").rglob("*.html"))
        remember(folder, given.past)
        print(f"with {given.past} nights on record:")
        later = measure("reports", folder)
    print(f"{'goal':53}{'by clock':>9}{'by cpu':>9}")
    for title, found in (("first night", everything), (f"with {given.past} nights before", later)):
        each = {key: (found[key] - start[key]) / (given.sites - 1) for key in ("seconds", "cpu")}
        print(f"a page after the start, {title} / {PAGE_GOAL} s".ljust(53) + _ratios(each, PAGE_GOAL))
        scaled = {key: start[key] + 179 * each[key] for key in each}
        print(f"180 sites, {title} / {ALL_GOAL:.0f} s".ljust(53) + _ratios(scaled, ALL_GOAL))
    whole = {key: work[key] + everything[key] for key in ("seconds", "cpu")}
    judged = {"seconds": work["expectations"], "cpu": work["expectations cpu"]}
    share = {key: judged[key] / whole[key] for key in whole}
    print(f"expectations' share of the night / {SHARE_GOAL}".ljust(53) + _ratios(share, SHARE_GOAL))
    print(f"largest page {largest / 1000:,.0f} kB")


def _ratios(found: Figures, goal: float) -> str:
    return f"{found['seconds'] / goal:9.2f}{found['cpu'] / goal:9.2f}"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--sites", type=int, default=180)
    options.add_argument("--clients", type=int, default=6000)
    options.add_argument("--nights", type=int, default=12, help="deliveries of each site")
    options.add_argument("--past", type=int, default=365, help="nights on record in the second measurement")
    options.add_argument("--one", help=argparse.SUPPRESS)
    options.add_argument("--study", type=Path, help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.one:
        one(given.one, given.study)
    else:
        table(given)


if __name__ == "__main__":
    main()
