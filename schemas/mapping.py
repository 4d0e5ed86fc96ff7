"""Column mappings: how the rows of a site's table become events.

A mapping names every column it reads. Nothing is guessed: separator, missing tokens and the meaning of
every value are stated, and what is not stated is held back or (for whole columns) not read.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import Field, model_validator

from dyadlog.schemas.catalogue import PLACE
from dyadlog.schemas.yamlfile import Listed, Strict

Cell = str | int | float | bool


class Source(Strict):
    """Where one value comes from: a constant, a column, or a text with `{column}` in it.

    `values` translates cells; a cell that is neither a missing token nor listed is VALUE_NOT_MAPPED.
    """

    const: Cell | None = None
    column: str | None = None
    text: str | None = None
    values: dict[str, Cell] | None = None
    first_of: Listed[Source] | None = None

    @model_validator(mode="after")
    def _one(self) -> Source:
        given = [part for part in (self.const, self.column, self.text, self.first_of) if part is not None]
        if len(given) != 1:
            raise ValueError("exactly one of `const`, `column`, `text` and `first_of`")
        if self.values is not None and self.column is None:
            raise ValueError("`values` only beside `column`")
        return self

    def columns(self) -> set[str]:
        """Names of the columns that are read."""
        if self.first_of is not None:
            return {name for part in self.first_of for name in part.columns()}
        if self.text is not None:
            return set(PLACE.findall(self.text))
        return {self.column} if self.column else set()


class When(Strict):
    """A condition on one column; a missing cell is "missing" whatever its token."""

    column: str
    values: Listed[str] | None = Field(default=None, alias="in")
    not_in: Listed[str] | None = None
    missing: bool | None = None

    @model_validator(mode="after")
    def _one(self) -> When:
        if sum(part is not None for part in (self.values, self.not_in, self.missing)) != 1:
            raise ValueError("exactly one of `in`, `not_in` and `missing`")
        return self


class Emit(Strict):
    """One event made of a row where all conditions hold.

    `items` maps the items of the instrument to columns. A rule that is `aside` states something that every row
    repeats (who the client is): a row to which only such rules apply says nothing and is held back.
    `schema_version` is the version of the kind of event that `payload` is written in; by default the newest.
    """

    event_type: str
    schema_version: int | None = None
    aside: bool = False
    when: Listed[When] = ()
    event_id: Source
    envelope: dict[str, Source] = {}
    payload: dict[str, Source] = {}
    items: dict[str, str] = {}

    def columns(self) -> set[str]:
        """Names of the columns that are read."""
        sources = [self.event_id, *self.envelope.values(), *self.payload.values()]
        named = {name for source in sources for name in source.columns()}
        return named | {condition.column for condition in self.when} | set(self.items.values())


class Mapping(Strict):
    """The mapping of one kind of table."""

    files: str
    separator: Literal[";", ",", "\t", "|"]
    quote: Literal['"', "'"] = '"'
    missing: Listed[str] = ("",)
    ignore: Listed[str] = ()
    events: Annotated[Listed[Emit], Field(min_length=1)]

    @property
    def columns(self) -> set[str]:
        """Names of all columns that are read."""
        return {name for emit in self.events for name in emit.columns()}

    def fits(self, file_name: str) -> bool:
        """Whether a file of this name is read with this mapping (`.gz` aside)."""
        return fnmatchcase(file_name.removesuffix(".gz"), self.files)
