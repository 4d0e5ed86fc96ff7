"""Faults in how lines and files come: order, silence, broken lines, broken files."""

from __future__ import annotations

import itertools
import re
from codecs import BOM_UTF16_LE
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import PurePath

import numpy as np
import polars as pl

from dyadlog.assets.simulation.delivery import File, file_content, file_name, received_on, sound_file
from dyadlog.assets.simulation.facts import NIGHT
from dyadlog.assets.simulation.faulty.contents import is_form
from dyadlog.assets.simulation.faulty.plot import PLANTED, Plot
from dyadlog.assets.simulation.lines import LINE, SEPARATOR, table_header
from dyadlog.assets.simulation.network import Site
from dyadlog.schemas.faults import faults
from dyadlog.schemas.frames import PAYLOAD_PREFIX
from dyadlog.schemas.protocol import Thresholds

# A delivery that is faulty as a whole has so many lines at least.
_LINES = 3
# Nights of a planted silence.
_SILENT = 10
_RENAMED, _DROPPED = "client_id", "session_number"


# --- which deliveries ---


def plant_deliveries(plot: Plot) -> dict[int, str]:
    """Move facts between nights, and choose the nights whose files are faulty: night -> fault."""
    if "silent_site" in plot.rates and plot.nights > _SILENT + 2:
        first = (plot.nights - _SILENT) // 2
        plot.move(
            lambda night: (
                pl.when(night.is_between(first, first + _SILENT - 1)).then(first + _SILENT).otherwise(night)
            )
        )
    used: set[int] = set()
    for fault in ("late_delivery", "out_of_order"):
        for night in plot.pick(fault, _nights(plot, 2)):
            late = night + 2 if fault == "late_delivery" else night + 1
            if used & {*range(night, late + 1)}:
                continue
            used |= {*range(night, late + 1)}
            plot.move(partial(_exchanged if fault == "out_of_order" else _moved, night, late))
            plot.note(fault, night=late, file_name=file_name(plot.site, late))
    chosen: dict[int, str] = {}
    for fault, formats in _FILE_FAULTS.items():
        if plot.site.delivers in formats:
            for night in plot.pick(fault, _nights(plot, 1)):
                if night not in used:
                    chosen.setdefault(night, fault)
    plot.quiet |= {*chosen}
    return chosen


def _moved(night: int, late: int, now: pl.Expr) -> pl.Expr:
    return pl.when(now == night).then(late).otherwise(now)


def _exchanged(night: int, late: int, now: pl.Expr) -> pl.Expr:
    return pl.when(now == night).then(late).when(now == late).then(night).otherwise(now)


def _nights(plot: Plot, before_last: int) -> np.ndarray:
    """Nights with some lines, that have other nights behind them."""
    counts = plot.facts.group_by(NIGHT).len().filter(pl.col("len") >= _LINES)[NIGHT].sort().to_list()
    return np.array([n for n in counts if n <= plot.nights - before_last], np.int64)


# --- lines ---


def plant_lines(plot: Plot) -> None:
    """Choose the lines that will be broken; they are broken once they are written."""
    timed = plot.facts[PAYLOAD_PREFIX + "seconds"].is_not_null().to_numpy()
    for fault, (formats, _) in _LINE_FAULTS.items():
        if plot.site.delivers in formats:
            eligible = is_form(plot) & (timed if fault == "decimal_comma" else True)
            for place in plot.pick(fault, eligible):
                plot.change(fault, place, plot.row(place))


def _comma(line: str) -> str:
    if line.startswith("{"):
        return re.sub(r'"seconds":([0-9]+)(\.[0-9]+)?', r'"seconds":"\1,5"', line)
    cells = line.split(SEPARATOR)
    cells[table_header().split(SEPARATOR).index("seconds")] = "61,5"
    return SEPARATOR.join(cells)


_EVENTS = ("ndjson", "gzip")
_LINE_FAULTS: dict[str, tuple[Sequence[str], Callable[[str], str]]] = {
    "unknown_item": (_EVENTS, lambda line: line.replace('"items":{', '"items":{"999":1,', 1)),
    "decimal_comma": ((*_EVENTS, "table"), _comma),
    "ragged_line": (("table",), lambda line: line + SEPARATOR + "1"),
    "broken_line": (_EVENTS, lambda line: line[: len(line) * 2 // 3]),
}


# --- files ---

_FILE_FAULTS = {
    "encoding": ("ndjson", "table"),
    "truncated_gzip": ("gzip",),
    "half_written": ("ndjson", "table"),
    "renamed_column": ("table",),
    "dropped_column": ("table",),
    "empty_file": ("ndjson", "table"),
    "duplicate_delivery": ("ndjson", "gzip", "table"),
}


def files(plot: Plot, lines: pl.DataFrame, chosen: dict[int, str]) -> Iterator[File]:
    """All files of a site, and the rest of the key: where each planted row lies.

    Args:
        plot: what was planted in the facts.
        lines: `night`, `line` and `PLANTED`, in the order of the facts.
        chosen: nights whose files are faulty.
    """
    site, head = plot.site, 1 if plot.site.delivers == "table" else 0
    read_on: set[int] = set()
    for (night,), part in sorted(lines.partition_by(NIGHT, as_dict=True, maintain_order=True).items()):
        night = int(night)
        texts = part[LINE].to_list()
        for at, number in enumerate(part[PLANTED].to_list()):
            if number is not None:
                entry = plot.key[number]
                entry.night, entry.file_name, entry.line_number = night, file_name(site, night), at + 1 + head
                if entry.fault in _LINE_FAULTS:
                    texts[at] = _LINE_FAULTS[entry.fault][1](texts[at])
        made = (
            _faulty(plot, chosen[night], night, texts)
            if night in chosen
            else [sound_file(site, night, texts)]
        )
        read_on |= {file.night for file in made if file.is_read}
        yield from made
    nights = sorted(read_on)
    for before, after in itertools.pairwise(nights):
        if after - before > Thresholds().quiet_days:
            plot.note("silent_site", night=after, subject=received_on(after).date().isoformat())


def _faulty(plot: Plot, fault: str, night: int, texts: list[str]) -> list[File]:
    """A faulty file and what the site sends the night after."""
    site, name = plot.site, file_name(plot.site, night)
    good = sound_file(site, night, texts)
    whole = good.content
    # Named after the night on which it comes, so that files taken in by name come in the same order.
    next_name = file_name(site, night + 1)
    again = File(night + 1, _named(next_name, "again"), whole, len(texts))
    head = 1 if site.delivers == "table" else 0
    broken = File(night, name, b"", 0, is_read=False)
    line: int | None = None
    match fault:
        case "encoding":
            made = [replace(broken, content=BOM_UTF16_LE + whole.decode().encode("utf-16-le")), again]
        case "truncated_gzip":
            made = [replace(broken, content=whole[: len(whole) * 2 // 3]), again]
        case "half_written":
            kept = len(texts) // 2
            line = head + kept + 1
            cut = file_content(site, texts[:kept]) + texts[kept][: len(texts[kept]) // 2].encode()
            made = [File(night, name, cut, kept + 1), again]
        case "renamed_column":
            made = [replace(broken, content=whole.replace(_RENAMED.encode(), b"patient", 1)), again]
        case "dropped_column":
            made = [replace(broken, content=_without(whole.decode(), _DROPPED).encode()), again]
        case "empty_file":
            name = _named(name, "empty")
            made = [good, File(night, name, file_content(site, [])[:-1] if head else b"", 0)]
        case _:
            name = _named(next_name, "copy")
            made = [good, File(night + 1, name, whole, len(texts))]
    plot.note(fault, night=night, file_name=name, line_number=line)
    return made


def _without(table: str, column: str) -> str:
    rows = [row.split(SEPARATOR) for row in table.splitlines()]
    at = rows[0].index(column)
    return "".join(SEPARATOR.join(row[:at] + row[at + 1 :]) + "\n" for row in rows)


def _named(name: str, more: str) -> str:
    path = PurePath(name)
    stem = name.split(".")[0]
    return f"{stem}-{more}{''.join(path.suffixes)}"


def rates_by_site(level: str, network: Sequence[Site]) -> list[dict[str, float]]:
    """How often each fault is planted at each site; a fault of whole sites falls on some of the largest ones.

    Args:
        level: a level of `faults.yaml`.
        network: the sites.

    Raises:
        UserError: there is no such level.
    """
    rates = faults().rates(level)
    of_sites = [name for name, fault in faults().faults.items() if fault.per == "site"]
    found = [{name: rate for name, rate in rates.items() if name not in of_sites} for _ in network]
    by_size = sorted(range(len(network)), key=lambda nth: -network[nth].clients)
    for shift, fault in enumerate(of_sites):
        able = [nth for nth in by_size if network[nth].codes or fault != "coder_drift"]
        for nth in range(min(int(rates[fault]), len(able))):
            found[able[(nth + shift) % len(able)]][fault] = 1.0
    return found
