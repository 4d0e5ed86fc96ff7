"""Registry of instruments: items, ranges, keys and scoring rules per version (`forms/*.yaml`).

No item wording is kept anywhere in Dyadlog: instruments are item names, keys and ranges only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from dyadlog.schemas.catalogue import ID_PATTERN
from dyadlog.schemas.yamlfile import Listed, Strict, YamlFile, read_yaml, validate

Rater = Literal["client", "therapist", "observer", "clinician"]
Occasion = Literal["intake", "pre_session", "post_session", "between_sessions", "end", "follow_up"]
Aspect = Literal["items", "range", "keys", "subscales", "score", "missing_rule"]

# How a figure is known: V checked in a source document, M from memory of the literature, project our own choice,
# study computed from the study's own data.
Status = Literal["V", "M", "project", "study"]

TOTAL = "total"


class Evidence(Strict):
    """Where a statement comes from and how sure it is."""

    status: Status
    source: str


def _names(items: Any) -> Any:
    """`items: 12` means the items "1" to "12"; item numbers in lists become names."""
    if isinstance(items, int) and not isinstance(items, bool):
        return tuple(str(number) for number in range(1, items + 1))
    if isinstance(items, list):
        return tuple(str(item) if isinstance(item, int) else item for item in items)
    return items


Items = Annotated[tuple[str, ...], BeforeValidator(_names)]


Count = Annotated[int, Field(ge=0)]


class MaxMissing(Strict):
    """How many items may be missing before there is no score: one number for all subscales, or one for each."""

    total: Count
    subscale: Count | dict[str, Count]

    def of(self, scale: str) -> int:
        """The limit of one scale."""
        if scale == TOTAL:
            return self.total
        return self.subscale if isinstance(self.subscale, int) else self.subscale[scale]


class Version(Strict):
    """One version of an instrument: the unit in which answers are checked and scored.

    `min` and `max` are the range of one answer in scale points; a reversed item scores `min + max - answer`.
    `items` stand in the order in which they are presented. `score`: sum of the items; mean (sum / answers given);
    mean_x10 (ten times the mean). `total: false` for forms whose items are read one by one. `long_run`: equal
    answers in a row from which a form is flagged; all items where nothing is known.
    """

    raters: Listed[Rater]
    occasions: Listed[Occasion] = ()
    items: Annotated[Items, Field(min_length=1)]
    min: float
    max: float
    whole: bool = True
    reversed: Items = ()
    score: Literal["sum", "mean", "mean_x10"] = "sum"
    total: bool = True
    missing_rule: Literal["prorate", "subscale_mean_rounded"] = "prorate"
    max_missing: MaxMissing
    subscales: dict[str, Items] = {}
    long_run: Annotated[int, Field(ge=2)] | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Version:
        known = set(self.items)
        if len({item.lower() for item in self.items}) != len(self.items):
            raise ValueError("each item once in `items`, capital letters or not")
        if strange := [item for item in self.items if not re.match(ID_PATTERN, item)]:
            raise ValueError(f"item names of letters, digits, '.', '_' and '-', not {strange[0]!r}")
        if self.min >= self.max:
            raise ValueError("`min` below `max`")
        for name, members in {"reversed": self.reversed, **self.subscales}.items():
            if unknown := sorted(set(members) - known):
                raise ValueError(f"only items of the form in `{name}`, not {', '.join(unknown)}")
        if TOTAL in self.subscales:
            raise ValueError("a name other than `total` for a subscale: that is the scale of all items")
        placed = [item for members in self.subscales.values() for item in members]
        if self.missing_rule == "subscale_mean_rounded" and sorted(placed) != sorted(self.items):
            raise ValueError("each item in exactly one subscale where the missing rule fills subscales")
        limits = self.max_missing.subscale
        if isinstance(limits, dict) and set(limits) != set(self.subscales):
            raise ValueError("in `max_missing.subscale` one number, or one for each subscale")
        return self

    @property
    def scales(self) -> dict[str, tuple[str, ...]]:
        """Items by scale, the total first."""
        return {**({TOTAL: self.items} if self.total else {}), **self.subscales}

    def span(self, scale: str) -> tuple[float, float]:
        """Least and greatest score of a scale."""
        times = {"sum": len(self.scales[scale]), "mean": 1, "mean_x10": 10}[self.score]
        return self.min * times, self.max * times


class Instrument(Strict):
    """One instrument with its versions."""

    instrument: str
    name: str
    domain: Literal["alliance", "outcome", "process"]
    source: str
    licence: str
    direction: Literal["higher_is_better", "lower_is_better"]
    evidence: dict[Aspect, Evidence] = {}
    versions: dict[str, Version]

    @property
    def improvement_sign(self) -> int:
        """1 if a higher score is better, -1 if a lower one is."""
        return 1 if self.direction == "higher_is_better" else -1


Registry = dict[str, Instrument]


@cache
def shipped_instruments() -> Registry:
    """The instruments that come with Dyadlog, by name."""
    folder = Path(__file__).with_name("forms")
    return read_instruments(sorted(folder.glob("*.yaml")))


def read_instruments(files: Iterable[Path]) -> Registry:
    """Read instrument files.

    Raises:
        StudyError: a file does not describe an instrument.
    """
    found: Registry = {}
    for path in files:
        instrument = parse_instrument(read_yaml(path))
        found[instrument.instrument] = instrument
    return found


def parse_instrument(file: YamlFile) -> Instrument:
    """Check one instrument file.

    Raises:
        StudyError: with one sentence per mistake.
    """
    return validate(Instrument, file)
