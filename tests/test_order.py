"""Law: any order, packaging, repetition and lateness of deliveries gives marts with the same content digest."""

from __future__ import annotations

import json
import random
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import LONG, Lab, client, phq, rating, session

SITES = ("site-a", "site-b")
CASES = 700 if LONG else 6  # three thread counts: 18 cases in all, 2,100 in the long form


def story(seed: int) -> dict[str, list[dict[str, Any]]]:
    """Facts of two sites with corrections, retractions, conflicts, waiting facts and refused lines."""
    dice = random.Random(seed)
    told: dict[str, list[dict[str, Any]]] = {}
    for site in SITES:
        events: list[dict[str, Any]] = []
        for name in ("c1", "c2", "c3"):
            if dice.random() < 0.9:
                events.append(client(name))
            for number in range(1, 7):
                if dice.random() < 0.9:
                    events.append(session(number, name, dice.choice(["held", "held", "held", "missed"])))
                events.append(rating(number, [dice.randint(1, 5) for _ in range(12)], name))
                events.append(phq(number, [dice.choice([0, 1, 2, 3, None]) for _ in range(9)], name))
        for event in dice.sample(events, 6):
            change = {**event, "revision": 2, "reason_code": "data_entry_error"}
            events.append({**change, "op": dice.choice(["correct", "retract"])})
        for event in dice.sample(events, 3):
            events.append({**event, "study_day": dice.randint(1, 99)})
        events.append({"event_id": "broken"})
        told[site] = events
    return told


def digest(told: list[tuple[str, list[dict[str, Any]]]], threads: int | None) -> str:
    with tempfile.TemporaryDirectory() as folder:
        lab = Lab(Path(folder))
        for number, (site, events) in enumerate(told):
            lab.drop(site, f"{number:04d}.ndjson", events)
        lab.receive()
        return lab.build(threads).digest


@cache
def reference(seed: int) -> str:
    return digest(list(story(seed).items()), None)


@pytest.mark.parametrize("threads", [1, 2, 8])
@given(data=st.data())
@settings(max_examples=CASES)
def test_order_packaging_and_repetition_do_not_matter(threads: int, data: st.DataObject) -> None:
    seed = data.draw(st.integers(0, 4), label="story")
    deliveries: list[tuple[str, list[dict[str, Any]]]] = []
    for site, events in story(seed).items():
        order = data.draw(st.permutations(range(len(events))), label=f"order of {site}")
        repeated = data.draw(st.lists(st.sampled_from(order), max_size=5), label="sent again")
        shuffled = [events[i] for i in [*order, *repeated]]
        cuts = sorted(data.draw(st.sets(st.integers(1, len(shuffled) - 1), max_size=3), label="cut at"))
        for low, high in zip([0, *cuts], [*cuts, len(shuffled)], strict=True):
            deliveries.append((site, shuffled[low:high]))
    if data.draw(st.booleans(), label="one delivery twice"):
        deliveries.append(deliveries[0])
    deliveries = data.draw(st.permutations(deliveries), label="order of deliveries")
    assert digest(deliveries, threads) == reference(seed)


def test_the_stories_differ_so_that_an_equal_digest_means_something() -> None:
    assert len({reference(seed) for seed in range(3)}) == 3


def test_the_same_night_twice_changes_nothing(lab: Lab) -> None:
    for site, events in story(1).items():
        lab.drop(site, "first.ndjson", events)
    before = lab.night()
    assert lab.receive() == []
    for site, events in story(1).items():
        lab.drop(site, "again.ndjson", events)
    again = lab.receive()
    assert [c.kind for c in again] == ["duplicate_delivery", "duplicate_delivery"]
    assert all(c.receipt.accepted == 0 and c.receipt.balances and not c.segments for c in again)
    assert lab.build().digest == before.digest


def test_a_fact_sent_in_other_words_is_a_duplicate(lab: Lab) -> None:
    event = phq(1, [1, 2, 3, None, 0, 0, 0, 0, 0])
    lab.drop("site-a", "1.ndjson", [client(), session(1), event])
    said = json.dumps(event, indent=None, separators=(" , ", " : ")).replace(" , ", ", ")
    lab.drop("site-a", "2.ndjson", said + "\n")
    _, second = lab.receive()
    assert (second.receipt.lines, second.receipt.duplicate) == (1, 1)
