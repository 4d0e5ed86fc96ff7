"""Rules that call a session a rupture: named presets (`ruptures.yaml`), changed or completed by the rules of a study."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from dyadlog.schemas.catalogue import ID_PATTERN
from dyadlog.schemas.instruments import Evidence
from dyadlog.schemas.yamlfile import Listed, read_yaml

Positive = Annotated[float, Field(gt=0)]
Family = Literal[
    "drop", "chart", "sudden", "within", "between", "form", "report", "recognised", "marker", "code"
]
# What a rule of a family cannot do without.
NEEDS: dict[str, tuple[str, ...]] = {
    "drop": ("spread", "k", "tolerance"),
    "chart": ("k", "d2"),
    "sudden": ("points_of_range", "percent", "tolerance"),
    "within": ("spread", "k"),
    "between": ("spread", "k"),
    "form": ("instrument", "intensity_scale", "resolution_scale", "above", "resolved_from"),
    "report": ("resolved_from",),
    "recognised": ("resolved_from",),
    "marker": ("families", "significance_from", "resolved_from"),
    "code": ("codes", "repair_codes"),
}


@cache
def presets() -> dict[str, dict[str, Any]]:
    """The named presets; a preset is a rule of that name."""
    found: dict[str, dict[str, Any]] = read_yaml(Path(__file__).with_name("ruptures.yaml")).data
    return found


class RuptureRule(Evidence):
    """One rule; `id` is the `rule_id` of its rows. Families and figures: see `ruptures.yaml`.

    `min_ratings`: ratings that a course needs, by default `thresholds.rupture_min_ratings`.
    """

    id: Annotated[str, Field(pattern=ID_PATTERN)]
    preset: str
    family: Family
    window: Annotated[int, Field(ge=1)]
    asked: bool = False
    min_ratings: Annotated[int, Field(ge=2)] | None = None
    spread: Literal["own", "mean", "stricter"] | None = None
    k: Positive | None = None
    reference_sd: Positive | None = None
    d2: Positive | None = None
    points_of_range: Annotated[float, Field(ge=0)] | None = None
    percent: Annotated[float, Field(ge=0)] | None = None
    tolerance: Annotated[float, Field(ge=0)] | None = None
    instrument: str | None = None
    intensity_scale: str | None = None
    resolution_scale: str | None = None
    above: float | None = None
    resolved_from: float | None = None
    families: Listed[Literal["withdrawal", "confrontation", "resolution", "task", "other"]] = ()
    significance_from: Annotated[int, Field(ge=1, le=5)] | None = None
    codes: Listed[str] = ()
    repair_codes: Listed[str] = ()

    @model_validator(mode="before")
    @classmethod
    def _completed(cls, said: Any) -> Any:
        """What a rule does not say comes from its preset."""
        if not isinstance(said, dict):
            return said
        if said.get("preset") not in presets():
            raise ValueError(f"in `preset` one of {', '.join(presets())}")
        return {**presets()[said["preset"]], **said}

    @model_validator(mode="after")
    def _complete(self) -> RuptureRule:
        needed = NEEDS[self.family]
        if lacking := [name for name in needed if getattr(self, name) in (None, ())]:
            raise ValueError(f"`{lacking[0]}` in a rule of the family {self.family}")
        return self


def default_rules() -> list[RuptureRule]:
    """The rules of a study that names none."""
    every = [RuptureRule.model_validate({"id": name, "preset": name}) for name in presets()]
    return [rule for rule in every if not rule.asked]
