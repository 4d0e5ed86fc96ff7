"""How ratings of the alliance are looked at: `alliance.yaml`, and what a study says instead."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from dyadlog.schemas.instruments import Evidence
from dyadlog.schemas.yamlfile import Listed, Strict, read_yaml

Session = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
_PROJECT: dict[str, Any] = {"status": "study", "source": "study.yaml"}


@cache
def _defaults() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = read_yaml(Path(__file__).with_name("alliance.yaml")).data
    return found


class CommonRange(Evidence):
    """Range to which item means of all forms are stretched before they are compared."""

    min: float
    max: float

    @model_validator(mode="after")
    def _ordered(self) -> CommonRange:
        if self.min >= self.max:
            raise ValueError("`min` below `max`")
        return self


class AgreeWithin(Evidence):
    """Distance of two raters, in points of the common range, up to which they agree."""

    points: Positive


class Shape(Evidence):
    """Points of the common range that count as a change, and ratings that a description needs."""

    change: Positive
    min_ratings: Annotated[int, Field(ge=3)]


class Established(Evidence):
    """When the alliance of a course is established; `id` is the rule of its rows, `unless` a rule for ruptures."""

    id: str
    from_session: Session
    by_session: Session
    threshold: float | None
    unless: str
    min_ratings: Annotated[int, Field(ge=1)]

    @model_validator(mode="after")
    def _ordered(self) -> Established:
        if self.from_session > self.by_session:
            raise ValueError("`from_session` not after `by_session`")
        return self


class Work(Evidence):
    """Codes that show therapeutic work."""

    families: Listed[str]
    codes: Listed[str]


class FormOf(Strict):
    """One version of an instrument."""

    instrument: str
    version: str


class Pair(Strict):
    """A client's and a therapist's form that are compared though they are two instruments."""

    client: FormOf
    therapist: FormOf


class Alliance(Strict):
    """All of it. `pairs`: besides these, forms of the same instrument are compared."""

    common_range: CommonRange
    agree_within: AgreeWithin
    shape: Shape
    established: Established
    work: Work
    pairs: Listed[Pair] = ()

    @model_validator(mode="before")
    @classmethod
    def _completed(cls, said: Any) -> Any:
        """What a study does not say comes from `alliance.yaml`; what it says is the study's own choice."""
        if not isinstance(said, dict):
            return said
        whole: dict[str, Any] = {name: dict(figures) for name, figures in _defaults().items()}
        for name, figures in said.items():
            known = whole.get(name)
            whole[name] = (
                {**known, **_PROJECT, **figures}
                if known is not None and isinstance(figures, dict)
                else figures
            )
        return whole

    @property
    def threshold(self) -> float:
        """Item mean on the common range from which the alliance is established."""
        given = self.established.threshold
        return (self.common_range.min + self.common_range.max) / 2 if given is None else given
