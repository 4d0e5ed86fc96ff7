"""Rules that judge outcomes: named presets (`rules.yaml`), completed by the rules of a study."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from dyadlog.schemas.instruments import TOTAL
from dyadlog.schemas.norms import NormRegistry, ScaleNorms, scale_norms
from dyadlog.schemas.yamlfile import Strict, read_yaml

# Figures of a rule: published ones, and those of the reference sample before and after treatment.
PUBLISHED = ("cutoff", "reliable_change", "reliability", "functional_mean", "functional_sd")
REFERENCE = ("clinical_mean", "clinical_sd", "post_mean", "post_sd", "pre_post_correlation")
FIGURES = (*PUBLISHED, *REFERENCE)
STUDY = "study"  # the reference sample is the study itself, as it is in the build

Share = Annotated[float, Field(gt=0, lt=1)]
Positive = Annotated[float, Field(gt=0)]
Method = Literal["points", "percent", "jt", "gln", "hll", "en", "nk", "ha", "hlm", "hlm_deviation"]
# A score of the course: the first or last there is, the one of an occasion, or that of a session.
Point = Literal["first", "last", "intake", "end", "follow_up"] | Annotated[int, Field(ge=0)]


@cache
def presets() -> dict[str, dict[str, Any]]:
    """The named presets."""
    found: dict[str, dict[str, Any]] = read_yaml(Path(__file__).with_name("rules.yaml")).data
    return found


class OutcomeRule(Strict):
    """One way to judge the change of a client in one scale of an instrument; `id` is the `rule_id` of its rows.

    Figures come from `norms` (a norm set) unless they stand here. `reference` says whose mean and SD before
    treatment go into an index: `study` (all clients of the build with both scores; moves with every delivery) or the
    name of a norm set (published, or frozen with `dyadlog freeze`; never moves). Scores, means and SDs are in scale
    points. `points` is the least change that counts, `percent` likewise in per cent of the first score.
    """

    id: str
    preset: str
    source: str
    instrument: str
    version: str
    scale: str = TOTAL
    pre: Point = "first"
    post: Point = "last"
    method: Method
    norms: str | None = None
    reference: str = STUDY
    points: Positive | None = None
    percent: Positive | None = None
    critical: Positive | None = None
    inclusive: bool = False
    reliability: Share | None = None
    reliability_post: Share | None = None
    functional_mean: float | None = None
    functional_sd: Positive | None = None
    cutoff: Literal["published", "a", "b", "c"] | None = None
    cutoff_value: float | None = None
    true_scores: bool = False
    cutoff_b_sd: Literal["functional", "clinical"] = "functional"
    at_cutoff: Literal["neither", "clinical", "functional", "published"] = "neither"
    starts_clinical: bool = True
    harmed: Literal["functional_to_clinical", "from_functional"] | None = None
    non_reliably_recovered: bool = False
    zero_is_infinite: bool = False
    package_relevance: bool = False

    @model_validator(mode="before")
    @classmethod
    def _completed(cls, said: Any) -> Any:
        """What a rule does not say comes from its preset."""
        if not isinstance(said, dict):
            return said
        preset = presets().get(str(said.get("preset")))
        if preset is None:
            raise ValueError(f"in `preset` one of {', '.join(presets())}")
        return {**preset, **said}

    @model_validator(mode="after")
    def _complete(self) -> OutcomeRule:
        if self.method not in ("points", "percent") and self.critical is None:
            raise ValueError("a `critical` value for a change index")
        if self.method == "percent" and self.percent is None:
            raise ValueError("`percent` for a rule in per cent")
        return self

    @property
    def is_index(self) -> bool:
        """Whether the change is divided by an error, as against counted in points or per cent."""
        return self.method not in ("points", "percent")

    @property
    def is_by_slope(self) -> bool:
        """Whether the change is the slope of a mixed model over all scores of the course."""
        return self.method in ("hlm", "hlm_deviation")


def published_points(instrument: str, version: str, norms: NormRegistry) -> list[OutcomeRule]:
    """The rules that need no words in study.yaml: each norm set with a cut-off and a reliable change in points."""
    found = []
    for name in norms.get(instrument, {}):
        known = scale_norms(norms, instrument, version, name)
        if known and known.cutoff and known.reliable_change:
            form = {"instrument": instrument, "version": version, "norms": name}
            found.append(OutcomeRule.model_validate({"id": f"points_{name}", "preset": "points", **form}))
    return found


def rule_figures(rule: OutcomeRule, norms: NormRegistry) -> dict[str, float | None]:
    """The figures of a rule: its own, else those of its norm set; those before treatment from its reference."""
    published = (
        scale_norms(norms, rule.instrument, rule.version, rule.norms or "", rule.scale) or ScaleNorms()
    )
    frozen = scale_norms(norms, rule.instrument, rule.version, rule.reference, rule.scale) or ScaleNorms()
    own = {
        "cutoff": rule.cutoff_value,
        "reliable_change": rule.points,
        "reliability": rule.reliability,
        "functional_mean": rule.functional_mean,
        "functional_sd": rule.functional_sd,
    }
    found = {name: published.value(name) if own[name] is None else own[name] for name in PUBLISHED}
    return found | {name: frozen.value(name) for name in REFERENCE}


def rule_mistakes(rule: OutcomeRule, norms: NormRegistry) -> list[str]:
    """What a rule lacks: norm sets that do not exist, figures that nobody gives."""
    form = f"{rule.instrument} {rule.version}"
    unknown = [
        f"{form} has no norm set {name!r}" + ("" if rule.scale == TOTAL else f" with figures of {rule.scale}")
        for name in (rule.norms, rule.reference)
        if name not in (None, STUDY)
        and scale_norms(norms, rule.instrument, rule.version, name, rule.scale) is None
    ]
    figures = rule_figures(rule, norms)
    return unknown + [f"the rule needs `{name}`" for name in sorted(_needed(rule)) if figures[name] is None]


def _needed(rule: OutcomeRule) -> set[str]:
    needed: set[str] = {"reliable_change"} if rule.method == "points" else set()
    if (rule.is_index and not rule.is_by_slope) or rule.true_scores:
        needed.add("reliability")
    if rule.cutoff == "published":
        needed.add("cutoff")
    if rule.cutoff in ("b", "c"):
        needed |= {"functional_mean", "functional_sd"}
    if rule.reference != STUDY and ((rule.is_index and not rule.is_by_slope) or rule.cutoff in ("a", "c")):
        needed |= {"clinical_mean", "clinical_sd"}
        if rule.method in ("hll", "ha"):
            needed.add("post_mean")
        if rule.method == "ha":
            needed |= {"post_sd", "pre_post_correlation"}
    return needed
