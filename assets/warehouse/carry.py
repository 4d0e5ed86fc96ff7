"""The last published file as the beginning of the next one: most rows are the same.

What is known of the last file may be lost or wrong at any time; the next one is then written from nothing.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb

from dyadlog.assets.version import code_version
from dyadlog.assets.warehouse.published import marts_folder
from dyadlog.schemas.study import Study

# Replaced rows leave gaps; a file that has grown this much since it was written from nothing is written anew.
_GROWTH = 1.5
_CHUNK = 1 << 22


@dataclass(frozen=True)
class Last:
    """What is known of the last published file.

    Args:
        name: its name.
        sum: check sum of the file and of what is said of its contents.
        whole_bytes: size when it was last written from nothing.
        made_with: versions of Dyadlog and DuckDB.
        contents: digest of each site's rows by table.
    """

    name: str
    sum: int
    whole_bytes: int
    made_with: str
    contents: Mapping[str, Mapping[str, str]]


def _versions() -> str:
    # Other versions may name columns in another way, or hash the same row to another number.
    return f"{code_version()} {duckdb.__version__}"


def _sum(file: Path, contents: Mapping[str, Mapping[str, str]]) -> int:
    return zlib.crc32(json.dumps(contents, sort_keys=True).encode(), check_sum(file))


def _told(study: Study) -> Path:
    return study.folder / "state" / "published.json"


def carry(study: Study, target: Path, oldest: int) -> Last | None:
    """Copy the last published file to a place, if it is what was published, not too full of gaps, and of this commit or later."""
    try:
        last = Last(**json.loads(_told(study).read_bytes()))
        if last.made_with != _versions() or int(last.name.split("-")[0]) < oldest:
            return None
        shutil.copyfile(marts_folder(study) / last.name, target)
        size = target.stat().st_size
        if _sum(target, last.contents) == last.sum and size <= last.whole_bytes * _GROWTH:
            return last
    except (OSError, ValueError, TypeError):
        pass
    target.unlink(missing_ok=True)
    return None


def remember(
    study: Study, file: Path, contents: Mapping[str, Mapping[str, str]], before: Last | None
) -> None:
    """Remember what was published.

    Args:
        study: the study.
        file: the file.
        contents: digest of each site's rows by table.
        before: the file that it was carried over from, if any.
    """
    whole = before.whole_bytes if before else file.stat().st_size
    last = Last(file.name, _sum(file, contents), whole, _versions(), contents)
    path = _told(study)
    path.parent.mkdir(parents=True, exist_ok=True)
    waiting = path.with_name(f"{path.name}.{os.getpid()}.new")
    waiting.write_text(json.dumps(asdict(last), sort_keys=True), "utf-8")
    waiting.replace(path)


def check_sum(path: Path) -> int:
    """Check sum of a file."""
    found = 0
    with path.open("rb") as file:
        while data := file.read(_CHUNK):
            found = zlib.crc32(data, found)
    return found
