"""Registry of reason codes: what each means and how it is mended at the source (`codes.yaml`)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from dyadlog.schemas.yamlfile import Listed, Strict, read_yaml, validate

Scope = Literal["file", "line", "fact", "session", "design", "site", "mart"]

_CONTEXTS = {
    "file": "delivery",
    "line": "delivery",
    "fact": "event log",
    "session": "marts",
    "mart": "marts",
    "design": "study design",
    "site": "study design",
}
_UNITS: dict[str, tuple[str, ...]] = {
    "file": ("file", "files"),
    "line": ("line", "lines"),
    "fact": ("fact", "facts"),
    "session": ("session", "sessions"),
    "design": ("expected form", "expected forms"),
    "site": ("site", "sites"),
    "mart": ("row", "rows"),
}


class Code(Strict):
    """One reason for which something is refused or remarked; `codes.yaml` explains the fields."""

    scope: Scope
    kahn: Literal["conformance", "completeness", "plausibility"]
    severity: Literal["error", "warn", "info"]
    says: str
    why: str
    fix: str
    owner: Literal["site", "study_team"] = "site"
    of: Annotated[Listed[str], Field(min_length=2, max_length=2)] = ()
    thresholds: Listed[str] = ()
    part: Literal["privacy", "drift", "process"] | None = None
    rule: str = ""

    @property
    def context(self) -> str:
        """Where it is looked for."""
        return _CONTEXTS[self.scope]

    @property
    def unit(self) -> tuple[str, ...]:
        """What is looked at: one of them, and many."""
        return self.of or _UNITS[self.scope]


@cache
def codes() -> dict[str, Code]:
    """All registered codes by name, in the order of the file."""
    file = read_yaml(Path(__file__).with_name("codes.yaml"))
    return {name: validate(Code, file, entry, (name,)) for name, entry in file.data.items()}
