"""From lines to a study folder: study.yaml, the mapping of the table sites, one file per site and night."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from dyadlog.assets.simulation.facts import SPOKEN
from dyadlog.assets.simulation.lines import SEPARATOR, table_header
from dyadlog.assets.simulation.network import Site
from dyadlog.schemas.catalogue import Field, catalogue
from dyadlog.schemas.instruments import shipped_instruments
from dyadlog.schemas.simulation import Parameters

MAPPING = "mappings/records.yaml"
# File names say it too, wherever a file is copied to.
_NAMES = {
    "ndjson": "simulated-night-{night:03d}.ndjson",
    "gzip": "simulated-night-{night:03d}.ndjson.gz",
    "table": "simulated-night-{night:03d}.csv",
}


# The day before the first night.
_BEGINNING = datetime(2026, 1, 1, 2, tzinfo=UTC)


def received_on(night: int) -> datetime:
    """When the deliveries of a night are received."""
    return _BEGINNING + timedelta(days=night)


@dataclass(frozen=True)
class File:
    """A file as it is delivered.

    Args:
        night: night of the delivery, from 1.
        name: its name.
        content: its bytes.
        lines: data lines that it holds.
        is_read: whether it can be read at all.
    """

    night: int
    name: str
    content: bytes
    lines: int
    is_read: bool = True


def sound_file(site: Site, night: int, lines: Sequence[str] | pl.Series) -> File:
    """What a site delivers in one night, without faults.

    Args:
        site: the site, whose `delivers` says in which format.
        night: number of the night, from 1.
        lines: lines without line breaks; the header of a table is added here.
    """
    return File(night, file_name(site, night), file_content(site, lines), len(lines))


def write_file(folder: Path, site: Site, file: File) -> None:
    """Write a file into the landing folder of a site."""
    path = folder / "landing" / site.site_id / file.name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file.content)


def file_name(site: Site, night: int) -> str:
    """Name of a site's delivery of one night."""
    return _NAMES[site.delivers].format(night=night)


def file_content(site: Site, lines: Sequence[str] | pl.Series) -> bytes:
    """The bytes of a delivery."""
    head = [table_header()] if site.delivers == "table" else []
    text = "\n".join([*head, *lines, ""]).encode()
    return b"".join(_gzipped(text)) if site.delivers == "gzip" else text


def _gzipped(content: bytes) -> Iterator[bytes]:
    """A gzip file whose blocks are stored: what deflate makes of a text differs between versions of zlib."""
    largest = 0xFFFF
    yield b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    for start in range(0, max(1, len(content)), largest):
        block = content[start : start + largest]
        last = start + largest >= len(content)
        yield struct.pack("<BHH", last, len(block), len(block) ^ 0xFFFF) + block
    yield struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF)


def write_protocol(folder: Path, p: Parameters, sites: Sequence[Site]) -> None:
    """Write study.yaml and the mapping that it names."""
    measures = [due.model_dump(mode="json", exclude={"completed"}) for due in p.battery]
    protocol: dict[str, Any] = {
        "study": p.preset.study,
        "title": "Simulated multi-site study of alliance, ruptures and outcome",
        "simulated": True,
        "time_basis": "study_day",
        "sites": [_site(site) for site in sites],
        "measures": measures,
    }
    if asking := [site.site_id for site in sites if site.interviews]:
        about = [int(number) for number in p.named("interview.sessions").values()]
        protocol["interviews"] = {"sessions": about, "sites": asking}
    note = (
        "# Made by `dyadlog simulate`. All data are simulated: no client, therapist or site in it exists.\n"
    )
    (folder / "study.yaml").write_text(note + _yaml(protocol), "utf-8")
    if any(site.delivers == "table" for site in sites):
        (folder / MAPPING).parent.mkdir(parents=True, exist_ok=True)
        (folder / MAPPING).write_text(
            "# The long table of simulated sites: one row is one fact.\n" + _yaml(_mapping(p)), "utf-8"
        )


def _yaml(data: dict[str, Any]) -> str:
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None)


def _site(site: Site) -> dict[str, Any]:
    said: dict[str, Any] = {"id": site.site_id, "name": f"Simulated {site.site_id} ({site.delivers})"}
    return said | ({"mappings": [MAPPING]} if site.delivers == "table" else {})


def _mapping(p: Parameters) -> dict[str, Any]:
    known = catalogue()
    envelope = {
        name: {"column": name}
        for name, field in known.envelope.items()
        if field.type != "time" and name not in ("event_id", "event_type", "schema_version")
    }
    events: list[dict[str, Any]] = []
    for kind, event in known.events.items():
        rule: dict[str, Any] = {
            "event_type": kind,
            **({"schema_version": SPOKEN} if event.newest > SPOKEN else {}),
            "when": [{"column": "event_type", "in": [kind]}],
            "event_id": {"column": "event_id"},
            "envelope": envelope,
        }
        fields = {name: _source(name, field) for name, field in event.versions[SPOKEN].items()}
        if not event.instrument:
            events.append(rule | {"payload": fields})
            continue
        for instrument, version in dict.fromkeys((due.instrument, due.version) for due in p.battery):
            form = shipped_instruments()[instrument].versions[version]
            which = [{"column": "instrument", "in": [instrument]}, {"column": "version", "in": [version]}]
            items = {item: f"i{place}" for place, item in enumerate(form.items, 1)}
            events.append(rule | {"when": [*rule["when"], *which], "payload": fields, "items": items})
    return {
        "files": "*.csv",
        "separator": SEPARATOR,
        "missing": [""],
        "ignore": ["schema_version"],
        "events": events,
    }


def _source(name: str, field: Field) -> dict[str, Any]:
    source: dict[str, Any] = {"column": name}
    return source | ({"values": {"true": True, "false": False}} if field.type == "bool" else {})
