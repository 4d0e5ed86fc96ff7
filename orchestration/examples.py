"""New study folders: an empty study, or one of the examples with its data in the landing folders."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from dyadlog.schemas.errors import UserError
from dyadlog.schemas.study import Study, read_study

BLANK = "blank"
_COPIED = ("study.yaml", "README.md", "mappings", "instruments", "landing", "truth")


def example_names() -> list[str]:
    """Names of the examples that come with Dyadlog."""
    return sorted(p.parent.name for p in _examples().glob("*/study.yaml") if p.parent.name != BLANK)


def init_study(folder: Path, example: str | None, data: Path | None) -> list[str]:
    """Make a new study folder.

    Args:
        folder: where; must not exist yet, or be empty.
        example: one of `example_names()`; None for an empty study.
        data: folder with the data of an example that does not bring its own.

    Returns:
        sentences for the user.

    Raises:
        UserError: the folder is not empty, or example and data do not fit; nothing was written.
    """
    source = _example(example)
    convert = _CONVERSIONS.get(source.name)
    if data is not None and convert is None:
        raise UserError(
            f"--data {data}: {f'the example {example}' if example else 'a new study'} takes no data folder; "
            "leave --data out"
        )
    if convert is not None:
        data = _data_folder(source.name, data)
    with new_folder(folder):
        _copy(source, folder)
        study = read_study(folder)
        for site_id in study.site_ids:
            (folder / "landing" / site_id).mkdir(parents=True, exist_ok=True)
        if convert is not None and data is not None:
            convert(data, study)
    return _sentences(folder, study, example)


def _sentences(folder: Path, study: Study, example: str | None) -> list[str]:
    sites = len(study.site_ids)
    files = sum(1 for path in (folder / "landing").glob("*/*") if path.is_file())
    made = f"Made the study `{study.protocol.study}` in {folder}: {sites} {'site' if sites == 1 else 'sites'}"
    if example is None:
        return [
            f"{made}, no data yet.",
            f"Say in {folder / 'study.yaml'} what your study expects; sites drop files into {folder / 'landing'}.",
            f"Then run: dyadlog night -s {folder}",
        ]
    simulated = " The data are simulated." if study.protocol.simulated else ""
    return [
        f"{made}, {files} {'file' if files == 1 else 'files'} in {folder / 'landing'}.{simulated}",
        f"What is in the data, and why it is read as it is: {folder / 'README.md'}",
        f"Now run: dyadlog night -s {folder}",
    ]


# --- where things come from and go to ----------------------------------------------------------


def _examples() -> Path:
    import dyadlog.examples

    return Path(next(iter(dyadlog.examples.__path__)))


def _example(name: str | None) -> Path:
    if name is not None and name not in example_names():
        raise UserError(
            f"--example {name}: there is no such example; choose one of {', '.join(example_names())}"
        )
    return _examples() / (name or BLANK)


def _copy(source: Path, folder: Path) -> None:
    for name in _COPIED:
        part = source / name
        if part.is_dir():
            shutil.copytree(part, folder / name, copy_function=shutil.copyfile)
        elif part.exists():
            shutil.copyfile(part, folder / name)


@contextmanager
def new_folder(folder: Path) -> Iterator[None]:
    """A folder to fill; it is as before if that fails."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: this is a file; name a folder that does not exist yet")
    existed = folder.is_dir()
    if existed and any(folder.iterdir()):
        raise UserError(
            f"{folder}: the folder is not empty; name one that does not exist yet, so that nothing is overwritten"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException as error:
        _empty(folder, keep=existed)
        if isinstance(error, OSError):
            raise UserError(f"{folder}: cannot be written ({error.strerror}); name another folder") from error
        raise


def _empty(folder: Path, *, keep: bool) -> None:
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    if not keep:
        folder.rmdir()


# --- data of the examples -----------------------------------------------------------------------

# What each example needs in its data folder.
_NEEDED = {"cbasp_trial": ("data.csv",), "ctn0094": ("visit.parquet", "site_masked.csv")}


def _data_folder(example: str, data: Path | None) -> Path:
    needed = " and ".join(_NEEDED[example])
    if data is None:
        raise UserError(
            f"--example {example}: its data are not part of Dyadlog; name the folder that holds {needed} with --data"
        )
    if not data.is_dir():
        raise UserError(f"--data {data}: there is no such folder; name the folder that holds {needed}")
    if absent := [name for name in _NEEDED[example] if not (data / name).is_file()]:
        raise UserError(
            f"--data {data}: {', '.join(absent)} is not in this folder; name the folder that holds {needed}"
        )
    return data


def _cbasp_trial(data: Path, study: Study) -> None:
    """The table as it is, byte for byte; its columns are checked when it is read."""
    (site_id,) = study.site_ids
    shutil.copyfile(data / "data.csv", study.folder / "landing" / site_id / "data.csv")


def _ctn0094(data: Path, study: Study) -> None:
    """The visits as text, one file per site: every column, every row, in the order of the source."""
    site_of = _sites_of_persons(data / "site_masked.csv")
    columns, rows = _parquet_rows(data / "visit.parquet")
    if "who" not in columns:
        raise UserError(
            f"{data / 'visit.parquet'}: has no column `who`; name the folder with the CTN-0094 tables"
        )
    who = columns.index("who")
    folders = {f"site-{masked}": study.folder / "landing" / f"site-{masked}" for masked in site_of.values()}
    if strange := sorted(set(folders) - set(study.site_ids)):
        raise UserError(
            f"{data / 'site_masked.csv'}: {len(strange)} sites are not in the example's study.yaml"
        )
    tables: dict[str, IO[str]] = {}
    try:
        for site_id in sorted(folders):
            tables[site_id] = (folders[site_id] / "visits.csv").open("w", encoding="utf-8", newline="")
        writers = {site_id: csv.writer(table, lineterminator="\n") for site_id, table in tables.items()}
        for writer in writers.values():
            writer.writerow(columns)
        for number, row in enumerate(rows, 1):
            if row[who] not in site_of:
                raise UserError(
                    f"{data / 'visit.parquet'}: the person of row {number} has no site in site_masked.csv; "
                    "take both files from the same release"
                )
            writers[f"site-{site_of[row[who]]}"].writerow(row)
    finally:
        for table in tables.values():
            table.close()


def _sites_of_persons(path: Path) -> dict[str, str]:
    with path.open(encoding="utf-8", newline="") as text:
        table = csv.DictReader(text)
        if table.fieldnames is None or not {"who", "site_masked"} <= set(table.fieldnames):
            raise UserError(f"{path}: expected the columns `who` and `site_masked` in its first line")
        return {row["who"]: row["site_masked"] for row in table}


def _parquet_rows(path: Path) -> tuple[list[str], Iterator[list[str]]]:
    """Columns, and rows as text; nothing is empty text, whole numbers have no decimals."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError):
        raise UserError(f"{path}: is not a readable Parquet file; copy it again from the release") from None
    cells = [column.to_pylist() for column in table.columns]
    return table.column_names, ([_text(cell) for cell in row] for row in zip(*cells, strict=True))


def _text(cell: object) -> str:
    """R keeps whole numbers as doubles: 7.0 is the day 7."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)


_CONVERSIONS: dict[str, Callable[[Path, Study], None]] = {"cbasp_trial": _cbasp_trial, "ctn0094": _ctn0094}
