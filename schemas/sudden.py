"""Rules for sudden gains and losses: named presets (`sudden_gains.yaml`), completed by the rules of a study."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from dyadlog.schemas.instruments import Occasion, Rater
from dyadlog.schemas.yamlfile import Listed, Strict, YamlFile, read_yaml

Session = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]


@cache
def _file() -> YamlFile:
    return read_yaml(Path(__file__).with_name("sudden_gains.yaml"))


def t_values(alpha: float) -> tuple[float, float, float]:
    """Two-sided critical values of t for 2, 3 and 4 degrees of freedom."""
    low, middle, high = _file().data["t_values"][alpha]
    return low, middle, high


class SuddenRule(Strict):
    """One rule for sudden gains or losses; `id` is the `rule_id` of its rows.

    A change from session N to N + 1 is sudden if it is at least `cutoff` scale points (criterion 1), at least `percent`
    per cent of the score at N (2), and large against the spread of the three sessions before and after (3: means further
    apart than t times the pooled SD; `alpha`, or one `critical` value whatever the number of scores). A criterion that is
    null is not applied. `sessions` are the first and last session of the series, `course` the two between which the
    whole change is counted; by default those of the client. The first and the last interval are never tested.
    """

    id: str
    preset: str
    source: str
    instrument: str
    version: str
    rater: Rater = "client"
    occasion: Occasion = "pre_session"
    kind: Literal["gain", "loss"]
    cutoff: Positive | None
    percent: Positive | None
    alpha: float | None
    critical: Positive | None = None
    sessions: Listed[Session] = ()
    course: Listed[Session] = ()
    reversal_from: Literal[2, 3]
    percent_of_losses: bool = True
    missing_decides: bool = True
    largest_by_sign: bool = False
    turns_share_of_losses: bool = False
    zero_is_infinite: bool = False

    @model_validator(mode="before")
    @classmethod
    def _completed(cls, said: Any) -> Any:
        """What a rule does not say comes from its preset."""
        if not isinstance(said, dict):
            return said
        presets = _file().data["presets"]
        if said.get("preset") not in presets:
            raise ValueError(f"in `preset` one of {', '.join(presets)}")
        return {**presets[said["preset"]], **said}

    @model_validator(mode="after")
    def _complete(self) -> SuddenRule:
        if self.alpha is not None and self.alpha not in _file().data["t_values"]:
            raise ValueError(f"in `alpha` one of {', '.join(map(str, _file().data['t_values']))}")
        for name, pair in (("sessions", self.sessions), ("course", self.course)):
            if pair and not (len(pair) == 2 and pair[0] < pair[1]):
                raise ValueError(f"in `{name}` a first and a later last session")
        if self.cutoff is None and self.percent is None and self.alpha is None and self.critical is None:
            raise ValueError("at least one criterion")
        return self

    @property
    def critical_values(self) -> tuple[float | None, float | None, float | None]:
        """Critical values of criterion 3 for 4, 5 and 6 scores around the interval; None: not applied."""
        if self.critical is not None:
            return (self.critical,) * 3
        return t_values(self.alpha) if self.alpha is not None else (None,) * 3
