"""Parameters, presets and targets of simulated studies (`simulation.yaml`)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from dyadlog.schemas.errors import UserError
from dyadlog.schemas.instruments import Rater
from dyadlog.schemas.yamlfile import Listed, Strict, read_yaml, validate

Point = Annotated[
    tuple[float, float], BeforeValidator(lambda pair: tuple(pair) if isinstance(pair, list) else pair)
]


class Parameter(Strict):
    """One parameter: a number, a quantile function (points of probability and value), or numbers by name.

    `status`: published (the figure is in the named source), fitted (set so that a target is met),
    chosen (no figure is known; plausible).
    """

    value: float | Listed[Point] | dict[str, float]
    says: str
    status: Literal["published", "fitted", "chosen"]
    source: str = ""


class Answering(Strict):
    """How a latent value becomes answers: one graded response model per form.

    Args:
        latent: the latent value behind the answers.
        discrimination: slope of all items.
        thresholds: difficulties of the steps between neighbouring answers, in latent SD.
        easier: shift of each item's thresholds, repeated over the items.
        subscale_sd: SD of what the items of a subscale share beyond the latent value.
    """

    instrument: str
    version: str
    latent: Literal["alliance_client", "alliance_therapist", "symptoms"]
    discrimination: Annotated[float, Field(gt=0)]
    thresholds: Listed[float]
    easier: Listed[float] = (0.0,)
    subscale_sd: Annotated[float, Field(ge=0)] = 0.0


class Due(Strict):
    """One form of the simulated studies' protocol: a measure of `study.yaml`.

    `completed` is the share of due forms that a usual site collects.
    """

    id: str
    instrument: str
    version: str
    rater: Rater
    occasion: Literal["intake", "pre_session", "post_session", "end"]
    role: Literal["alliance", "outcome", "process"]
    sessions: Literal["all", "once"]
    completed: Annotated[float, Field(gt=0, lt=1)]


class Target(Strict):
    """A figure from outside that the simulation is held to.

    `whole`: a count of the whole study, which only a study of the preset's size can have.
    """

    says: str
    value: float
    tolerance: float
    digits: int = 2
    whole: bool = False
    source: str


class Preset(Strict):
    """A size of study.

    `set` replaces values of parameters, `completed` those of the battery, `targets` replaces or adds targets;
    `study` is the name in study.yaml.
    """

    says: str
    study: str = "simulated"
    sites: int
    clients: int
    nights: int
    set: dict[str, float | Listed[Point] | dict[str, float]] = {}
    completed: dict[str, float] = {}
    targets: dict[str, Target] = {}


class Simulation(Strict):
    """The whole file."""

    parameters: dict[str, Parameter]
    answering: Listed[Answering]
    battery: Listed[Due]
    presets: dict[str, Preset]
    targets: dict[str, Target]


class Parameters:
    """Values of the parameters, with those of a preset in place.

    Args:
        preset: name of a preset.
    """

    def __init__(self, preset: str = "default") -> None:
        whole = simulation()
        if preset not in whole.presets:
            raise UserError(
                f"--preset {preset}: there is no such preset; choose one of {', '.join(whole.presets)}"
            )
        self.preset = whole.presets[preset]
        self._values = {name: parameter.value for name, parameter in whole.parameters.items()}
        self._values |= self.preset.set
        completed = self.preset.completed
        self.battery = tuple(
            due.model_copy(update={"completed": completed.get(due.id, due.completed)})
            for due in whole.battery
        )
        self.targets = whole.targets | self.preset.targets
        self.answering = {(model.instrument, model.version): model for model in whole.answering}

    def targets_of(self, sites: int, clients: int) -> dict[str, Target]:
        """Targets of a study of this size: counts of the whole study only at the preset's own."""
        own = (sites, clients) == (self.preset.sites, self.preset.clients)
        return {name: target for name, target in self.targets.items() if own or not target.whole}

    def values(self) -> dict[str, Any]:
        """All values as plain lists, numbers and names, for a file."""
        return {
            name: [list(point) for point in value] if isinstance(value, tuple) else value
            for name, value in self._values.items()
        }

    def number(self, name: str) -> float:
        """A number."""
        value = self._values[name]
        if not isinstance(value, int | float):
            raise TypeError(name)
        return float(value)

    def curve(self, name: str) -> tuple[Point, ...]:
        """A quantile function."""
        value = self._values[name]
        if not isinstance(value, tuple):
            raise TypeError(name)
        return value

    def named(self, name: str) -> dict[str, float]:
        """Relative frequencies, or effects, by name."""
        value = self._values[name]
        if not isinstance(value, dict):
            raise TypeError(name)
        return value


@cache
def simulation() -> Simulation:
    """The simulation file of this version of the code."""
    return validate(Simulation, read_yaml(Path(__file__).with_name("simulation.yaml")))
