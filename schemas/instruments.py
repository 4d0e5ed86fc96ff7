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


def _names(items: Any) -> Any:
    """`items: 12` means the items "1" to "12"; item numbers in lists become names."""
    if isinstance(items, int) and not isinstance(items, bool):
        return tuple(str(number) for number in range(1, items + 1))
    if isinstance(items, list):
        return tuple(str(item) if isinstance(item, int) else item for item in items)
    return items


Items = Annotated[tuple[str, ...], BeforeValidator(_names)]


class MaxMissing(Strict):
    """How many items may be missing before there is no score."""

    total: Annotated[int, Field(ge=0)]
    subscale: Annotated[int, Field(ge=0)]


class Version(Strict):
    """One version of an instrument: the unit in which answers are checked and scored.

    `min` and `max` are the range of one answer in scale points; a reversed item scores `min + max - answer`.
    """

    raters: Listed[Rater]
    items: Annotated[Items, Field(min_length=1)]
    min: float
    max: float
    whole: bool = True
    reversed: Items = ()
    score: Literal["sum", "mean"] = "sum"
    missing_rule: Literal["prorate", "subscale_mean_rounded"] = "prorate"
    max_missing: MaxMissing
    subscales: dict[str, Items] = {}

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
        return self


class Instrument(Strict):
    """One instrument with its versions."""

    instrument: str
    name: str
    domain: Literal["alliance", "outcome", "process"]
    source: str
    licence: str
    direction: Literal["higher_is_better", "lower_is_better"]
    versions: dict[str, Version]


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
