"""Results of the sites, kept from night to night as Parquet, so that only the sites with news are built.

What a site's models give depends on the code, the rules and the site's own commits; these are the key under which it
is kept. Losing a result costs the time to make it again; a damaged one counts as lost.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import duckdb

from dyadlog.assets.event_log.log import EventLog
from dyadlog.assets.version import code_version
from dyadlog.assets.warehouse.carry import check_sum
from dyadlog.assets.warehouse.models import models
from dyadlog.schemas.marts import contracts
from dyadlog.schemas.study import Study

_TOLD = "told.json"
_NEW = "new-"
_LOCK = ".lock"


@cache
def built_by_site() -> tuple[str, ...]:
    """Models that see one site's rows only, before anything is known of the others."""
    found: list[str] = []
    for name, model in models().items():
        inside = all(r in found or r.split(".")[0] in ("log", "study") for r in model.reads)
        if model.scope == "site" and inside:
            found.append(name)
    return tuple(found)


@cache
def kept_tables() -> tuple[str, ...]:
    """Those that are published or that the other models read."""
    sites = built_by_site()
    read = {name for other, model in models().items() if other not in sites for name in model.reads}
    return tuple(name for name in sites if name in contracts() or name in read)


@dataclass(frozen=True)
class Result:
    """What is kept of one site.

    Args:
        folder: where its tables lie.
        rows: number of rows by model, also of tables that are not kept.
        contents: digest of the rows by published table.
        sums: check sum of each file.
    """

    folder: Path
    rows: dict[str, int]
    contents: dict[str, str]
    sums: dict[str, int]

    def file(self, name: str) -> Path:
        """Where a table lies."""
        return self.folder / f"{name}.parquet"


def site_keys(study: Study, log: EventLog, upto: int) -> dict[str, str]:
    """The key of each site's results, by site in order: of those of the study and all others in the log."""
    rules = f"1\n{code_version()}\n{duckdb.__version__}\n{study.rules_digest}\n"
    found = {site_id: hashlib.sha256(rules.encode()) for site_id in study.site_ids}
    for commit in log.commits()[:upto]:
        if commit.kind == "compaction":  # the same rows in other files
            continue
        site = found.setdefault(commit.receipt.site_id, hashlib.sha256(rules.encode()))
        site.update(log.digest_of(commit.seq).encode())
    return {site_id: found[site_id].hexdigest()[:32] for site_id in sorted(found)}


class Shelf:
    """The kept results of a study's sites.

    Several nights may use it at once; nothing is removed while another one does.

    Args:
        study: the study.
    """

    def __init__(self, study: Study) -> None:
        self._folder = study.folder / "state" / "sites"
        self._wanted: dict[str, str] | None = None
        self._new = self._folder

    @contextmanager
    def opened(self) -> Iterator[Shelf]:
        """Use the shelf; results that `keep_only` does not name are dropped at the end."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            self._new = Path(tempfile.mkdtemp(prefix=_NEW, dir=self._folder))
            try:
                yield self
            finally:
                shutil.rmtree(self._new, ignore_errors=True)
                if self._wanted is not None:
                    with suppress(BlockingIOError):
                        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        self._tidy(self._wanted)

    def keep_only(self, keys: Mapping[str, str]) -> None:
        """Say which results the next night may need."""
        self._wanted = dict(keys)

    def find(self, site_id: str, key: str) -> Result | None:
        """A kept result, if it is there and undamaged."""
        folder = self._folder / site_id / key
        try:
            told = json.loads((folder / _TOLD).read_bytes())
            result = Result(folder, told["rows"], told["contents"], told["sums"])
            whole = (
                told["of"] == [site_id, key]
                and set(result.sums) == set(kept_tables())
                and all(check_sum(result.file(name)) == result.sums[name] for name in kept_tables())
            )
        except (OSError, ValueError, KeyError, TypeError):
            whole = False
        if whole:
            return result
        shutil.rmtree(folder, ignore_errors=True)
        return None

    def write(
        self,
        duck: duckdb.DuckDBPyConnection,
        site_id: str,
        rows: dict[str, int],
        contents: dict[str, str],
    ) -> Result:
        """Write a site's tables; they are not kept yet.

        Args:
            duck: where the tables are.
            site_id: the site.
            rows: number of its rows by model.
            contents: digest of its rows by published table.
        """
        result = Result(self._new / site_id, rows, contents, {})
        result.folder.mkdir()
        for name in kept_tables():
            order = ", ".join(models()[name].grain)
            duck.execute(
                f"copy (select * from {name} where site_id = $site order by {order}) "
                f"to {_quoted(result.file(name))} (format parquet, compression zstd)",
                {"site": site_id},
            )
            result.sums[name] = check_sum(result.file(name))
        return result

    def keep(self, result: Result, key: str) -> Result:
        """Keep a written result, in one step."""
        told = {name: part for name, part in asdict(result).items() if name != "folder"}
        told["of"] = [result.folder.name, key]
        (result.folder / _TOLD).write_text(json.dumps(told, sort_keys=True), "utf-8")
        target = self._folder / result.folder.name / key
        try:
            target.parent.mkdir(exist_ok=True)
            result.folder.rename(target)
        except (
            OSError
        ):  # another night has kept it already, or something else lies there until the end of this one
            return result
        return Result(target, result.rows, result.contents, result.sums)

    def _tidy(self, wanted: Mapping[str, str]) -> None:
        """Drop what no night needs any more: older results and what killed nights left."""
        for entry in os.scandir(self._folder):
            if entry.is_dir() and entry.name not in wanted:
                shutil.rmtree(entry.path, ignore_errors=True)
            elif entry.is_file() and entry.name != _LOCK:
                Path(entry.path).unlink(missing_ok=True)
            elif entry.is_dir():
                for result in os.scandir(entry.path):
                    if result.name != wanted[entry.name]:
                        shutil.rmtree(result.path, ignore_errors=True)


def show_tables(duck: duckdb.DuckDBPyConnection, results: Mapping[str, Result]) -> None:
    """Make a view of each kept table: all sites' rows, in the order of the sites."""
    for name in kept_tables():
        files = ", ".join(_quoted(results[site_id].file(name)) for site_id in sorted(results))
        duck.execute(
            f"create view {name} as select * from read_parquet([{files}], hive_partitioning = false)"
        )


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
