"""How long people wait for an answer: a night with nothing new, and the first word of `dyadlog check`.

Each is shown as a ratio to importing the libraries that such a tool cannot do without, measured in the same run.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPEATS = 5
LINES = 10_000
DYADLOG = [sys.executable, "-m", "dyadlog.orchestration.cli"]
STUDY = """\
study: bench
title: Benchmark
sites: [{id: site-a}]
measures:
  - {id: phq, instrument: phq-9, version: "1", rater: client, occasion: pre_session, role: outcome}
"""


def until_done(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def until_first_word(command: list[str]) -> float:
    start = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        waited = time.perf_counter() - start
        process.stdout.read()
    return waited


def lines() -> str:
    told = []
    for number in range(LINES):
        payload = {"instrument": "phq-9", "version": "1", "rater": "client", "occasion": "pre_session"}
        event = {
            "event_id": f"e{number}",
            "event_type": "instrument.completed",
            "client_id": f"c{number // 20}",
            "session_number": number % 20,
            "payload": payload | {"items": {str(item): (number + item) % 4 for item in range(1, 10)}},
        }
        told.append(json.dumps(event))
    return "\n".join(told) + "\n"


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "study.yaml").write_text(STUDY)
        landing = folder / "landing/site-a"
        landing.mkdir(parents=True)
        (landing / "a.ndjson").write_text(lines())
        subprocess.run([*DYADLOG, "night", "-s", name], check=True, stdout=subprocess.DEVNULL)
        time.sleep(2.5)  # so that the stamps of the files are old enough to be trusted
        subprocess.run([*DYADLOG, "night", "-s", name], check=True, stdout=subprocess.DEVNULL)
        pairs = [
            (
                "a night with nothing new, to import dagster (goal 3)",
                lambda: until_done([*DYADLOG, "night", "-s", name]),
                lambda: until_done([sys.executable, "-c", "import dagster"]),
            ),
            (
                f"first word of check on {LINES:,} lines, to import duckdb, pandera (goal 3)",
                lambda: until_first_word([*DYADLOG, "check", str(landing / "a.ndjson"), "-s", name]),
                lambda: until_done([sys.executable, "-c", "import duckdb, pandera.polars"]),
            ),
        ]
        for title, ours, peer in pairs:
            times = [(ours(), peer()) for _ in range(REPEATS)]
            mine, theirs = min(t[0] for t in times), min(t[1] for t in times)
            print(f"{title}: {mine:.2f} s / {theirs:.2f} s = {mine / theirs:.2f}")


if __name__ == "__main__":
    main()
