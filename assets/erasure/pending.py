"""What waits to be erased: withdrawals that ask for it, and delivered files that still lie in the landing folders."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from pathlib import Path

import duckdb

from dyadlog.assets.event_log.log import EventLog
from dyadlog.assets.intake.blocked import CODE
from dyadlog.assets.intake.files import FileRefusedError, Reader, scan
from dyadlog.assets.warehouse import inputs
from dyadlog.assets.warehouse.models import models
from dyadlog.schemas.study import Study


def asked_for(study: Study, log: EventLog) -> list[tuple[str, str]]:
    """(site, client) of the withdrawals that hold now and ask for what only an erasure gives."""
    with duckdb.connect() as duck:
        inputs.load_log(duck, log, log.commits())
        inputs.load_study(duck, study)
        duck.execute("create schema staging")
        duck.execute(f"create table staging.event as {models()['staging.event'].sql}")
        return duck.execute(
            "select distinct event.site_id, event.client_id from staging.event as event "
            "inner join study.withdrawal as withdrawal on withdrawal.asked = (event.payload ->> '$.mode') "
            "where event.event_type = 'consent.withdrawn' and withdrawal.honoured = 'erase' order by all"
        ).fetchall()


def landed_files(study: Study, log: EventLog, site_id: str, tag: str | None = None) -> Iterator[Path]:
    """Received files of a site, still in its landing folder, with lines of somebody who was erased.

    Args:
        study: the study.
        log: the log.
        site_id: the site.
        tag: keyed hash of one person, whose files of before the erasure count too.
    """
    commits = {c.seq: c for c in log.of_site(site_id)}
    seqs = {
        seq
        for c in log.layout.erasures(site_id)
        if c.act and c.change and (tag is None or tag in c.change.blocked)
        for seq in c.act.commits
    }
    held = {commits[seq].receipt.file_sha256 for seq in seqs}
    held |= {c.receipt.file_sha256 for c in commits.values() if CODE in c.receipt.codes}
    if not held:
        return
    for landed in scan(study).files:
        if landed.site_id == site_id:
            reader = Reader(landed.path, study.protocol.limits)
            try:
                reader.drain()
            except FileRefusedError:
                continue
            if reader.sha256 in held:
                yield landed.path


def naming_files(study: Study, site_id: str, client_id: str) -> list[Path]:
    """Files under a site's landing folder that name a client, read or not: refused, unfinished, in folders.

    An id without a letter cannot be told from a count and is not looked for.
    """
    if client_id.isdigit():
        return []
    named = re.compile(rf"(?<![A-Za-z0-9]){re.escape(client_id)}(?![A-Za-z0-9])".encode())
    files = sorted(path for path in (study.folder / "landing" / site_id).rglob("*") if path.is_file())
    return [path for path in files if named.search(path.name.encode()) or named.search(_unpacked(path))]


def _unpacked(path: Path) -> bytes:
    """All that can be read of a file; of a broken archive what comes before the break."""
    data = path.read_bytes()
    if not data.startswith(b"\x1f\x8b"):
        return data.replace(b"\0", b"")  # UTF-16 too
    found = data
    while data.startswith(b"\x1f\x8b"):
        packed = zlib.decompressobj(31)
        try:
            found += packed.decompress(data)
        except zlib.error:
            break
        data = packed.unused_data
    return found
