"""What the expectations found about a site before, so that only sites with something new are judged again.

The file may be lost or wrong in form at any time: then all sites are judged.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from dyadlog.assets.warehouse.models import models
from dyadlog.schemas.expectations import Expectation
from dyadlog.schemas.study import Study

Rows = Sequence[Sequence[Any]]


def looked_at(
    duck: duckdb.DuckDBPyConnection, known: Mapping[str, Expectation], site_keys: Mapping[str, str]
) -> dict[str, str]:
    """A key of all that the expectations look at, by site.

    What a site's own models gave has its key already. Of tables that combine sites the values themselves count, as
    the expectations see them: such a table changes every night for all sites, what is expected of it hardly ever.
    """
    tables: dict[str, list[str]] = {}
    for each in known.values():
        if models()[each.table].scope == "study":
            tables.setdefault(each.table, []).append(each.value)
    told: dict[str, list[str]] = {site_id: [key] for site_id, key in site_keys.items()}
    for table, values in sorted(tables.items()):
        sums = ", ".join(f"count({value}), sum(hash(({value})::varchar))::varchar" for value in values)
        for site_id, *figures in duck.execute(
            f"select site_id, count(*), {sums} from {table} as t group by site_id"
        ).fetchall():
            told.setdefault(site_id, []).append(f"{table} {figures}")
    return {site_id: "\n".join([*sorted(known), *parts]) for site_id, parts in told.items()}


class Memory:
    """Rows by site, each under a key.

    Args:
        study: the study.
        keys: the keys that hold tonight; a site without one is neither recalled nor learned.
    """

    def __init__(self, study: Study, keys: Mapping[str, str]) -> None:
        self._path: Path = study.folder / "state" / "expectations.json"
        self._keys = keys
        self._learned: dict[str, tuple[str, Rows]] = {}
        try:
            told = json.loads(self._path.read_bytes()) if keys else {}
            for site_id, (key, rows) in told.items():
                if keys.get(site_id) == key and all(row[0] == site_id and len(row) == 6 for row in rows):
                    self._learned[site_id] = (key, rows)
        except (OSError, ValueError, TypeError, AttributeError, LookupError):
            self._learned = {}

    def recall(self, site_id: str) -> Rows | None:
        """What was found about a site, if nothing has changed."""
        return self._learned[site_id][1] if site_id in self._learned else None

    def learn(self, site_id: str, rows: Rows) -> None:
        """Remember what was found about a site."""
        if site_id in self._keys:
            self._learned[site_id] = (self._keys[site_id], rows)

    def save(self) -> None:
        """Write to disk, in one step."""
        if not self._keys:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        waiting = self._path.with_name(f"{self._path.name}.{os.getpid()}.new")
        waiting.write_text(json.dumps(self._learned, sort_keys=True), "utf-8")
        waiting.replace(self._path)
