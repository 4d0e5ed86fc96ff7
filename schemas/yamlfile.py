"""YAML files read strictly, with the line of every key, so that each mistake can be named."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from dyadlog.schemas.errors import StudyError

Model = TypeVar("Model", bound=BaseModel)
KeyPath = tuple[str | int, ...]
Element = TypeVar("Element")

# A YAML list, kept as a tuple so that configuration cannot change after it was checked.
Listed = Annotated[
    tuple[Element, ...], BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)
]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Strict(BaseModel):
    """Base of all configuration: unknown keys are mistakes, values are not converted, nothing changes later."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


@dataclass(frozen=True)
class YamlFile:
    """A parsed YAML file.

    Args:
        name: name of the file as shown to people.
        data: what the file says.
        lines: line number (from 1) of each key path.
    """

    name: str
    data: Any
    lines: dict[KeyPath, int]

    def line(self, path: KeyPath) -> int:
        """Line of a key path, or of the nearest key above it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_yaml(path: Path) -> YamlFile:
    """Read one YAML file.

    Raises:
        StudyError: the file is missing, is not UTF-8, is not YAML, or names a key twice.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise StudyError([f"{path}: the file does not exist; expected a YAML file here"]) from None
    except UnicodeDecodeError:
        raise StudyError([f"{path.name}: not UTF-8 text; save the file as UTF-8"]) from None
    try:
        node = yaml.compose(text, Loader=_LOADER)
        data = yaml.load(text, Loader=_LOADER)  # noqa: S506 - the loader is a safe one
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path.name}:{mark.line + 1}" if mark else path.name
        raise StudyError([f"{where}: not valid YAML: {error.problem}"]) from None
    except yaml.YAMLError:
        raise StudyError([f"{path.name}: not valid YAML"]) from None
    lines: dict[KeyPath, int] = {}
    doubles: list[str] = []
    if node is not None:
        _walk(node, (), lines, doubles, path.name)
    if doubles:
        raise StudyError(doubles)
    return YamlFile(path.name, data, lines)


def _walk(node: yaml.Node, path: KeyPath, lines: dict[KeyPath, int], doubles: list[str], name: str) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        seen: set[Hashable] = set()
        for key, value in node.value:
            here = (*path, str(key.value))
            line = key.start_mark.line + 1
            if key.value in seen and key.value != "<<":
                doubles.append(f"{name}:{line}: key `{show(here)}` is given twice; keep one of them")
            seen.add(key.value)
            lines[here] = line
            _walk(value, here, lines, doubles, name)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _walk(value, (*path, index), lines, doubles, name)


def show(path: KeyPath) -> str:
    """A key path as people write it: `sites[0].id`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "(whole file)"


def validate(model: type[Model], file: YamlFile, data: Any = None, at: KeyPath = ()) -> Model:
    """Check data of a file against a model.

    Args:
        model: what is expected.
        file: the file the data came from; gives names and lines to the messages.
        data: a part of the file; the whole file by default.
        at: key path of that part.

    Raises:
        StudyError: with one sentence per mistake: file, line, key, what was found, what is expected.
    """
    try:
        return model.model_validate(file.data if data is None else data)
    except ValidationError as error:
        raise StudyError([_sentence(file, at, detail) for detail in error.errors()]) from None


_EXPECTED = {
    "string_type": "text (put it in quotation marks)",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "named values",
    "model_type": "named values",
    "model_attributes_type": "named values",
}


def _sentence(file: YamlFile, at: KeyPath, detail: ErrorDetails) -> str:
    path = (*at, *detail["loc"])
    kind, found = detail["type"], detail["input"]
    where = f"{file.name}:{file.line(path)}: key `{show(path)}`"
    if kind == "missing":
        return f"{where} is missing; expected a value here"
    if kind == "extra_forbidden":
        return f"{where} is not a known key; check the spelling or remove it"
    shown = (
        "nothing"
        if found is None
        else repr(found)
        if isinstance(found, str | int | float | bool)
        else "a nested value"
    )
    expected = _EXPECTED.get(kind, detail["msg"].removeprefix("Value error, "))
    return f"{where}: found {shown}, expected {expected[0].lower() + expected[1:]}"
