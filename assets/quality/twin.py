"""The JSON Schemas of `report.json`, `findings.json`, `night.json`, `study.json` and of messages, made from the dataclasses that they are.

The files `*.schema.json` beside this one are what is published; `python -m dyadlog.assets.quality.twin`
writes them anew, and a test sees to it that they are up to date.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from dyadlog.assets.quality import (
    changes,
    chart,
    completeness,
    facts,
    groups,
    life,
    night,
    notice,
    peers,
    record,
    scores,
    site,
    study,
    todo,
    verdict,
)

PUBLISHED: dict[str, tuple[type, str, str]] = {
    "report.schema.json": (site.SiteReport, "Dyadlog site report", site.FORMAT),
    "findings.schema.json": (record.Record, "Dyadlog findings of a night", record.FORMAT),
    "night.schema.json": (night.NightSheet, "Dyadlog night sheet", night.FORMAT),
    "notice.schema.json": (notice.Notice, "Dyadlog message about a night", notice.FORMAT),
    "study.schema.json": (study.StudyReport, "Dyadlog study report", study.FORMAT),
}

_ARGUMENT = re.compile(r"^    (?:    )?(\w+): (.+)$", re.MULTILINE)
_MODULES = (
    changes,
    chart,
    completeness,
    facts,
    groups,
    life,
    night,
    notice,
    peers,
    record,
    scores,
    site,
    study,
    todo,
    verdict,
)


def schema(name: str) -> str:
    """Text of one published schema."""
    made, title, form = PUBLISHED[name]
    found: dict[str, Any] = TypeAdapter(made).json_schema()
    for part in (found, *found.get("$defs", {}).values()):
        _describe(part)
    found["properties"]["format"] = {"const": form, "description": "name and version of this structure"}
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title}
    return json.dumps(head | {k: v for k, v in found.items() if k != "title"}, indent=1) + "\n"


def _describe(part: dict[str, Any]) -> None:
    """Close an object to unknown fields and take the words about its fields from the docstring."""
    notes = next((vars(m)[part["title"]].__doc__ for m in _MODULES if part.get("title") in vars(m)), "")
    part.pop("description", None)
    part["additionalProperties"] = False
    said = dict(_ARGUMENT.findall(notes.partition("Args:")[2]))
    for name, spec in part["properties"].items():
        spec.pop("title", None)
        if name in said:
            spec["description"] = said[name].removesuffix(".")


if __name__ == "__main__":
    for name in PUBLISHED:
        Path(__file__).with_name(name).write_text(schema(name), "utf-8")
