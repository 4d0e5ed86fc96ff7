"""The SQL that takes JSON lines apart, made from the catalogue and the forms."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache

from dyadlog.schemas.catalogue import catalogue
from dyadlog.schemas.frames import ITEM_PREFIX
from dyadlog.schemas.instruments import Version

# A payload whose items are all plain numbers or null, as DuckDB writes it: names, then numbers, no blanks.
_PLAIN_ITEMS = r'\{("[^"\\]*":(-?[0-9]+(\.[0-9]+)?|null),?)*\}'
# Columns as they are written in the JSON text, beside those with their values.
RAW = "raw."

# Where the names of fields are looked up. They repeat, so each distinct set of names is judged once.
KEY_PATHS = "['$', '$.payload', '$.payload.items']"


def _struct(names: Iterable[str], kind: str = "JSON") -> str:
    """Structure for `from_json`, as an SQL text. JSON keeps every value as it was written, quotation marks too."""
    return json.dumps(dict.fromkeys(names, kind)).replace("'", "''")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@cache
def envelope_sql(longest: int, fields: tuple[str, ...], *, look: bool = False) -> str:
    """From `block` (row, text): envelope fields as written, payload, hash of the names of all fields.

    Args:
        longest: bytes of a line above which it is not read.
        fields: fields of the envelope to take out; each costs time, present or not.
        look: whether a line may be no JSON; without, such a line stops the query.
    """
    columns = ", ".join(f'e."{name}"::varchar as "{RAW}{name}"' for name in fields)
    return f"""
select row, shape, {columns}, e.payload::varchar as payload
from (
  select row, hash(json_keys(text, {KEY_PATHS})) as shape, from_json(text, '{_struct([*fields, "payload"])}') as e
  from block
  where (strlen(text) <= {longest} or strlen(rtrim(text, '\r\n')) <= {longest})
    and (starts_with(text, '{{') or starts_with(ltrim(text, ' \t\r'), '{{')) {"and json_valid(text)" if look else ""}
)"""


@cache
def payload_sql(event_type: str, version: int) -> str:
    """From `payload` (row, shape, payload): payload fields as written, items and missing codes as JSON text."""
    fields = catalogue().events[event_type].versions[version]
    columns = "".join(f', p."{name}"::varchar as "{RAW}{name}"' for name in fields)
    struct = _struct([*fields, "items", "missing"])
    return f"""
select row, shape{columns}, p.items::varchar as items, p.missing::varchar as missing
from (
  select row, shape, from_json(coalesce(payload, '{{}}'), '{struct}') as p
  from payload
)"""


def items_sql(form: Version) -> str:
    """From `answers` (row, items): answers as numbers, and whether they are plain numbers at all."""
    struct = _struct(form.items, "DOUBLE")
    columns = ", ".join(f"i.{_quoted(item)} as {_quoted(ITEM_PREFIX + item)}" for item in form.items)
    return f"""
select row, plain, absent, {columns}
from (
  select row, items is null or items = 'null' as absent,
         absent or regexp_full_match(items, '{_PLAIN_ITEMS}') as plain,
         case when plain and not absent then from_json(items, '{struct}') end as i
  from answers
)"""
