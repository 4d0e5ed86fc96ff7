"""What the study expects of each site's marts: from the contracts, the instruments and `expectations.yaml`."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, model_validator

from dyadlog.schemas.instruments import TOTAL, Version
from dyadlog.schemas.marts import contracts
from dyadlog.schemas.protocol import Share
from dyadlog.schemas.study import Study
from dyadlog.schemas.yamlfile import Listed, Strict, read_yaml, validate

# Only kinds that judge row by row: they alone give a count of violations and of rows looked at.
IN_SET: Final = "expect_column_values_to_be_in_set"
BETWEEN: Final = "expect_column_values_to_be_between"


# Tables near to what sites send. The others are made of them for all sites together, some without a row per site; the
# build holds them to their contracts before it publishes.
BY_SITE = (
    "marts.session",
    "marts.instrument_score",
    "marts.alliance_session",
    "marts.outcome_score",
    "marts.outcome_client",
    "marts.rupture_event",
)
# The other marts take their codes over from these two unchanged; each expectation costs a site 0.01 s.
CODED = ("marts.session", "marts.instrument_score")


class Bounds(Strict):
    """What must hold: a list of values, or a range; `mostly` is the share of rows for which it must."""

    value_set: Listed[bool | int | str] | None = None
    min_value: float | None = None
    max_value: float | None = None
    mostly: Share | None = None


class Expectation(Strict):
    """One expectation; `expectations.yaml` explains the fields."""

    name: Annotated[str, Field(min_length=1)]
    table: str
    value: str
    type: Literal["expect_column_values_to_be_in_set", "expect_column_values_to_be_between"]
    kwargs: Bounds
    least: Annotated[int, Field(ge=1)] = 1
    severity: Literal["critical", "warning", "info"]
    says: str
    why: str

    @model_validator(mode="after")
    def _consistent(self) -> Expectation:
        listed = self.kwargs.value_set is not None
        ranged = self.kwargs.min_value is not None or self.kwargs.max_value is not None
        if (listed, ranged) != (self.type == IN_SET, self.type == BETWEEN):
            raise ValueError("`value_set` for a list of values, `min_value` or `max_value` for a range")
        if self.table not in contracts():
            raise ValueError("a `table` of marts.yaml")
        return self

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments as Great Expectations takes them."""
        given = self.kwargs.model_dump(exclude_none=True)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}


@cache
def listed() -> tuple[Expectation, ...]:
    """The expectations of `expectations.yaml`."""
    file = read_yaml(Path(__file__).with_name("expectations.yaml"))
    return tuple(validate(Expectation, file, entry, (index,)) for index, entry in enumerate(file.data))


def expected(study: Study) -> dict[str, Expectation]:
    """All expectations of a study by name, in the order of their names.

    A study has one list for all sites, so that sites can be compared.
    """
    found = [*_from_contracts(), *_from_forms(study), *listed()]
    return {each.name: each for each in sorted(found, key=lambda each: each.name)}


def _from_contracts() -> list[Expectation]:
    """Filled columns and closed vocabularies of the marts."""
    found = []
    for table, contract in contracts().items():
        name = table.split(".")[1]
        if table not in BY_SITE:
            continue
        needed = [column for column, spec in contract.columns.items() if spec.empty is None]
        found.append(
            Expectation(
                name=f"{name}.filled",
                table=table,
                # One look at whole rows: one expectation per column would take a second per site.
                value=" or ".join(f"{column} is null" for column in needed),
                type=IN_SET,
                kwargs=Bounds(value_set=(False,)),
                severity="critical",
                says=f"A row of {table} is empty in a column that must be filled.",
                why="The row cannot be placed or read.",
            )
        )
        found += [
            Expectation(
                name=f"{name}.{column}.listed",
                table=table,
                value=column,
                type=IN_SET,
                kwargs=Bounds(value_set=spec.values),
                severity="critical",
                says=f"{column} in {table} is not one of the agreed codes.",
                why="It has no agreed meaning.",
            )
            for column, spec in contract.columns.items()
            if spec.values and table in CODED
        ]
    return found


def _from_forms(study: Study) -> list[Expectation]:
    """Possible scores of the forms that study.yaml names."""
    named = sorted({(m.instrument, m.version) for m in study.protocol.measures})
    forms = {key: form for key in named if (form := study.form(*key))}
    if not forms:
        return []
    means = [
        f"when {_is(*key)} then item_mean between {form.min} and {form.max}" for key, form in forms.items()
    ]
    return [
        Expectation(
            name="instrument_score.item_mean.range",
            table="marts.instrument_score",
            value=f"case {' '.join(means)} end",
            type=IN_SET,
            kwargs=Bounds(value_set=(True,)),
            severity="critical",
            says="The mean answer of a form lies outside the range of one answer.",
            why="Answers are coded in another way than the form says, or the scoring is wrong.",
        ),
        *(_total(instrument, version, form) for (instrument, version), form in forms.items() if form.total),
    ]


def _total(instrument: str, version: str, form: Version) -> Expectation:
    least, greatest = form.span(TOTAL)
    return Expectation(
        name=f"instrument_score.score.range:{instrument}:{version}",
        table="marts.instrument_score",
        value=f"case when {_is(instrument, version)} and scale = 'total' then score end",
        type=BETWEEN,
        kwargs=Bounds(min_value=least, max_value=greatest),
        severity="critical",
        says=f"A total of {instrument} {version} lies outside what the form can give.",
        why="Answers are coded in another way than the form says, or the scoring is wrong.",
    )


def _is(instrument: str, version: str) -> str:
    return f"instrument = {_quoted(instrument)} and version = {_quoted(version)}"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
