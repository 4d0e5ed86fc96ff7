"""Law: order, packaging, repetition, correction, voiding, release, erasure: what holds is what a simple model says.

Many cases. A case is a person of one site with three events, of which different things are said, again and again.
Persons share deliveries, so that a study of many is cheap; nothing of one may matter to another. Sites use the same
names of persons and events, so that whatever leaked from one to another would show; the names of those who will be
erased are their own, so that every byte can be searched for them.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from dyadlog.assets.event_log.verify import verify
from dyadlog.assets.intake.receive import at_work, open_log
from dyadlog.assets.intake.void import void
from tests.conftest import LONG, STUDY
from tests.test_acts import ABSOLUTE, Steward
from tests.test_acts_properties import Holds, Line, Model, delivery_of, folded, statement
from tests.test_erasure import holding, take_out

CASES = 50_000 if LONG else 2_000
SITES, PERSONS = 20, 50
NIGHTS = 7
LEAVERS = {2: "zqFirst", 4: "wxOther"}  # by the night after which they are erased, one of each site
STUDY_OF_MANY = STUDY.replace(
    "[{id: site-a}, {id: site-b}, {id: site-c}]",
    "[" + ", ".join(f"{{id: s{number:02d}}}" for number in range(SITES)) + "]",
)


def leaver(site_id: str, night: int) -> str:
    """Who is erased after this night. A word like no other: packed names that begin alike may spell each other by chance."""
    return f"{LEAVERS[night]}-{site_id}"


class Site:
    """What a site does night after night. Its persons know nothing of each other."""

    def __init__(self, site_id: str, dice: random.Random) -> None:
        self._dice = dice
        self._leavers = [leaver(site_id, night) for night in LEAVERS]
        self.model = Model()
        self.erased: set[str] = set()

    def sends(self) -> list[Line]:
        """Lines of one night; often what was sent before: the same file, or its lines in other order and packaging."""
        dice, before = self._dice, [d.lines for d in self.model.deliveries]
        if dice.random() < 0.1:
            return []
        if before and dice.random() < 0.15:
            return dice.choice(before)
        said = [line for person in range(PERSONS) if dice.random() < 0.7 for line in self._says(person)]
        every = [line for lines in before for line in lines]
        again = dice.sample(every, dice.randint(0, len(every) // 2))
        return dice.sample([*said, *again], len(said) + len(again))

    def _says(self, person: int) -> list[Line]:
        dice = self._dice
        lines = [
            statement(
                10 * person + dice.randint(1, 3), dice.randint(1, 2), dice.randint(0, 2), dice.random() < 0.3
            )
            for _ in range(dice.randint(1, 3))
        ]
        if person < len(self._leavers):
            name = self._leavers[person]
            return [line | {"client_id": name, "event_id": f"{name}-{line['event_id']}"} for line in lines]
        return [line | {"client_id": f"c{person}"} for line in lines]

    def knows(self, name: str) -> bool:
        """Whether anything was ever sent about a person."""
        return any(line["client_id"] == name for d in self.model.deliveries for line in d.lines)

    def voids(self) -> list[Line] | None:
        """Lines of a delivery that is taken back, once in a while."""
        standing = [d for d in self.model.deliveries if not d.voided]
        if not standing or self._dice.random() > 0.15:
            return None
        taken = self._dice.choice(standing)
        taken.voided = True
        return taken.lines


@pytest.mark.parametrize("seed", range(CASES // (SITES * PERSONS)))
def test_what_holds_at_each_site_is_what_its_model_says(tmp_path: Path, seed: int) -> None:
    lab, dice = Steward(tmp_path / "study", STUDY_OF_MANY), random.Random(seed)
    sites = {site_id: Site(site_id, random.Random(f"{seed} {site_id}")) for site_id in lab.study.site_ids}
    rules_change = dice.randrange(1, NIGHTS)
    pasts: dict[int, dict[str, Holds]] = {}
    acts = {"void": 0, "release": 0, "erasure": 0}
    for night in range(NIGHTS):
        for site_id, site in sites.items():
            if lines := site.sends():
                lab.drop(site_id, f"{night}.ndjson", lines)
                site.model.deliver(lines)
        lab.receive()
        acts["void"] += _void(lab, {name: lines for name, site in sites.items() if (lines := site.voids())})
        if night == rules_change:
            (lab.folder / "study.yaml").write_text(STUDY_OF_MANY + ABSOLUTE)
            for site in sites.values():
                site.model.dates_allowed = True
            acts["release"] += len(lab.release())
            for site in sites.values():
                site.model.release()
        if night in LEAVERS:
            leavers = {site_id: leaver(site_id, night) for site_id in sites}
            for site_id, name in leavers.items():
                if sites[site_id].knows(name):
                    acts["erasure"] += bool(take_out(lab, name, site_id))
                    sites[site_id].erased.add(name)
            assert holding(lab.folder, leavers.values()) == set()
        pasts[open_log(lab.study).head().seq] = {name: site.model.holds() for name, site in sites.items()}
    everybody = [name for site in sites.values() for name in site.erased]
    for upto, holds in pasts.items():  # as of each night: what was known then, but of those who left
        known = {site_id: _without(everybody, found) for site_id, found in holds.items()}
        found = folded(lab, upto)
        wrong = [site_id for site_id in sites if found.get(site_id, {}) != known[site_id]]
        assert not wrong, f"seed {seed}, as of commit {upto}"
    assert verify(open_log(lab.study)) == max(pasts)
    assert min(acts.values()) > 4, acts
    again = holding(lab.folder, everybody)  # what sites sent after the erasure stays where they put it
    assert {name.split("/")[0] for name in again} == {"landing"}


def _without(persons: list[str], holds: Holds) -> Holds:
    return {event: what for event, what in holds.items() if not event.startswith(tuple(persons))}


def _void(lab: Steward, taken: dict[str, list[Line]]) -> int:
    """Void the deliveries of these lines, one a site."""
    log = open_log(lab.study)
    with at_work(lab.study, log):
        for site_id, lines in taken.items():
            name = delivery_of(log, site_id, lines)
            said: dict[str, Any] = {"by": "A. Bee", "why": "export of another study", "code_version": "v"}
            void(lab.study, log, site_id, name, clock=lambda: lab.clock, **said)
    return len(taken)
