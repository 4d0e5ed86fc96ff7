"""Pages of documentation, one per method: made from the models' headers, the contracts and the presets."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

import dyadlog.schemas
from dyadlog.assets.warehouse.models import models
from dyadlog.schemas.marts import contracts
from dyadlog.schemas.yamlfile import Listed, Strict, read_yaml, validate

_SCHEMAS = Path(next(iter(dyadlog.schemas.__path__)))


class Page(Strict):
    """What a page says beyond what the models say of themselves."""

    title: str
    about: str
    models: Listed[str]
    presets: str | None = None
    tests: Listed[str]
    missing: str
    software: Listed[str]


@cache
def pages() -> dict[str, str]:
    """All pages by file name, as Markdown."""
    file = read_yaml(_SCHEMAS / "methods.yaml")
    return {f"{name}.md": _page(validate(Page, file, data, (name,))) for name, data in file.data.items()}


def _page(page: Page) -> str:
    lines = [f"# {page.title}", "", page.about, ""]
    for name in page.models:
        model = models()[name]
        lines += [f"## `{name}`", "", "```", *model.notes.splitlines()[1:], "```", ""]
        if step := contracts()[name].python:
            lines += [f"Estimated by a step in Python: {step}.", ""]
        lines += ["| column | type | meaning |", "|---|---|---|"]
        lines += [
            f"| `{column}` | {spec.type.lower()} | {spec.comment.replace('|', '/')} |"
            for column, spec in contracts()[name].columns.items()
        ]
        lines.append("")
    if page.presets:
        lines += ["## Presets", "", *_presets(page.presets), ""]
    lines += ["## Missing data", "", page.missing, ""]
    if page.software:
        lines += ["## Where published software differs", "", *(f"* {text}" for text in page.software), ""]
    lines += ["## Tests that read as tables", "", ", ".join(f"`{test}`" for test in page.tests), ""]
    return "\n".join(lines)


def _presets(name: str) -> list[str]:
    data: dict[str, Any] = read_yaml(_SCHEMAS / name).data
    lines = ["| preset | says | source |", "|---|---|---|"]
    for preset, said in data.get("presets", data).items():
        figures = ", ".join(f"{key} {_text(value)}" for key, value in said.items() if key != "source")
        lines.append(f"| `{preset}` | {figures} | {said['source']} |")
    return lines


def _text(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def write_pages(folder: Path) -> None:
    """Write all pages into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, "utf-8")


if __name__ == "__main__":
    write_pages(Path(sys.argv[1]))
