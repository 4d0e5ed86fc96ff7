"""From the input of a reference case to deliveries, a night and marts: nothing is computed here."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SHARED, Lab, client, rating, session

REFERENCE = SHARED / "reference"
needs_reference = pytest.mark.skipif(
    not REFERENCE.is_dir(), reason="reference cases (../shared/reference or $DYADLOG_SHARED) are not here"
)
CLOSED_FORM = 1e-9

INSTRUMENT = """\
instrument: {name}
name: One number, as in the reference case
domain: {domain}
source: reference case
licence: none
direction: {direction}_is_better
versions:
  "1": {{raters: [client, therapist], items: [score], min: -10000, max: 10000, whole: false, max_missing: {{total: 0, subscale: 0}}}}
"""


def read(case: str, name: str) -> list[dict[str, str]]:
    with (REFERENCE / case / name).open(newline="") as file:
        return list(csv.DictReader(file))


def number(text: str) -> float | None:
    """A number as R writes it; blank is missing."""
    return None if text in ("", "NA", "NaN") else float(text)


def flag(text: str) -> bool | None:
    return {"TRUE": True, "FALSE": False, "1": True, "0": False}.get(text)


def ident(text: str) -> str:
    """An id of a reference case as a pseudonym."""
    return "c" + "".join(letter if letter.isalnum() else "-" for letter in text)


class Compared:
    """Collects the comparison of one expectation and keeps the largest difference."""

    def __init__(self, record: Callable[[str, object], None]) -> None:
        self._record = record

    def same(
        self,
        case: str,
        what: str,
        pairs: Iterable[tuple[object, float | str | bool | None, float | str | bool | None]],
        *,
        tolerance: float = CLOSED_FORM,
        note: str = "",
    ) -> None:
        """Every (key, expected, found) agrees; numbers within a tolerance relative to their size above 1."""
        largest, rows, wrong = 0.0, 0, []
        for key, expected, found in pairs:
            rows += 1
            if isinstance(expected, float) and isinstance(found, int | float) and not isinstance(found, bool):
                if math.isinf(expected) and expected == found:
                    continue
                difference = abs(expected - found) / max(1.0, abs(expected))
                largest = max(largest, difference)
                if not difference <= tolerance:
                    wrong.append((key, expected, found))
            elif expected != found:
                wrong.append((key, expected, found))
        self._record("reference", (case, what, rows, largest, note))
        assert rows, f"{case}: nothing was compared for {what}"
        assert wrong == [], f"{case}: {what}: {len(wrong)} of {rows}, first {wrong[:3]}"


class Case:
    """A study of one-number forms: who scored what, when, at which site."""

    def __init__(self, folder: Path, instruments: dict[str, tuple[str, str]], **study: Any) -> None:
        """`instruments`: name -> (domain, "higher" or "lower"); `study`: further keys of study.yaml."""
        self._folder, self._study = folder, study
        self._instruments = instruments
        self._events: dict[str, list[dict[str, Any]]] = {}
        self._known: set[tuple[str, str, int | None]] = set()

    def client(self, site: str, name: str, **payload: Any) -> str:
        """`payload`: what else the enrolment says, where it is the first that is said of the client."""
        if (site, name, None) not in self._known:
            self._known.add((site, name, None))
            self._events.setdefault(site, []).append(client(name, payload=payload))
        return name

    def held(self, site: str, name: str, number: int, **more: Any) -> None:
        self.client(site, name)
        if (site, name, number) not in self._known:
            self._known.add((site, name, number))
            self._events[site].append(session(number, name, **more))

    def add(self, site: str, event: dict[str, Any]) -> None:
        self._events.setdefault(site, []).append(event)

    def score(
        self,
        site: str,
        name: str,
        instrument: str,
        when: str | int,
        value: float | None,
        at_session: str = "pre_session",
        **more: Any,
    ) -> None:
        """A score at an occasion, or at a session (held for that purpose); None was not given. `more`: rater, therapist_id."""
        self.client(site, name)
        if value is None:
            return
        if isinstance(when, int):
            self.held(site, name, when)
        occasion = at_session if isinstance(when, int) else when
        event = rating(
            when if isinstance(when, int) else None,
            [],
            name,
            instrument=instrument,
            version="1",
            occasion=occasion,
            **more,
        )
        event["payload"]["items"] = {"score": value}
        self._events[site].append(event)

    def night(self) -> Lab:
        files = {f"{name}.yaml": kind for name, kind in self._instruments.items()}
        study = {
            "study": "reference",
            "title": "Reference case",
            "sites": [{"id": site} for site in sorted(self._events)],
            "instruments": list(files),
            **self._study,
        }
        lab = Lab(self._folder / "study", json.dumps(study))
        for file, (domain, direction) in files.items():
            text = INSTRUMENT.format(name=file.removesuffix(".yaml"), domain=domain, direction=direction)
            (lab.folder / file).write_text(text)
        for site, events in self._events.items():
            lab.drop(site, "all.ndjson", events)
        lab.night()
        return lab
