"""What the id of a person must not look like (`identifiers.yaml`)."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from pydantic import field_validator

from dyadlog.schemas.yamlfile import Strict, read_yaml, validate


class Identifier(Strict):
    """One look; the file explains the fields."""

    looks: str
    pattern: str

    @field_validator("pattern")
    @classmethod
    def _is_pattern(cls, value: str) -> str:
        re.compile(value)
        return value


@cache
def identifiers() -> tuple[Identifier, ...]:
    """All looks, in the order of the file."""
    file = read_yaml(Path(__file__).with_name("identifiers.yaml"))
    return tuple(validate(Identifier, file, entry, (index,)) for index, entry in enumerate(file.data))


@cache
def looks_like_a_person() -> str:
    """One regular expression over all of an id."""
    return "^(" + "|".join(one.pattern for one in identifiers()) + ")$"
