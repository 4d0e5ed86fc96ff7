"""Years of nights of a network, and a plain model of what should be known after them.

    python -m tests.soak FOLDER [--nights 3650]

prints how long nights take and how much memory the process has, year by year; `test_soak.py` looks at the answers.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb

from dyadlog.assets.erasure.person import erase_person
from dyadlog.assets.event_log.log import EventLog
from dyadlog.assets.intake.receive import at_work, open_log
from dyadlog.assets.intake.void import void
from dyadlog.assets.warehouse import inputs
from dyadlog.assets.warehouse.models import models
from tests.conftest import Lab, client, session

SITES = [f"site-{number:02}" for number in range(16)]
STUDY = (
    "study: soak\ntitle: Soak\nsites:\n"
    + "".join(f"  - id: {site}\n" for site in SITES)
    + "compaction: {segments: 8, grace_days: 3}\n"
)

Fact = dict[str, Any]
State = tuple[str, str, int, str, str | None]


@dataclass
class Delivery:
    """What the model remembers of a file."""

    site: str
    name: str
    facts: list[Fact]
    voided: bool = False


@dataclass
class Soak:
    """A network whose sites deliver night after night.

    Args:
        lab: its study.
        seed: of everything that happens.
    """

    lab: Lab
    seed: int = 0
    night: int = 0
    said: list[Delivery] = field(default_factory=list)
    erased: set[tuple[str, str]] = field(default_factory=set)
    done: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)
        self._known: dict[str, list[Fact]] = defaultdict(list)

    def run_night(self, *, acts: bool = True) -> None:
        """Every fourth site delivers; now and then the steward has something to put right."""
        self.night += 1
        self.lab.clock += timedelta(days=1)
        for site in self._dice.sample(SITES, len(SITES) // 4):
            delivery = Delivery(site, f"{self.night:05}.ndjson", self._facts(site))
            self.lab.drop(site, delivery.name, delivery.facts)
            self.said.append(delivery)
        commits = self.lab.receive()
        self.done.update(commit.kind for commit in commits)
        for path in (self.lab.folder / "landing").rglob("*.ndjson"):
            path.unlink()  # sites tidy up; ten years of files would only be listed again and again
        if acts and self.night % 7 == 0:
            self._void()
        if acts and self.night % 10 == 0:
            self._erase()

    def _facts(self, site: str) -> list[Fact]:
        dice, known = self._dice, self._known[site]
        name = f"c{self.night // 20:03}-{dice.randrange(3)}"
        facts = [client(name), session(self.night % 20 + 1, name)]
        for fact in dice.sample(known, min(len(known), 2)):
            change = {
                **fact,
                "revision": fact.get("revision", 1) + dice.randrange(2),
                "study_day": self.night,
            }
            change |= {"op": dice.choice(["correct", "correct", "retract"]), "reason_code": "other"}
            facts.append(dice.choice([fact, change]))
        if dice.random() < 0.05:
            mode = dice.choice(["stop_future", "exclude", "erase"])
            facts.append(
                {"event_id": f"ends-{name}", "event_type": "consent.withdrawn", "client_id": name}
                | {"study_day": self.night, "payload": {"mode": mode}}
            )
        known += facts
        del known[:-200]
        return facts

    def _void(self) -> None:
        delivery = self._dice.choice([one for one in self.said if not one.voided])
        log = open_log(self.lab.study)
        seq = next(
            c.seq
            for c in log.of_site(delivery.site)
            if c.kind == "delivery" and c.receipt.file_name == delivery.name
        )
        with at_work(self.lab.study, log):
            void(
                self.lab.study,
                log,
                delivery.site,
                str(seq),
                by="steward",
                why="soak",
                clock=lambda: self.lab.clock,
                code_version="v",
            )
        delivery.voided = True
        self.done["void"] += 1

    def _erase(self) -> None:
        site = self._dice.choice(self.said).site
        there = {fact["client_id"] for one in self.said if one.site == site for fact in one.facts}
        left = sorted(name for name in there if (site, name) not in self.erased)
        if not left:
            return
        name = self._dice.choice(left)
        erase_person(
            self.lab.study,
            site,
            name,
            by="steward",
            why="soak",
            rebuild=lambda _log: None,
            clock=lambda: self.lab.clock,
        )
        self.erased.add((site, name))
        self.done["erasure"] += 1

    def expected(self) -> list[State]:
        """What each site says now, told without the platform: the newest revision holds, two contents contradict."""
        contents: dict[tuple[str, str, int], dict[str, Fact]] = defaultdict(dict)
        for one in self.said:
            for fact in one.facts if not one.voided else ():
                if (one.site, fact["client_id"]) not in self.erased:
                    key = (one.site, fact["event_id"], fact.get("revision", 1))
                    said = {"op": "assert", "revision": 1} | fact
                    contents[key][json.dumps(said, sort_keys=True)] = fact
        newest: dict[tuple[str, str], int] = {}
        for site, event, revision in contents:
            newest[site, event] = max(revision, newest.get((site, event), 0))
        found: list[State] = []
        for (site, event), revision in newest.items():
            facts = list(contents[site, event, revision].values())
            if len(facts) > 1:
                found.append((site, event, revision, "conflict", None))
            elif facts[0].get("op") == "retract":
                found.append((site, event, revision, "retracted", None))
            else:
                found.append((site, event, revision, "active", facts[0]["client_id"]))
        return sorted(found, key=str)

    def found(self) -> list[State]:
        """The same by the log and the fold."""
        log: EventLog = open_log(self.lab.study)
        with duckdb.connect() as duck:
            inputs.load_log(duck, log, log.commits())
            duck.execute("create schema staging")
            duck.execute(f"create table staging.event as {models()['staging.event'].sql}")
            rows = duck.execute("select site_id, event_id, revision, state, client_id from staging.event")
            return sorted(rows.fetchall(), key=str)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("folder", type=Path)
    options.add_argument("--nights", type=int, default=3650)
    given = options.parse_args()
    soak = Soak(Lab(given.folder, STUDY))
    seconds: list[float] = []
    for number in range(1, given.nights + 1):
        began = time.process_time()
        soak.run_night(acts=number % 70 == 0)
        if number % 70:
            seconds.append(time.process_time() - began)
        if number % (given.nights // 10) == 0:
            last = sorted(seconds[-30:])
            megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            files = len(open_log(soak.lab.study).layout.files())
            print(
                f"night {number}: {last[len(last) // 2]:.2f} s of CPU (median of 30), {files} segments, {megabytes:.0f} MB",
                flush=True,
            )


if __name__ == "__main__":
    main()
