"""Payloads of older versions, said in the newest one: SQL made of the steps in the catalogue.

The log keeps what arrived. What reads it sees the newest version of every kind of event only, and so does the
comparison that finds repeated facts. A step loses nothing, so what could be told apart in an old version can be told
apart in the newest: no decision of an earlier night would be another one today.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import polars as pl

from dyadlog.schemas.catalogue import PLACE, EventType, Field, Upcast, catalogue

_SQL_TYPE = {"int": "BIGINT", "number": "DOUBLE", "bool": "BOOLEAN"}


@cache
def newest() -> str:
    """Replacements of `payload` and `schema_version`, for `select * replace (...)` over facts."""
    return newest_of(catalogue().events)


def newest_of(events: Mapping[str, EventType]) -> str:
    """The same for any kinds of event."""
    payload, version = ["case"], ["case"]
    for name, event in sorted(events.items()):
        for number in range(1, event.newest):
            which = f"when event_type = '{name}' and schema_version = {number}"
            payload.append(f"{which} then {upcast(event, number)}")
            version.append(f"{which} then {event.newest}")
    if len(payload) == 1:
        return "payload as payload"
    payload.append("else payload end as payload")
    version.append("else schema_version end as schema_version")
    return f"{' '.join(payload)}, {' '.join(version)}"


def upcast(event: EventType, number: int, payload: str = "payload") -> str:
    """A payload of version `number` in the newest version.

    Args:
        event: the kind of event.
        number: version of the payload.
        payload: SQL of the payload, JSON as text.

    Returns:
        SQL of the payload, JSON as text.
    """
    said = f"coalesce({payload}, '{{}}')"
    for step in range(number, event.newest):
        said = _step(said, event.upcasts[step], event.versions[step])
    return f"({said})::varchar"


def outdated() -> pl.Expr:
    """Whether a fact is of an older version than the newest of its kind."""
    kinds = {name: event.newest for name, event in catalogue().events.items() if event.newest > 1}
    newest = pl.col("event_type").replace_strict(kinds, default=1, return_dtype=pl.Int64)
    return pl.col("schema_version") < newest


def _step(said: str, upcast: Upcast, fields: Mapping[str, Field]) -> str:
    """One version up. A member that becomes null leaves the object (RFC 7396): an absent field says the same."""
    members: list[str] = []
    for old, new in upcast.rename.items():
        members += [f"'{old}', null", f"'{new}', {_worded(said, old, upcast.values.get(new))}"]
    for name, words in upcast.values.items():
        if name not in upcast.rename.values():
            members.append(f"'{name}', {_worded(said, name, words)}")
    for name, expression in upcast.derive.items():
        taken = PLACE.sub(lambda place: _typed(said, place[1], fields[place[1]]), expression)
        members.append(f"'{name}', {taken}")
    return f"json_merge_patch({said}, json_object({', '.join(members)}))" if members else said


def _worded(said: str, name: str, words: Mapping[str, str] | None) -> str:
    if not words:
        return f"({said} -> '$.{name}')"
    value = f"({said} ->> '$.{name}')"
    cases = " ".join(f"when '{old}' then '{new}'" for old, new in words.items())
    return f"case {value} {cases} else {value} end"


def _typed(said: str, name: str, field: Field) -> str:
    return f"try_cast({said} ->> '$.{name}' as {_SQL_TYPE.get(field.type, 'VARCHAR')})"
