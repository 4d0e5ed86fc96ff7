"""The closed catalogue of events: envelope, kinds of event, versions, fields (`catalogue.yaml`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import model_validator

from dyadlog.schemas.yamlfile import Listed, Strict, read_yaml, validate

FieldType = Literal["id", "code", "int", "number", "bool", "time"]

ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
# A name that stands in a text: `visit-{who}`. Names may hold dots, which `str.format` would read as attributes.
PLACE = re.compile(r"\{([^{}]+)\}")
TIME_PATTERN = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:\d{2})$"


class Field(Strict):
    """One field of the envelope or of a payload."""

    type: FieldType
    label: str
    required: bool = False
    unit: str | None = None
    min: float | None = None
    max: float | None = None
    values: Listed[str] | None = None

    @model_validator(mode="after")
    def _complete(self) -> Field:
        if (self.type == "code") != (self.values is not None):
            raise ValueError("a list of `values` exactly for fields of type code")
        if self.type in ("int", "number") and (self.min is None or self.max is None):
            raise ValueError("`min` and `max` for a number")
        return self


class Upcast(Strict):
    """How the payload of one version is said in the next one; see the head of `catalogue.yaml`."""

    rename: dict[str, str] = {}
    values: dict[str, dict[str, str]] = {}
    derive: dict[str, str] = {}


class EventType(Strict):
    """One kind of event with its versions (version number -> field name -> field) and the steps between them."""

    label: str
    needs: Listed[str] = ()
    instrument: bool = False
    versions: dict[int, dict[str, Field]]
    upcasts: dict[int, Upcast] = {}

    @model_validator(mode="after")
    def _one_chain(self) -> EventType:
        numbers = list(range(1, len(self.versions) + 1))
        if sorted(self.versions) != numbers:
            raise ValueError(f"versions numbered from 1 without a gap, not {sorted(self.versions)}")
        for number in numbers[:-1]:
            if number not in self.upcasts:
                raise ValueError(f"an upcast from version {number} to {number + 1}")
        for number, upcast in sorted(self.upcasts.items()):
            if number + 1 not in self.versions:
                raise ValueError(f"no upcast from version {number}: there is no version {number + 1}")
            for mistake in _mistakes(self.versions[number], upcast, self.versions[number + 1]):
                raise ValueError(f"an upcast from version {number} that loses nothing; {mistake}")
        return self

    @property
    def newest(self) -> int:
        """Highest version the code knows."""
        return max(self.versions)


def _mistakes(old: dict[str, Field], upcast: Upcast, new: dict[str, Field]) -> Iterator[str]:
    """Why a step would lose, mistake or invent something."""
    now = {name: upcast.rename.get(name, name) for name in old}
    for name in sorted(upcast.rename.keys() - old.keys()):
        yield f"`rename`: the old version has no field {name}"
    for name in sorted(upcast.values.keys() - set(now.values())):
        yield f"`values`: no field of the old version is {name} now"
    for name, expression in upcast.derive.items():
        if name not in new or name in now.values():
            yield f"`derive`: {name} is no field that is new"
        for used in sorted(set(PLACE.findall(expression)) - old.keys()):
            yield f"`derive`: the old version has no field {used}"
    if len(set(now.values())) < len(now):
        yield "`rename`: two fields get the same name"
    for name, field in old.items():
        if now[name] not in new:
            yield f"{name} has no place in the new version"
        elif now[name] != name and now[name] in old:
            yield f"`rename`: {now[name]} was a field of the old version"
        else:
            yield from _unsaid(now[name], field, upcast.values.get(now[name], {}), new[now[name]])
    given = {now[name] for name, field in old.items() if field.required}
    for name, field in new.items():
        if field.required and name not in given:
            yield f"{name} is required, but the old version may lack it"


def _unsaid(name: str, old: Field, words: dict[str, str], new: Field) -> Iterator[str]:
    """Values of a field that the new version cannot say."""
    if old.type in ("code", "bool") and new.type == "code":
        before = old.values or ("true", "false")
        after = [words.get(value, value) for value in before]
        if unknown := sorted(words.keys() - set(before)):
            yield f"`values`: {unknown[0]} was no value of {name}"
        if len(set(after)) < len(after):
            yield f"`values`: two values of {name} become one"
        if strange := sorted(set(after) - set(new.values or ())):
            yield f"{strange[0]} is no value of {name} in the new version"
    elif old.type != new.type or words:
        yield f"{name} is of another type, or has `values` that are no codes"
    elif old.min is not None and not (new.min <= old.min and old.max <= new.max):  # type: ignore[operator]
        yield f"the range of {name} is narrower in the new version"


class Catalogue(Strict):
    """Everything a site can say."""

    envelope: dict[str, Field]
    events: dict[str, EventType]
    missing_codes: Listed[str]


@cache
def catalogue() -> Catalogue:
    """The catalogue of this version of the code."""
    file = read_yaml(Path(__file__).with_name("catalogue.yaml"))
    data = dict(file.data)
    shared: dict[str, list[str]] = data.pop("vocabularies")
    for fields in [data["envelope"], *(v for e in data["events"].values() for v in e["versions"].values())]:
        for field in fields.values():
            _spell_out(field, shared)
    return validate(Catalogue, file, data)


def _spell_out(field: dict[str, Any], shared: dict[str, list[str]]) -> None:
    """Replace the name of a shared vocabulary by its values."""
    if "vocabulary" in field:
        field["values"] = shared[field.pop("vocabulary")]
