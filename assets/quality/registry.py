"""All checks, for people: `docs/checks.md` with the defaults, and beside each site's reports with the study's own figures.

`python -m dyadlog.assets.quality.registry docs/checks.md` writes the page of the documentation.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path

from dyadlog.schemas.codes import Code, codes
from dyadlog.schemas.expectations import Expectation, listed
from dyadlog.schemas.protocol import Thresholds

_MEANING = re.compile(r"^\s*`(\w+)`: (.+)$", re.MULTILINE)
_OUTCOMES = {"error": "fails", "warn": "warns", "info": "is counted only"}
_OWNERS = {"site": "the site", "study_team": "the study team"}
_SEVERITIES = {"critical": "fails", "warning": "warns", "info": "is counted only"}


@dataclass(frozen=True)
class Figure:
    """A figure of study.yaml that decides.

    Args:
        name: its name under `thresholds`.
        value: its value.
        means: what it is.
    """

    name: str
    value: float
    means: str


@dataclass(frozen=True)
class Check:
    """One check as it is explained.

    Args:
        code: reason code.
        told: what the registry says of it.
        outcome: what it does to a report.
        owner: who mends it.
        figures: the figures that decide.
    """

    code: str
    told: Code
    outcome: str
    owner: str
    figures: list[Figure]


@dataclass(frozen=True)
class Asked:
    """One expectation as it is explained; what it says of itself, and what it does to a report."""

    told: Expectation
    outcome: str


def checks(thresholds: Thresholds) -> list[Check]:
    """All checks in the order of the registry."""
    means = dict(_MEANING.findall(Thresholds.__doc__ or ""))
    return [
        Check(
            code=name,
            told=code,
            outcome=_OUTCOMES[code.severity],
            owner=_OWNERS[code.owner],
            figures=[
                Figure(figure, getattr(thresholds, figure), means[figure]) for figure in code.thresholds
            ],
        )
        for name, code in codes().items()
    ]


def asked() -> list[Asked]:
    """What is expected beyond the contracts."""
    return [Asked(each, _SEVERITIES[each.severity]) for each in listed()]


def page() -> str:
    """`docs/checks.md`."""
    found = checks(Thresholds())
    lines = [
        "# Checks",
        "",
        f"All {len(found)} reasons for which a file, a line or a result is refused or remarked, from `schemas/codes.yaml`.",
        "A check has one of five outcomes, never mixed: it passed, warned, failed, had nothing to look at (not applicable), or",
        "could not be run (crashed). The figures that decide are those of study.yaml; here are the defaults.",
        "",
        "| code | kind | looks at | outcome if found | who mends it |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| [{one.code}](#{one.code.lower()}) | {one.told.kahn} | {one.told.context} | {one.outcome} | {one.owner} |"
        for one in found
    ]
    for one in found:
        lines += ["", f"## {one.code}", "", one.told.says, "", f"* Why it matters: {one.told.why}"]
        lines += [f"* How to fix it: {one.told.fix}", f"* Counted among: {one.told.unit[1]}"]
        if one.told.rule:
            lines.append(f"* How it is decided: {one.told.rule}")
        lines += [
            f"* `thresholds.{figure.name}` ({figure.value:g}): {figure.means}" for figure in one.figures
        ]
    lines += ["", "## What the study expects of the marts", ""]
    lines += [
        "`EXPECTATION_FAILED` is about one of these, or about a column that must be filled or coded, as the contracts say.",
        "",
        "| expectation | looks at | least rows | if it does not hold | says |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.told.name} | `{one.told.table}` | {one.told.least} | {one.outcome} | {one.told.says} {one.told.why} |"
        for one in asked()
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), "utf-8")
