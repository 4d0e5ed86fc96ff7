"""What a site has to look at, as a table for its own staff: `corrections.csv`.

The only file of a report that names facts. It lies in the site's own folder and holds the site's own event ids, or the
file and line of what was held back; no pseudonym of a person, no value.
"""

from __future__ import annotations

import csv
import io
from typing import NamedTuple

import duckdb

from dyadlog.assets.quality.record import finding_id
from dyadlog.assets.quality.words import plain

HEADER = ("code", "about", "finding_id", "event_id", "file", "line")


class Table(NamedTuple):
    """A table as CSV, and its number of rows."""

    text: str
    rows: int


def corrections(duck: duckdb.DuckDBPyConnection, site_id: str, *, lines_only: bool = False) -> Table:
    """The table of one site; `lines_only` leaves out what is known by event id."""
    rows = duck.execute(
        "select code, subject, event_id, file_name, line_number from quality.correction "
        "where site_id = $site and (line_number is not null or not $lines_only) "
        "order by code, subject, event_id, commit_seq, line_number",
        {"site": site_id, "lines_only": lines_only},
    ).fetchall()
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\r\n")
    table.writerow(HEADER)
    for code, subject, event_id, file_name, line in rows:
        table.writerow((code, subject, finding_id(code, subject), event_id, _cell(file_name), line))
    return Table(out.getvalue(), len(rows))


def _cell(name: str | None) -> str | None:
    """A name from outside that no spreadsheet takes for a formula."""
    if name is None:
        return None
    shown = plain(name)
    return f"'{shown}" if shown.startswith(("=", "+", "-", "@")) else shown
