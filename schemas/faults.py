"""Faults of simulated studies: what they are, how often, and what must show them (`faults.yaml`)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from dyadlog.schemas.codes import codes
from dyadlog.schemas.errors import UserError
from dyadlog.schemas.yamlfile import Listed, Strict, read_yaml, validate

# What the platform says of a line, a file or a fact without a reason code.
STATES = ("accepted", "duplicate", "duplicate_delivery", "corrected", "retracted", "conflict")


class Fault(Strict):
    """One kind of fault; the file explains the fields."""

    says: str
    kind: Literal["conformance", "plausibility", "handled"]
    per: Literal["form", "session", "client", "night", "site"]
    shows: Literal["line", "file", "event", "flag", "score", "client", "accepted"]
    code: str
    rates: Listed[Annotated[float, Field(ge=0)]]

    @property
    def codes(self) -> frozenset[str]:
        """Codes or states of which one must be found."""
        return frozenset(self.code.split("|"))


class Faults(Strict):
    """The whole file."""

    levels: Listed[str]
    faults: dict[str, Fault]

    @model_validator(mode="after")
    def _fits(self) -> Faults:
        for name, fault in self.faults.items():
            if len(fault.rates) != len(self.levels):
                raise ValueError(f"{name}: one rate per level is expected")
            if unknown := fault.codes - codes().keys() - set(STATES):
                raise ValueError(f"{name}: {', '.join(sorted(unknown))} is no code")
        return self

    def rates(self, level: str) -> dict[str, float]:
        """How often each fault is planted.

        Raises:
            UserError: there is no such level.
        """
        if level not in self.levels:
            raise UserError(
                f"--faults {level}: there is no such level; choose one of {', '.join(self.levels)}"
            )
        place = self.levels.index(level)
        return {name: fault.rates[place] for name, fault in self.faults.items()}


@cache
def faults() -> Faults:
    """The faults that ship with Dyadlog."""
    return validate(Faults, read_yaml(Path(__file__).with_name("faults.yaml")))
