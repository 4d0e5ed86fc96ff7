"""The file that analysts get: every published table with its comments, and what the build says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from dyadlog.assets.event_log.log import Head
from dyadlog.assets.event_log.storage import fsync
from dyadlog.assets.version import code_version
from dyadlog.assets.warehouse.carry import carry, remember
from dyadlog.assets.warehouse.checks import Contents
from dyadlog.assets.warehouse.kept import kept_tables
from dyadlog.assets.warehouse.models import models
from dyadlog.assets.warehouse.published import marts_folder
from dyadlog.assets.warehouse.work import Step
from dyadlog.schemas.marts import contracts
from dyadlog.schemas.study import Study

# Clients of DuckDB 1.2 must be able to open what analysts get.
STORAGE_VERSION = "v1.2.0"
PUBLISHED = ("marts", "quality")


@dataclass
class Build:
    """One build of the marts.

    Args:
        head: the newest commit that went in.
        path: the file.
        digest: digest of the sorted content of all marts.
        quality_digest: digest of the sorted content of the quality tables.
        steps: what each model took.
    """

    head: Head
    path: Path
    digest: str
    quality_digest: str
    steps: list[Step] = field(default_factory=list)


def write_file(
    duck: duckdb.DuckDBPyConnection,
    study: Study,
    build: Build,
    found: Mapping[str, Contents],
    *,
    erased_at: int = 0,
) -> None:
    """Copy the checked tables into a file, and put it where it belongs.

    Rows of sites that are the same as in the last published file are carried over from it.

    Args:
        duck: the working database.
        study: the study.
        build: what is written, and where.
        found: digest of each site's rows by table.
        erased_at: commit of the last erasure; a file of before it holds, where rows were deleted, what must be gone.
    """
    build.path.parent.mkdir(exist_ok=True)
    ((work,),) = duck.execute(
        "select path from duckdb_databases() where database_name = current_database()"
    ).fetchall()
    fresh = Path(work).parent / "fresh.duckdb"
    last = carry(study, fresh, erased_at)
    duck.execute("set preserve_insertion_order=true")
    duck.execute(f"attach '{fresh}' as fresh (storage_version '{STORAGE_VERSION}')")
    for schema in (*PUBLISHED, "meta"):
        duck.execute(f"create schema if not exists fresh.{schema}")
    written: list[str] = []
    for name, table in contracts().items():
        # What is kept by site lies in order already.
        in_order = name in kept_tables() and table.grain[0] == "site_id"
        order = "" if in_order else f"order by {', '.join(table.grain)}"
        before = last.contents[name] if last else {}
        other = {site for site in {*before, *found[name]} if before.get(site) != found[name].get(site)}
        if last and not other:
            continue
        if other < {*before, *found[name]}:
            where = "where list_contains($other, coalesce(site_id, ''))"
            duck.execute(f"delete from fresh.{name} {where}", {"other": [*other]})
            duck.execute(f"insert into fresh.{name} from {name} {where} {order}", {"other": [*other]})
            continue
        duck.execute(f"create or replace table fresh.{name} as select * from {name} {order}")
        written.append(name)
    _comment(duck, written)
    duck.execute(
        "create or replace table fresh.meta.build as select $study as study, $seq::bigint as commit_seq, $head as commit_sha256, "
        "$code as code_version, $rules as rules_digest, $digest as marts_digest, $simulated::boolean as is_simulated",
        {
            "study": study.protocol.study,
            "seq": build.head.seq,
            "head": build.head.sha256,
            "code": code_version(),
            "rules": study.rules_digest,
            "digest": build.digest,
            "simulated": study.protocol.simulated,
        },
    )
    duck.execute("detach fresh")
    fsync(fresh)
    fresh.replace(build.path)
    fsync(build.path.parent)
    if build.path.parent == marts_folder(study):
        remember(study, build.path, found, last)


def _comment(duck: duckdb.DuckDBPyConnection, names: list[str]) -> None:
    """Let tables and columns say what they mean."""
    duck.execute("begin")  # one by one, hundreds of comments would take longer than a small study's tables
    for name in names:
        duck.execute(f"comment on table fresh.{name} is {_text(models()[name].notes)}")
        for column, spec in contracts()[name].columns.items():
            duck.execute(f'comment on column fresh.{name}."{column}" is {_text(spec.comment)}')
    duck.execute("commit")


def _text(told: str) -> str:
    return "'" + told.replace("'", "''") + "'"
