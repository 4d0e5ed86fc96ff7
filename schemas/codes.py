"""Registry of reason codes: what each means and how it is mended at the source (`codes.yaml`)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from dyadlog.schemas.yamlfile import Strict, read_yaml, validate


class Code(Strict):
    """One reason for which something is refused or remarked."""

    scope: Literal["file", "line", "fact", "session", "design", "site", "mart"]
    kahn: Literal["conformance", "completeness", "plausibility"]
    severity: Literal["error", "warn", "info"]
    says: str
    why: str
    fix: str


@cache
def codes() -> dict[str, Code]:
    """All registered codes by name, in the order of the file."""
    file = read_yaml(Path(__file__).with_name("codes.yaml"))
    return {name: validate(Code, file, entry, (name,)) for name, entry in file.data.items()}
