"""The SQL that takes JSON lines apart, made from the catalogue and the forms."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache

from dyadlog.schemas.frames import ITEM_PREFIX, PAYLOAD_PREFIX
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
def facts_sql(envelope: tuple[str, ...], payload: tuple[str, ...], *, look: bool = False) -> str:
    """From `block` (row, text): fields of envelope and payload as written, payload, hash of the names of all fields.

    Args:
        envelope: fields of the envelope to take out; each costs time, present or not.
        payload: the same of the payload, `items` and `missing` among them where wanted.
        look: whether a line may be no JSON; without, such a line stops the query.
    """
    columns = [f"e.{_quoted(name)}::varchar as {_quoted(RAW + name)}" for name in envelope]
    columns += [f"p.{_quoted(name)}::varchar as {_quoted(RAW + PAYLOAD_PREFIX + name)}" for name in payload]
    # DuckDB makes no empty structure.
    inner = _struct(payload or ("items",))
    return f"""
select row, shape, {", ".join(columns)}, e.payload::varchar as payload
from (
  select *, from_json(e.payload, '{inner}') as p
  from (
    select row, hash(json_keys(text, {KEY_PATHS})) as shape, from_json(text, '{_struct([*envelope, "payload"])}') as e
    from block {"where json_valid(text)" if look else ""}
  )
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
