"""Checks that a part of the page shows together, whatever their outcome: privacy, drift of the schema, the process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dyadlog.assets.quality.expectations import CRASHED, FAILED
from dyadlog.assets.quality.facts import Account, Finding, Outcome
from dyadlog.schemas.codes import Code, codes

# Worst first.
_ORDER: tuple[Outcome, ...] = ("fail", "warn", "crashed", "pass", "not_applicable")
FIELDS_NAMED = 8


@dataclass(frozen=True)
class Line:
    """One check in a part of the page.

    Args:
        code: reason code.
        says: what would be wrong.
        outcome: outcome.
        n: how many violate.
        of: how many were looked at; null if unknown.
        unit: what was looked at.
        fields: the fields it is about, those with the most first.
        fields_total: number of these.
    """

    code: str
    says: str
    outcome: Outcome
    n: int
    of: int | None
    unit: str
    fields: list[str]
    fields_total: int


def group(part: str, findings: Sequence[Finding], total: Account) -> list[Line]:
    """The checks of a part, in the order of the registry.

    A rule about files or lines leaves a finding only if it was broken: it passed if there was anything to read.
    """
    found = []
    for name, code in codes().items():
        if code.part != part:
            continue
        own = [finding for finding in findings if finding.code == name]
        looked_at = total.files - total.rejected_files if code.scope == "file" else total.sent
        if not own:
            outcome: Outcome = "pass" if looked_at and code.scope in ("file", "line") else "not_applicable"
            found.append(Line(name, code.says, outcome, 0, looked_at, _unit(code, looked_at), [], 0))
            continue
        of = max((f.n_denominator for f in own if f.n_denominator is not None), default=None)
        named = sorted(
            (f for f in own if f.subject and f.n_violated), key=lambda f: (-f.n_violated, f.subject)
        )
        found.append(
            Line(
                code=name,
                says=code.says,
                outcome=min((f.outcome for f in own), key=_ORDER.index),
                # One line may break a rule in several fields, so the counts do not add up.
                n=max(f.n_violated for f in own),
                of=of,
                unit=_unit(code, of),
                fields=[f.subject for f in named[:FIELDS_NAMED]],
                fields_total=len(named),
            )
        )
    return found


def _unit(code: Code, of: int | None) -> str:
    one, many = code.unit
    return one if of == 1 else many


def doubts(findings: Sequence[Finding], says: dict[str, str]) -> list[Line]:
    """Expectations about the process that do not hold, or that could not be asked."""
    open_ones = [
        f for f in findings if f.code in (FAILED, CRASHED) and f.outcome in ("fail", "warn", "crashed")
    ]
    return [
        Line(
            f.code,
            says.get(f.subject, f.subject),
            f.outcome,
            f.n_violated,
            f.n_denominator,
            "rows",
            [f.subject],
            1,
        )
        for f in sorted(open_ones, key=lambda f: (_ORDER.index(f.outcome), f.subject))
    ]
