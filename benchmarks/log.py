"""The event log against bare writes and bare hashing of the same bytes.

    python benchmarks/log.py [--appends 1000] [--commits 36500]

The contestants take turns, so that a noisy machine is noisy for all of them; medians are compared.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import polars as pl

from dyadlog.assets.event_log import segment
from dyadlog.assets.event_log.cache import CommitCache
from dyadlog.assets.event_log.log import EventLog
from dyadlog.assets.event_log.records import Receipt
from dyadlog.assets.event_log.storage import LocalStorage, Scratch, fsync
from dyadlog.assets.event_log.verify import verify
from dyadlog.assets.event_log.witness import Witness

ROWS = 200
SITES = 16
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def rows(number: int) -> bytes:
    """A segment of questionnaire events."""
    told = pl.DataFrame(
        {
            "line_number": range(1, ROWS + 1),
            "fact_number": [0] * ROWS,
            "status": ["accepted"] * ROWS,
            "event_id": [f"e{number}-{row}" for row in range(ROWS)],
            "event_type": ["instrument.completed"] * ROWS,
            "client_id": [f"c{(number + row) % 97}" for row in range(ROWS)],
            "payload": [
                f'{{"instrument":"phq-9","items":{{"1":{(number * row) % 4}}}}}' for row in range(ROWS)
            ],
        }
    )
    rest = [
        pl.lit(None, kind).alias(name) for name, kind in segment.SCHEMA.items() if name not in told.columns
    ]
    frame = told.with_columns(rest).select(list(segment.SCHEMA)).cast(segment.SCHEMA)  # type: ignore[arg-type]
    return segment.encode(frame)


def open_log(folder: Path) -> EventLog:
    cache = CommitCache(Scratch(folder / "state/log/commits.ndjson"))
    return EventLog(LocalStorage(folder / "log"), cache=cache, sign=Witness(folder, "bench").sign)


def append(log: EventLog, number: int, data: bytes) -> None:
    receipt = Receipt(f"site-{number % SITES:02}", f"{number}.ndjson", number, "0" * 64, ROWS, ROWS, ROWS)
    stored = (log.put_segment(data, ROWS),)
    log.append(
        log.head(), "delivery", receipt, received_at=NOW, rules_digest="r", code_version="v", segments=stored
    )


class Bare:
    """Two fsynced files per append, of the bytes that the log wrote last; their folders are not fsynced."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        self._count = 0

    def write(self, *contents: bytes, folders: bool = False) -> None:
        for data in contents:
            self._count += 1
            path = self._folder / f"{self._count:08}"
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            os.write(handle, data)
            os.fsync(handle)
            os.close(handle)
            if folders:
                fsync(self._folder)


def took(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def appends(folder: Path, count: int) -> None:
    log, bare = open_log(folder / "study"), Bare(folder / "bare")
    segments = [rows(number) for number in range(count)]
    append(log, 0, segments[0])
    times: dict[str, list[float]] = {"log": [], "bare": [], "bare, folders too": []}
    for number, data in enumerate(segments[1:], 1):
        times["log"].append(took(lambda n=number, d=data: append(log, n, d)))  # type: ignore[misc]
        commit = log.commits()[-1].encode()
        times["bare"].append(took(lambda d=data, c=commit: bare.write(d, c)))  # type: ignore[misc]
        times["bare, folders too"].append(took(lambda d=data, c=commit: bare.write(d, c, folders=True)))  # type: ignore[misc]
    median = {name: statistics.median(found) * 1e3 for name, found in times.items()}
    print(f"{count:,} durable appends of {ROWS} rows: {median['log']:.2f} ms each")
    for name in ("bare", "bare, folders too"):
        ratio = median["log"] / median[name]
        print(
            f"  fsynced writes of the same bytes ({name}): {median[name]:.2f} ms, ratio {ratio:.2f} (goal 2)"
        )


def without_fsync(work: Callable[[], object]) -> None:
    """Only the number of commits matters here, not that they are durable."""
    real, os.fsync = os.fsync, lambda _handle: None
    try:
        work()
    finally:
        os.fsync = real


def grow(folder: Path, commits: int) -> None:
    """A log with so many deliveries, of all sites in turn, each with a segment of its own."""
    log = open_log(folder)
    without_fsync(lambda: [append(log, number, rows(number)) for number in range(commits)])
    Witness(folder, "bench").begin(log)
    sites = "".join(f"{{id: site-{number:02}}}, " for number in range(SITES))
    (folder / "study.yaml").write_text(f"study: bench\ntitle: Bench\nsites: [{sites}]\n")


def many(short: Path, long: Path, commits: int) -> None:
    """Appends to a short and a long log in turns."""
    logs = {"short": open_log(short), "long": open_log(long)}
    opened = {name: took(logs[name].head) for name in logs}
    whole = took(logs["long"].commits)
    logs["short"].commits()
    times: dict[str, list[float]] = {name: [] for name in logs}
    for number in range(300):
        for name, log in logs.items():
            piece = rows(10**6 + number)
            times[name].append(took(lambda lg=log, p=piece, n=number: append(lg, n, p)))  # type: ignore[misc]
    compare(f"append at commit {commits:,}", times)
    print(
        f"  head after a start: {opened['long'] * 1e3:.2f} ms, at commit 100: {opened['short'] * 1e3:.2f} ms"
    )
    print(f"  all commits after a start: {whole:.2f} s, once a night")


def compare(what: str, times: dict[str, list[float]]) -> None:
    median = {name: statistics.median(found) * 1e3 for name, found in times.items()}
    ratio = median["long"] / median["short"]
    print(
        f"{what}: {median['long']:.2f} ms, at commit 100: {median['short']:.2f} ms, ratio {ratio:.2f} (goal 1.5)"
    )


def deliveries(short: Path, long: Path, commits: int) -> None:
    """Whole deliveries of 200 lines: read, check, look for duplicates, append."""
    from dyadlog.assets.intake import receive
    from dyadlog.assets.intake.deliver import deliver
    from dyadlog.assets.intake.files import scan
    from dyadlog.assets.intake.reading import Readers
    from dyadlog.schemas.study import read_study

    times: dict[str, list[float]] = {"short": [], "long": []}
    first = 0.0
    readers = Readers(read_study(short))
    for number in range(12):
        for name, folder in (("short", short), ("long", long)):
            study = read_study(folder)
            log = receive.open_log(study)
            log.commits()
            landing = folder / "landing/site-00"
            shutil.rmtree(landing, ignore_errors=True)
            landing.mkdir(parents=True)
            lines = [
                f'{{"event_id":"new{number}-{row}","event_type":"client.enrolled","client_id":"c{row}"}}\n'
                for row in range(ROWS)
            ]
            (landing / f"{number}.ndjson").write_text("".join(lines))
            (landed,) = scan(study).files
            seconds = took(
                lambda s=study, lg=log, ld=landed: deliver(  # type: ignore[misc]
                    s, lg, receive.open_quarantine(s), ld, readers, clock=lambda: NOW, code_version="v"
                )
            )
            if number:
                times[name].append(seconds)
            elif name == "long":
                first = seconds
    readers.close()
    compare(f"delivery of {ROWS} lines at commit {commits:,}", times)
    print(f"  first one of a site without its memory of keys: {first * 1e3:.0f} ms")


def verified(study: Path, commits: int) -> None:
    witness = Witness(study, "bench")
    files = [p for kind in ("commits", "segments") for p in sorted((study / "log" / kind).iterdir())]
    megabytes = sum(path.stat().st_size for path in files) / 1e6
    pairs = []
    for _ in range(5):
        ours = took(lambda: verify(open_log(study), witness=witness))
        bare = took(lambda: [hashlib.sha256(path.read_bytes()).hexdigest() for path in files])
        pairs.append((ours / bare, ours, bare))
    ratio, ours, bare = sorted(pairs)[2]
    print(
        f"verify of {commits:,} commits ({len(files):,} files, {megabytes:,.0f} MB): {ours:.2f} s, "
        f"hashing them: {bare:.2f} s, ratio {ratio:.2f} (goal 2)"
    )


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--appends", type=int, default=1_000)
    options.add_argument("--commits", type=int, default=36_500)
    given = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="dyadlog-bench-"))
    try:
        appends(folder, given.appends)
        short, long = folder / "short", folder / "long"
        grow(short, 100)
        grow(long, given.commits)
        verified(long, given.commits)
        many(short, long, given.commits)
        deliveries(short, long, given.commits)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
