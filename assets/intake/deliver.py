"""One file becomes one commit: read, check, find duplicates, seal what is held back, append."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import polars as pl

from dyadlog.assets.event_log import segment
from dyadlog.assets.event_log.blocked import BlockList
from dyadlog.assets.event_log.log import EventLog, RacedError
from dyadlog.assets.event_log.quarantine import Quarantine
from dyadlog.assets.event_log.records import Commit, Receipt
from dyadlog.assets.event_log.standing import releases
from dyadlog.assets.intake.account import none
from dyadlog.assets.intake.blocked import CODE, leave_out
from dyadlog.assets.intake.duplicates import mark_duplicates
from dyadlog.assets.intake.files import Landed, Reader
from dyadlog.assets.intake.known import known_as
from dyadlog.assets.intake.reading import Progress, Readers, Reading, measure, read_file
from dyadlog.schemas.study import Study


def deliver(
    study: Study,
    log: EventLog,
    quarantine: Quarantine,
    landed: Landed,
    readers: Readers,
    *,
    clock: Callable[[], datetime],
    code_version: str,
    blocked: BlockList | None = None,
    reading: Reading | None = None,
    progress: Progress | None = None,
) -> Commit | None:
    """Bring one file into the log.

    Args:
        study: the protocol.
        log: the event log.
        quarantine: the sealed place for held-back lines.
        landed: the file.
        readers: what checks its facts.
        clock: current time, for `received_at` only.
        code_version: version of Dyadlog.
        blocked: keeps those out who were erased.
        reading: the file, if it was read already.
        progress: called with the number of bytes read so far, if it is read here.

    Returns:
        the commit, or None if the log holds this very file (site, name and bytes) already.
    """
    while True:
        after = log.head()
        earlier = log.of_site(landed.site_id)
        if reading is None and any(c.receipt.file_bytes == landed.size for c in earlier):
            # Perhaps known bytes: hashing is cheaper than reading.
            probe = Reader(landed.path, study.protocol.limits)
            measure(probe)
            known = known_as(earlier, landed.name, landed.size, probe.sha256, study.rules_digest)
            if known == "same":
                log.settle()
                return None
            if isinstance(known, Commit):
                reading = Reading(_again(known, landed, earlier), refused=False, facts=none(), held=[])
        if reading is None:
            reading = read_file(study, landed, readers, progress=progress)
        receipt = reading.receipt
        known = known_as(earlier, landed.name, receipt.file_bytes, receipt.file_sha256, study.rules_digest)
        if known == "same":
            log.settle()
            return None
        common: dict[str, Any] = {
            "received_at": clock(),
            "rules_digest": study.rules_digest,
            "code_version": code_version,
        }
        try:
            if isinstance(known, Commit):
                return log.append(after, "duplicate_delivery", _again(known, landed, earlier), **common)
            if reading.refused:
                return log.append(after, "rejected_file", receipt, **common)
            # What another writer does in the meantime may be an erasure: all this is decided anew on each head.
            out = blocked.of_site(log.layout, landed.site_id) if blocked else None
            allowed = leave_out(reading, out) if out else reading
            sealed = quarantine.keep(landed.site_id, allowed.held) if allowed.held else None
            facts, receipt = mark_duplicates(log, earlier, _hashed(allowed, quarantine), allowed.receipt)
            stored = tuple(
                log.put_segment(part.data, part.rows, part.root)
                for part in segment.encode_all(facts, allowed.facts["client_id"])
            )
            return log.append(after, "delivery", receipt, segments=stored, quarantine_sha256=sealed, **common)
        except RacedError:
            continue


def _again(first: Commit, landed: Landed, earlier: Sequence[Commit]) -> Receipt:
    """Receipt of a delivery whose bytes are known: what was accepted or released since is a duplicate now, unless it was erased."""
    told, later = first.receipt, releases(earlier, first.seq)
    released = sum(c.receipt.lines for c in later)
    commits = {first.seq, *(c.seq for c in later)}
    less = [one for c in earlier if c.change for one in c.change.less if one.commit in commits]
    gone, let_in = sum(one.lines for one in less), sum(one.accepted + one.duplicate for one in less)
    return replace(
        told,
        file_name=landed.name,
        accepted=0,
        duplicate=told.accepted + told.duplicate + released - let_in,
        held_back=told.held_back - released + let_in,
        codes=told.codes | ({CODE: gone} if gone else {}),
        fields=told.fields | ({f"{CODE}@client_id": gone} if gone else {}),
    )


def _hashed(reading: Reading, quarantine: Quarantine) -> pl.DataFrame:
    """The facts, with a keyed hash of the text of those that are held back."""
    if not reading.held:
        return reading.facts
    hashes = pl.DataFrame(
        {
            "line_number": [one.line_number for one in reading.held],
            "fact_number": [one.fact for one in reading.held],
            "line_hash": [quarantine.line_hash(one.text) for one in reading.held],
        },
        schema={"line_number": pl.Int64, "fact_number": pl.Int32, "line_hash": pl.Binary},
    )
    return (
        reading.facts.drop("line_hash")
        .join(hashes, on=["line_number", "fact_number"], how="left", maintain_order="left")
        .select(list(segment.SCHEMA))
    )
