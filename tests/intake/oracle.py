"""The rules of intake a second time, in plain and slow Python: one line in, reasons out.

Shares the catalogue and the instrument registry with the product, and no code: JSON is read with duplicate keys
in sight, everything else is an `if`.
"""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from dyadlog.schemas.catalogue import Field, catalogue
from dyadlog.schemas.instruments import Version
from dyadlog.schemas.study import Study


class Doubled(dict[str, Any]):
    """An object in which a name stands twice."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    return made if len(made) == len(pairs) else Doubled(made)


def _refuse(_: str) -> None:
    raise ValueError


def reasons(line: str, study: Study, site_id: str) -> set[str]:
    """Why the line must be held back, as codes; empty if it must be accepted."""
    if len(line.encode()) > study.protocol.limits.line_kilobytes * 1024:
        return {"LINE_TOO_LONG"}
    try:
        event = json.loads(line, object_pairs_hook=_object, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return {"LINE_NOT_JSON"}
    if not isinstance(event, dict):
        return {"LINE_NOT_JSON"}
    known = catalogue()
    found = _names(event, {*known.envelope, "payload"}, "FIELD_UNKNOWN")
    for name, field in known.envelope.items():
        found |= _value(event.get(name), field)
        if field.type == "time" and event.get(name) is not None and study.protocol.time_basis == "study_day":
            found.add("TIME_NOT_ALLOWED")
    if event.get("site_id") not in (None, site_id):
        found.add("SITE_WRONG")
    kind = event.get("event_type")
    if not isinstance(kind, str) or kind not in known.events:
        return found | {"EVENT_TYPE_UNKNOWN"}
    spec = known.events[kind]
    version = event.get("schema_version")
    version = 1 if version is None else version
    if version not in spec.versions or isinstance(version, bool):
        return found | {"EVENT_VERSION_FUTURE"}
    needs = {*spec.needs, *(name for name, field in known.envelope.items() if field.required)}
    if any(event.get(name) is None for name in needs):
        found.add("FIELD_MISSING")
    op = event.get("op")
    if op in ("correct", "retract") and event.get("reason_code") is None:
        found.add("REASON_MISSING")
    payload = event.get("payload")
    if op == "retract" and payload in (None, {}) and not isinstance(payload, Doubled):
        return found
    return found | _payload({} if payload is None else payload, spec, version, study)


def _names(given: dict[str, Any], allowed: set[str], unknown: str) -> set[str]:
    found = {unknown} if set(given) - allowed else set()
    return found | ({"LINE_DUPLICATE_KEY"} if isinstance(given, Doubled) else set())


def _payload(payload: Any, spec: Any, version: int, study: Study) -> set[str]:
    if not isinstance(payload, dict):
        return {"FIELD_NOT_OBJECT"}
    fields: dict[str, Field] = spec.versions[version]
    more = {"items", "missing"} if spec.instrument else set()
    found = _names(payload, {*fields, *more}, "FIELD_UNKNOWN")
    for name, field in fields.items():
        found |= _value(payload.get(name), field)
        if field.required and payload.get(name) is None:
            found.add("FIELD_MISSING")
    if not spec.instrument or found:
        return found
    form = study.form(str(payload["instrument"]), str(payload["version"]))
    if form is None:
        return {"INSTRUMENT_UNKNOWN"}
    if payload["rater"] not in form.raters:
        found.add("RATER_NOT_ALLOWED")
    return found | _answers(payload.get("items"), form) | _missing(payload.get("missing"), form)


def _answers(items: Any, form: Version) -> set[str]:
    if not isinstance(items, dict):
        return {"FIELD_NOT_OBJECT"}
    found = _names(items, set(form.items), "ITEM_UNKNOWN")
    for answer in items.values():
        if answer is None:
            continue
        if isinstance(answer, bool) or not isinstance(answer, int | float):
            found.add("ANSWER_NOT_A_NUMBER")
        elif not form.min <= answer <= form.max:
            found.add("ANSWER_OUT_OF_RANGE")
        elif form.whole and answer != int(answer):
            found.add("ANSWER_NOT_WHOLE")
    return found


def _missing(codes: Any, form: Version) -> set[str]:
    if codes is None:
        return set()
    if not isinstance(codes, dict):
        return {"FIELD_NOT_OBJECT"}
    found = _names(codes, set(form.items), "ITEM_UNKNOWN")
    if any(not isinstance(code, str) or code not in catalogue().missing_codes for code in codes.values()):
        found.add("MISSING_CODE_UNKNOWN")
    return found


def _value(value: Any, field: Field) -> set[str]:
    if value is None:
        return set()
    whole = isinstance(value, int) and not isinstance(value, bool)
    match field.type:
        case "id":
            text = str(value) if whole else value
            good = isinstance(text, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text)
            good = good and text.lower() not in ("true", "false", "null", "nan", "inf", "infinity")
            return set() if good else {"VALUE_NOT_ID"}
        case "code":
            return (
                set() if isinstance(value, str) and value in (field.values or ()) else {"VALUE_NOT_IN_LIST"}
            )
        case "bool":
            return set() if isinstance(value, bool) else {"VALUE_NOT_BOOLEAN"}
        case "time":
            return set() if isinstance(value, str) and _is_time(value) else {"TIME_NOT_ISO"}
        case "int":
            good = whole
        case "number":
            good = whole or (isinstance(value, float) and abs(value) < 1e300)
    if not good:
        return {"VALUE_NOT_WHOLE"}
    assert field.min is not None
    assert field.max is not None
    return set() if field.min <= value <= field.max else {"VALUE_OUT_OF_RANGE"}


def _is_time(text: str) -> bool:
    form = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:[0-9]{2})"
    try:
        return bool(re.fullmatch(form, text)) and bool(datetime.fromisoformat(text))
    except ValueError:
        return False
