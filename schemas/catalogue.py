"""The closed catalogue of events: envelope, kinds of event, versions, fields (`catalogue.yaml`)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import model_validator

from dyadlog.schemas.yamlfile import Listed, Strict, read_yaml, validate

FieldType = Literal["id", "code", "int", "number", "bool", "time"]

ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
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


class EventType(Strict):
    """One kind of event with its versions (version number -> field name -> field)."""

    label: str
    needs: Listed[str] = ()
    instrument: bool = False
    versions: dict[int, dict[str, Field]]

    @property
    def newest(self) -> int:
        """Highest version the code knows."""
        return max(self.versions)


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
