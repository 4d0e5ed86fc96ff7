"""A site's facts with what is planted in them: rows changed, added and taken out, and the key to all of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from dyadlog.assets.simulation.chance import Chance, Flags, Ints
from dyadlog.assets.simulation.facts import NIGHT, SCHEMA
from dyadlog.assets.simulation.network import Site

Row = dict[str, Any]

# Columns beside those of facts: place in the order of recording, and number of the key entry that a row belongs to.
PLACE, PLANTED = "_place", "_planted"
KEY = pl.Schema(
    {
        "fault": pl.String,
        "site_id": pl.String,
        "night": pl.Int32,
        "file_name": pl.String,
        "line_number": pl.Int64,
        "event_id": pl.String,
        "client_id": pl.String,
        "session_number": pl.Int64,
        "subject": pl.String,
    }
)


@dataclass
class Planted:
    """An entry of the key: which fault, and where it must show.

    Args:
        fault: its name in `faults.yaml`.
        site_id: the site.
        night: night of the delivery that holds it.
        file_name: file that holds it, or whole file that is faulty.
        line_number: line in this file.
        event_id: fact that it is in.
        client_id: client that it is about.
        session_number: session that it is in.
        subject: subject of the flag that must show it.
    """

    fault: str
    site_id: str
    night: int | None = None
    file_name: str | None = None
    line_number: int | None = None
    event_id: str | None = None
    client_id: str | None = None
    session_number: int | None = None
    subject: str | None = None


@dataclass
class Plot:
    """Facts of one site while faults are planted.

    A row, a session and a delivery hold one fault at most, so that what is found can be put down to one fault.

    Args:
        site: the site.
        seed: seed of the study.
        nights: nights of the study.
        rates: how often each fault is planted.
        facts: the facts, in order of recording.

    Attributes:
        free: facts in which nothing is planted yet.
        quiet: nights whose deliveries are faulty as a whole; nothing else is put there.
        key: what was planted.
    """

    site: Site
    seed: int
    nights: int
    rates: dict[str, float]
    facts: pl.DataFrame
    quiet: set[int] = field(default_factory=set)
    key: list[Planted] = field(default_factory=list)
    _changed: dict[int, Row] = field(default_factory=dict)
    _dropped: set[int] = field(default_factory=set)
    _added: list[Row] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.facts = self.facts.with_columns(pl.int_range(pl.len()).cast(pl.Float64).alias(PLACE))
        self.free: Flags = np.ones(len(self.facts), bool)

    def chance(self, fault: str) -> Chance:
        """The random numbers of a fault at this site."""
        return Chance(self.seed, self.site.site_id, "fault", fault)

    def pick(self, fault: str, eligible: Flags | Ints) -> list[int]:
        """Some of the eligible ones, in order, as many as the fault's rate says.

        Args:
            fault: name of the fault.
            eligible: flags of all facts, or positions of whatever is drawn.
        """
        places = np.flatnonzero(eligible & self.free) if eligible.dtype == bool else eligible
        chance = self.chance(fault)
        count = math.floor(self.rates[fault] * len(places) + float(chance.uniform(1)[0]))
        order = np.argsort(chance.uniform(len(places)), kind="stable")
        return [int(places[place]) for place in sorted(order[:count])]

    def row(self, place: int) -> Row:
        """A fact as it stands."""
        return dict(self._changed.get(place) or self.facts.row(place, named=True))

    def change(self, fault: str, place: int, row: Row, **told: Any) -> None:
        """Put another row in the place of a fact."""
        self._changed[place] = row | {PLANTED: self._note(fault, row, told)}
        self.free[place] = False

    def rewrite(self, place: int, row: Row) -> None:
        """Put another row in the place of a fact, as part of a fault that is entered into the key elsewhere."""
        self._changed[place] = row | {PLANTED: None}
        self.free[place] = False

    def add(self, fault: str, after: int, row: Row, *, noted: bool = True, **told: Any) -> None:
        """Add a row behind a fact (in order of recording)."""
        note = self._note(fault, row, told) if noted else None
        self._added.append(row | {PLACE: after + 0.5, PLANTED: note})
        self.free[after] = False

    def drop(self, place: int) -> None:
        """Take a fact out."""
        self._dropped.add(place)
        self.free[place] = False

    def note(self, fault: str, **told: Any) -> None:
        """Enter something into the key that is not about one row."""
        self.key.append(Planted(fault, self.site.site_id, **told))

    def _note(self, fault: str, row: Row, told: dict[str, Any]) -> int:
        where = {name: row[name] for name in ("night", "event_id", "client_id", "session_number")}
        self.key.append(Planted(fault, self.site.site_id, **(where | told)))
        return len(self.key) - 1

    def later(self, fault: str, night: int) -> int:
        """One of the next nights on which a row may be delivered."""
        later = [n for n in range(night + 1, self.nights + 1) if n not in self.quiet]
        return later[min(len(later) - 1, int(self.chance(fault).uniform(night)[-1] * 3))] if later else night

    def move(self, to: Callable[[pl.Expr], pl.Expr]) -> None:
        """Move facts to other nights."""
        self.facts = self.facts.with_columns(to(pl.col(NIGHT)).cast(pl.Int32).alias(NIGHT))

    def result(self) -> pl.DataFrame:
        """The facts as they are delivered, with the column `PLANTED`."""
        touched = {*self._changed, *self._dropped}
        keep = np.ones(len(self.facts), bool)
        keep[list(touched)] = False
        rows = [*self._changed.values(), *self._added]
        own: dict[str, type[pl.DataType]] = {PLACE: pl.Float64, PLANTED: pl.Int64}
        schema = pl.Schema([*SCHEMA.items(), *own.items()])
        kept = self.facts.filter(keep).with_columns(pl.lit(None, pl.Int64).alias(PLANTED))
        made = pl.DataFrame(rows, schema=schema) if rows else kept.clear()
        return pl.concat([kept.select(list(schema)), made]).sort(PLACE, maintain_order=True).drop(PLACE)


def entries(key: Iterable[Planted]) -> pl.DataFrame:
    """The key as a table, in the order of planting."""
    return pl.DataFrame([vars(entry) for entry in key], schema=KEY)
