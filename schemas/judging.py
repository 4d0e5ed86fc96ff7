"""Which rules judge outcomes in a study: those of study.yaml, or published ones where it says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dyadlog.schemas.instruments import Registry
from dyadlog.schemas.norms import NormRegistry
from dyadlog.schemas.rules import OutcomeRule, published_points, rule_figures, rule_mistakes
from dyadlog.schemas.ruptures import default_rules
from dyadlog.schemas.sudden import SuddenRule
from dyadlog.schemas.yamlfile import KeyPath, YamlFile, show

if TYPE_CHECKING:
    from dyadlog.schemas.protocol import Protocol


def outcome_rules(protocol: Protocol, norms: NormRegistry) -> list[OutcomeRule]:
    """The rules of study.yaml; without any, published points of the outcome measures of the protocol."""
    if protocol.outcomes is not None:
        return list(protocol.outcomes)
    forms = sorted({(m.instrument, m.version) for m in protocol.measures if m.role == "outcome"})
    return [rule for form in forms for rule in published_points(*form, norms)]


def sudden_rules(protocol: Protocol, norms: NormRegistry) -> list[SuddenRule]:
    """The rules of study.yaml; without any, gains and losses of what is due before sessions.

    The first criterion is then the reliable change of the first norm set.
    """
    if protocol.sudden_gains is not None:
        return list(protocol.sudden_gains)
    due = {
        (m.instrument, m.version, m.rater)
        for m in protocol.measures
        if m.role == "outcome" and m.occasion == "pre_session"
    }
    found = []
    for instrument, version, rater in sorted(due):
        points = published_points(instrument, version, norms)
        form = {"instrument": instrument, "version": version, "rater": rater}
        for kind in ("gain", "loss") if points else ():
            rule = {"id": f"tang_derubeis_{kind}", "preset": "tang_derubeis", "kind": kind}
            cutoff = rule_figures(points[0], norms)["reliable_change"]
            found.append(SuddenRule.model_validate({**rule, "cutoff": cutoff, **form}))
    return found


def judging_mistakes(
    file: YamlFile, protocol: Protocol, instruments: Registry, norms: NormRegistry
) -> list[str]:
    """What the rules of study.yaml miss: a known form, an id of their own, every figure of their method.

    Returns:
        one sentence per mistake, with file, line and key.
    """
    problems = []
    seen: set[tuple[str, ...]] = set()
    rules: list[tuple[str, int, OutcomeRule | SuddenRule]] = [
        *(("outcomes", index, rule) for index, rule in enumerate(protocol.outcomes or ())),
        *(("sudden_gains", index, gain) for index, gain in enumerate(protocol.sudden_gains or ())),
    ]
    for part, index, rule in rules:
        at: KeyPath = (part, index)
        where = f"{file.name}:{file.line(at)}: key `{show(at)}`"
        key = (part, rule.instrument, rule.version, rule.id)
        known = instruments.get(rule.instrument)
        if known is None or rule.version not in known.versions:
            problems.append(f"{where}: no form {rule.instrument} {rule.version} is known")
        elif key in seen:
            problems.append(f"{where}: the rule {rule.id!r} is there already for this form")
        elif isinstance(rule, OutcomeRule) and rule.scale not in known.versions[rule.version].scales:
            scales = ", ".join(known.versions[rule.version].scales)
            problems.append(f"{where}: found the scale {rule.scale!r}, expected one of {scales}")
        elif isinstance(rule, OutcomeRule):
            problems += [f"{where}: {what}" for what in rule_mistakes(rule, norms)]
        seen.add(key)
    problems += _rupture_mistakes(file, protocol, instruments)
    named = protocol.dropout.outcome_rule
    if named is not None and named not in {rule.id for rule in outcome_rules(protocol, norms)}:
        where = f"{file.name}:{file.line(('dropout', 'outcome_rule'))}: key `dropout.outcome_rule`"
        problems.append(f"{where}: found {named!r}, expected the id of an outcome rule")
    return problems


def _rupture_mistakes(file: YamlFile, protocol: Protocol, instruments: Registry) -> list[str]:
    """Rules for ruptures under one id, forms that nobody knows, a rule that is named and is not there."""
    problems = []

    def mistake(at: KeyPath, text: str) -> None:
        problems.append(f"{file.name}:{file.line(at)}: key `{show(at)}`: {text}")

    rules = default_rules() if protocol.ruptures is None else protocol.ruptures
    names = [rule.id for rule in rules]
    for index, rule in enumerate(protocol.ruptures or ()):
        if rule.id in names[:index]:
            mistake(("ruptures", index, "id"), f"found {rule.id!r} a second time, expected each id once")
        if rule.instrument is None:
            continue
        if rule.instrument not in instruments:
            mistake(("ruptures", index), f"no instrument {rule.instrument} is known")
        if rule.instrument in {other.instrument for other in rules[:index]}:
            mistake(
                ("ruptures", index), f"a rule reads direct reports from {rule.instrument} already; keep one"
            )
    unless = protocol.alliance.established.unless
    if unless not in names:
        mistake(
            ("alliance", "established", "unless"), f"found {unless!r}, expected the id of a rule for ruptures"
        )
    for index, pair in enumerate(protocol.alliance.pairs):
        for rater, form in (("client", pair.client), ("therapist", pair.therapist)):
            known = instruments.get(form.instrument)
            version = known.versions.get(form.version) if known else None
            if version is None or rater not in version.raters:
                mistake(
                    ("alliance", "pairs", index, rater),
                    f"no form {form.instrument} {form.version} that a {rater} fills in is known",
                )
    return problems
