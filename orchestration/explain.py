"""`dyadlog explain`: one cell of a mart, for people and for machines."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from dyadlog.orchestration.screen import console
from dyadlog.schemas.errors import UserError
from dyadlog.schemas.study import Study

if TYPE_CHECKING:
    from dyadlog.assets.warehouse.explain import Explanation, Told

# Lines shown one by one; of more, how many of each file.
_SHOWN_LINES = 60


def show_explanation(study: Study, mart: str, words: list[str], *, as_json: bool, as_of: str | None) -> None:
    """Say where one cell comes from.

    Args:
        study: the study.
        mart: the table, with or without `marts.`.
        words: the key as NAME=VALUE, and the column.
        as_json: for machines.
        as_of: explain the marts as they would have been at this commit or day.

    Raises:
        UserError: there is no such mart, row or column.
    """
    from dyadlog.assets.event_log.history import head_at
    from dyadlog.assets.intake.receive import open_log
    from dyadlog.assets.warehouse.explain import explain
    from dyadlog.assets.warehouse.published import build_file, newest_built
    from dyadlog.orchestration.query import marts_as_of

    key = dict(word.split("=", 1) for word in words if "=" in word)
    columns = [word for word in words if "=" not in word]
    if len(columns) != 1:
        raise UserError(
            "name one column after the key, as in: dyadlog explain marts.session site_id=... status"
        )
    log = open_log(study)
    if as_of:
        upto, path = head_at(log, as_of), marts_as_of(study, as_of)
    else:
        upto = newest_built(study, log)
        path = build_file(study, upto)
    name = mart if "." in mart else f"marts.{mart}"
    (told,) = explain(study, log, upto.seq, path, name, key, columns)
    if as_json:
        print(json.dumps(asdict(told) | {"commit_seq": upto.seq}, default=str, indent=1))
        return
    _show(told)


def _show(told: Explanation) -> None:
    out = console()
    key = ", ".join(f"{column} {value}" for column, value in told.key.items())
    out.print(
        Text(f"{told.mart}.{told.column} = {'empty' if told.value is None else told.value}", style="bold")
    )
    out.print(Text(told.label))
    out.print(Text(key, style="dim"))
    out.print()
    out.print(_path(told))
    for table, rows in told.constants.items():
        if isinstance(rows, int):
            out.print(Text(f"{table}: {rows} rows", style="dim"))
        else:
            for row in rows:
                said = ", ".join(f"{column} {value}" for column, value in row.items())
                out.print(Text.assemble((table, "bold"), ": ", said))
    out.print()
    if told.rests_on:
        out.print("It combines rows of several sites:")
        for rested in told.rests_on:
            out.print(Text(f"  {rested.site_id or 'whole study'}: {rested.rows} rows of {rested.table}"))
        return
    _show_events(told.events)


def _path(told: Explanation) -> Tree:
    made_of = {(table, column): sources for table, column, sources in told.path}
    tree = Tree("made of")
    waiting = [(tree, told.mart, told.column)]
    shown = set()
    while waiting:
        branch, table, column = waiting.pop(0)
        again = (table, column) in shown
        shown.add((table, column))
        grown = branch.add(Text(f"{table}.{column}", style="dim" if again else ""))
        if not again:
            waiting += [(grown, *source) for source in made_of.get((table, column), [])]
    return tree


def _show_events(events: list[Told]) -> None:
    out = console()
    named = len({one.event_id for one in events})
    deciding = len({one.event_id for one in events if one.decides})
    tried = any(one.decides is not None for one in events)
    out.print(
        f"From these {named} events alone comes the same cell"
        + (f"; without one of the {deciding} marked * it would be another." if tried else ".")
    )
    if len(events) > _SHOWN_LINES:
        for (seq, name), n in sorted(Counter((one.commit_seq, one.file_name) for one in events).items()):
            out.print(Text(f"  commit {seq}, {name}: {n} lines"))
        out.print("--json names every line")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("", "event", "says", "session", "revision", "commit", "file", "line"):
        right = name in ("session", "revision", "commit", "line")
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for one in events:
        cells = (one.event_id, one.event_type, "" if one.session_number is None else one.session_number)
        revision = str(one.revision) if one.holds else f"{one.revision} (replaced)"
        file = f"{one.file_name} (voided, but repeated)" if one.voided_in else one.file_name
        place = (revision, one.commit_seq, file, one.line_number)
        table.add_row("*" if one.decides else "", *(Text(str(cell)) for cell in (*cells, *place)))
    out.print(table)
