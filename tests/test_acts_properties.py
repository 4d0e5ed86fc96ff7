"""Law: whatever is delivered, released and voided in whatever order, what holds is what a simple model says.

The model keeps for each delivery its lines and whether it was voided. A line counts if its delivery is not voided and it
passed the rules when it came or when held-back lines were looked at again. All else follows from the set of such lines.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dyadlog.assets.event_log.log import EventLog
from dyadlog.assets.intake.receive import open_log
from dyadlog.assets.warehouse.build import load
from dyadlog.assets.warehouse.checks import CONSERVATION
from dyadlog.assets.warehouse.models import models
from tests.conftest import LONG
from tests.test_acts import ABSOLUTE, Steward

Line = dict[str, Any]
Holds = dict[str, tuple[int, str, str | None]]  # event -> revision, state, content


def statement(event: int, revision: int, what: int, dated: bool) -> Line:
    """One of few facts, so that deliveries repeat and contradict each other. Odd events end a treatment."""
    line: Line = {"event_id": f"e{event}", "revision": revision, "client_id": "c1", "session_number": event}
    if revision > 1:
        line |= {"op": "retract" if what == 2 else "correct", "reason_code": "other"}
    if event % 2:
        ending = [{"planned": True}, {"ending": "planned"}, {"ending": "unplanned_crisis"}][what]
        line |= {"schema_version": 1 if what == 0 else 2, "payload": {"initiator": "client"} | ending}
    else:
        line["payload"] = [
            {"duration_minutes": 50},
            {"format": None, "duration_minutes": 50},
            {"format": "chat"},
        ][what]
    line["event_type"] = "treatment.ended" if event % 2 else "session.held"
    return line | ({"occurred_at": "2026-03-01T10:00:00Z"} if dated else {})


def plain(payload: Line) -> Line:
    """Fields that are null and the way a number is written mean nothing."""
    return {
        name: int(value) if isinstance(value, float) else value
        for name, value in payload.items()
        if value is not None
    }


def content(line: Line) -> str:
    """What a line says, however it is written and in whatever version."""
    payload = plain(line["payload"])
    if "planned" in payload:
        payload["ending"] = "planned" if payload.pop("planned") else "unplanned"
    said = {name: line.get(name, "assert") for name in ("op",)} | {
        "at": line.get("occurred_at"),
        "payload": payload,
    }
    return json.dumps(said, sort_keys=True)


def delivery_of(log: EventLog, site_id: str, lines: list[Line]) -> str:
    """Name of the delivery of these lines."""
    data = "".join(json.dumps(line) + "\n" for line in lines).encode()
    digest = hashlib.sha256(data).hexdigest()
    (name, *_) = {c.receipt.delivery_id for c in log.of_site(site_id) if c.receipt.file_sha256 == digest}
    return name


@dataclass
class Delivery:
    lines: list[Line]
    in_force: list[Line]
    voided: bool = False


@dataclass
class Model:
    """What should be, in plain Python."""

    deliveries: list[Delivery] = field(default_factory=list)
    dates_allowed: bool = False

    def deliver(self, lines: list[Line]) -> None:
        if not any(d.lines == lines and not d.voided for d in self.deliveries):
            passing = [line for line in lines if self.dates_allowed or "occurred_at" not in line]
            self.deliveries.append(Delivery(lines, passing))

    def release(self) -> None:
        for delivery in self.deliveries:
            if not delivery.voided and self.dates_allowed:
                delivery.in_force = delivery.lines

    def holds(self) -> Holds:
        said: dict[tuple[str, int], dict[str, Line]] = {}
        for delivery in self.deliveries:
            for line in [] if delivery.voided else delivery.in_force:
                said.setdefault((line["event_id"], line["revision"]), {})[content(line)] = line
        found: Holds = {}
        for (event, revision), contents in sorted(said.items()):
            (line, *others) = contents.values()
            state = "conflict" if others else "retracted" if line.get("op") == "retract" else "active"
            payload = (
                json.dumps(json.loads(content(line))["payload"], sort_keys=True)
                if state == "active"
                else None
            )
            found[event] = (revision, state, payload)
        return found


def folded(lab: Steward, upto: int) -> dict[str, Holds]:
    """By site the same from the log, by the model `staging.event`; the laws of conservation hold."""
    with duckdb.connect() as duck:
        load(duck, lab.study, open_log(lab.study), upto)
        for sql in CONSERVATION.values():
            assert duck.execute(sql).fetchall() == [(0,)]
        rows = duck.execute(
            f"select site_id, event_id, revision, state, payload from ({models()['staging.event'].sql})"
        ).fetchall()
    found: defaultdict[str, Holds] = defaultdict(dict)
    for site_id, event, revision, state, payload in rows:
        said = json.dumps(plain(json.loads(payload)), sort_keys=True) if payload else None
        found[site_id][event] = (revision, state, said)
    return found


F, G, HELD = statement(1, 1, 0, False), statement(2, 1, 0, False), statement(2, 1, 0, True)
LINES = st.lists(
    st.builds(statement, st.integers(1, 2), st.integers(1, 2), st.integers(0, 2), st.booleans()),
    min_size=1,
    max_size=5,
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("deliver"), LINES),
        st.tuples(st.just("again"), st.integers(0, 5)),
        st.tuples(st.just("void"), st.integers(0, 5)),
        st.tuples(st.just("release"), st.booleans()),
    ),
    min_size=3,
    max_size=8,
)


def test_what_holds_is_what_the_model_says(tmp_path_factory: pytest.TempPathFactory) -> None:
    seen = {"void": 0, "release": 0}

    @settings(max_examples=1_000 if LONG else 16)
    @given(steps=STEPS)
    @example(steps=[("deliver", [F]), ("deliver", [F, G]), ("void", 0), ("deliver", [G, F]), ("void", 1)])
    @example(steps=[("deliver", [F]), ("deliver", [F, G]), ("void", 0), ("void", 1), ("deliver", [G, F])])
    @example(steps=[("deliver", [F, HELD]), ("release", True), ("again", 0), ("void", 0)])
    def check(steps: list[tuple[str, Any]]) -> None:
        lab = Steward(tmp_path_factory.mktemp("study"))
        model = Model()
        pasts = {}
        for number, (step, what) in enumerate(steps):
            if step == "again" and model.deliveries:
                step, what = "deliver", model.deliveries[what % len(model.deliveries)].lines
            if step == "deliver":
                lab.drop("site-a", f"{number}.ndjson", what)
                lab.receive()
                model.deliver(what)
            elif step == "void" and model.deliveries:
                delivery = model.deliveries[what % len(model.deliveries)]
                if not delivery.voided:
                    seen["void"] += bool(
                        lab.void("site-a", delivery_of(open_log(lab.study), "site-a", delivery.lines))
                    )
                    delivery.voided = True
            elif step == "release":
                if what:  # the rules change, for this and all that follows
                    lab.allow(ABSOLUTE)
                    model.dates_allowed = True
                seen["release"] += bool(lab.release())
                model.release()
            pasts[open_log(lab.study).head().seq] = model.holds()
        for upto, holds in pasts.items():  # as of each night: what was known then
            assert folded(lab, upto).get("site-a", {}) == holds

    check()
    assert min(seen.values()) > 0, seen
