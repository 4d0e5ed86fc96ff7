"""Shares by which sites are compared (`indicators.yaml`)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

from dyadlog.schemas.yamlfile import Strict, read_yaml, validate


class Indicator(Strict):
    """One share; `indicators.yaml` explains the fields."""

    says: str
    of: str
    worse: Literal["high", "low", "none"]


@cache
def indicators() -> dict[str, Indicator]:
    """All by name, in the order of the file."""
    file = read_yaml(Path(__file__).with_name("indicators.yaml"))
    return {name: validate(Indicator, file, entry, (name,)) for name, entry in file.data.items()}
