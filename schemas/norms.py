"""Registry of norm sets: cut-offs, reliable change, reliability, means and SDs (`norm_sets/*.yaml`).

Kept apart from the instruments, because the figures depend on the sample: one instrument has several norm sets,
each under a name of its own. A figure is never changed: other figures are another norm set.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

from pydantic import model_validator

from dyadlog.schemas.errors import StudyError
from dyadlog.schemas.instruments import TOTAL, Evidence
from dyadlog.schemas.yamlfile import Listed, Strict, YamlFile, read_yaml, validate


class Figure(Evidence):
    """One published or computed number with its source."""

    value: float


class Cutoff(Figure):
    """A cut-off; `is_clinical` says on which side a score exactly at it lies."""

    is_clinical: bool = True


class Band(Figure):
    """One band of scores: its name, and as `value` the least score in it."""

    name: str


class ScaleNorms(Strict):
    """Figures of one scale, in scale points; what is not known is left out.

    `bands` name what scores mean, from the least score upwards; each ends where the next begins. `clinical_*` and `post_*` describe the reference sample before and after treatment, `functional_*` a sample
    without the complaint.
    """

    cutoff: Cutoff | None = None
    reliable_change: Figure | None = None
    reliability: Figure | None = None
    functional_mean: Figure | None = None
    functional_sd: Figure | None = None
    clinical_mean: Figure | None = None
    clinical_sd: Figure | None = None
    post_mean: Figure | None = None
    post_sd: Figure | None = None
    pre_post_correlation: Figure | None = None
    bands: Listed[Band] = ()

    @model_validator(mode="after")
    def _ascending(self) -> ScaleNorms:
        places = [band.value for band in self.bands]
        if places != sorted(set(places)):
            raise ValueError("`bands` from the least score upwards")
        return self

    def value(self, name: str) -> float | None:
        """The number under a name, None where it is not known."""
        figure: Figure | None = getattr(self, name)
        return figure.value if figure else None


class NormSet(Strict):
    """Figures from one population, for some versions of an instrument."""

    versions: Listed[str]
    population: str
    scales: dict[str, ScaleNorms]


class Norms(Strict):
    """All norm sets of one file."""

    instrument: str
    norm_sets: dict[str, NormSet]


NormRegistry = dict[str, dict[str, NormSet]]


@cache
def shipped_norms() -> NormRegistry:
    """The norm sets that come with Dyadlog: instrument -> name -> norm set."""
    folder = Path(__file__).with_name("norm_sets")
    return add_norms({}, (read_yaml(path) for path in sorted(folder.glob("*.yaml"))))


def add_norms(known: NormRegistry, files: Iterable[YamlFile]) -> NormRegistry:
    """Known norm sets and those of some files.

    Raises:
        StudyError: a file does not describe norm sets, or uses a name that is taken.
    """
    found = {instrument: dict(sets) for instrument, sets in known.items()}
    for file in files:
        norms = validate(Norms, file)
        sets = found.setdefault(norms.instrument, {})
        for name, norm_set in norms.norm_sets.items():
            if name in sets:
                line = file.line(("norm_sets", name))
                raise StudyError(
                    [
                        f"{file.name}:{line}: key `norm_sets.{name}`: {norms.instrument} has a norm set of this name already; expected a new name"
                    ]
                )
            sets[name] = norm_set
    return found


def scale_norms(
    known: NormRegistry, instrument: str, version: str, name: str, scale: str = TOTAL
) -> ScaleNorms | None:
    """The figures of a scale in a norm set, if there is such a norm set for this version."""
    norm_set = known.get(instrument, {}).get(name)
    return norm_set.scales.get(scale) if norm_set and version in norm_set.versions else None
