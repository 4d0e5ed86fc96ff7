"""Takes a person out of what was derived from the log: builds of the marts, memory, run history, pages, pictures."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from dyadlog.assets.warehouse.published import marts_folder, pictures_folder
from dyadlog.schemas.study import Study

# What of `state/` says nothing about anybody: how the last night went.
_HARMLESS = ("last_night.json",)


def clear_memory(study: Study) -> list[str]:
    """Drop what may be thrown away at any time: caches, copies, Dagster's run history, the text of the last error."""
    state = study.folder / "state"
    removed = []
    for path in sorted(state.iterdir()) if state.is_dir() else ():
        if path.name not in _HARMLESS:
            _remove(path)
            removed.append(f"state/{path.name}")
    error = study.folder / "quarantine" / "last-error.txt"
    if error.exists():
        error.unlink()
        removed.append("quarantine/last-error.txt")
    return removed


def clear_builds(study: Study, before: int) -> list[str]:
    """Drop all builds of the marts of commits before one; none may be under way that began earlier."""
    marts = marts_folder(study)
    old = [path for path in sorted(marts.glob("0*.duckdb*")) if int(path.name.split("-")[0]) < before]
    old += sorted((marts / "as-of").glob("*"))
    for path in old:
        _remove(path)
    return [path.relative_to(study.folder).as_posix() for path in old]


def clear_pages(study: Study, client_id: str) -> list[str]:
    """Drop pages of past nights that name the person: pages name nobody, but they do name files.

    An id without a letter cannot be told from a count and is not looked for.
    """
    if client_id.isdigit():
        return []
    named = re.compile(rf"(?<![A-Za-z0-9]){re.escape(client_id)}(?![A-Za-z0-9])")
    removed = []
    for path in _files(study.folder / "reports"):
        if named.search(path.read_text("utf-8", "replace")):
            path.unlink()
            removed.append(path.relative_to(study.folder).as_posix())
    return removed


def clear_corrections(study: Study, site_id: str, before: int) -> list[str]:
    """Drop the tables of corrections that the site was given on nights before a commit: they hold event ids, which tell nothing of whom they are."""
    old = [
        path
        for path in sorted((study.folder / "reports" / site_id).glob("*/corrections.csv"))
        if int(path.parent.name.rpartition("-")[2]) < before
    ]
    for path in old:
        path.unlink()
    return [path.relative_to(study.folder).as_posix() for path in old]


def clear_pictures(study: Study) -> list[str]:
    """Drop all pictures, also those of the study: what can be drawn again need not be searched. Their names are not told, they name persons."""
    folder = pictures_folder(study)
    if not folder.exists():
        return []
    shutil.rmtree(folder)
    return [f"{folder.name}/"]


def releases(study: Study) -> list[str]:
    """Releases that were cut while the person was in the log."""
    folder = study.folder / "releases"
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file())


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
