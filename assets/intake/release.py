"""Held-back lines looked at once more: those that pass today's rules enter as if they had passed at first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl
import pyarrow as pa

from dyadlog.assets.event_log import segment
from dyadlog.assets.event_log.blocked import BlockList
from dyadlog.assets.event_log.log import EventLog, RacedError
from dyadlog.assets.event_log.quarantine import Held, Quarantine
from dyadlog.assets.event_log.records import Act, Commit, Receipt
from dyadlog.assets.event_log.rows import places
from dyadlog.assets.event_log.standing import releases, standing, voided
from dyadlog.assets.intake.account import Tally, none, take
from dyadlog.assets.intake.duplicates import mark_duplicates
from dyadlog.assets.intake.files import FileRefusedError, kind_of
from dyadlog.assets.intake.lines import Lines
from dyadlog.assets.intake.reading import Block, Readers, mapping_of
from dyadlog.assets.intake.tables import TableReader
from dyadlog.schemas.study import Study

_AT_ONCE = 50_000

# Line number -> `CODE@field` of what was said of it.
Remarks = dict[int, set[str]]


@dataclass(frozen=True)
class LookedAt:
    """What became of the held-back lines of one delivery.

    Args:
        delivery: its commit.
        waiting: lines that were still held back.
        commit: the release; None if none of them passes.
    """

    delivery: Commit
    waiting: int
    commit: Commit | None


def release_held(
    study: Study,
    log: EventLog,
    quarantine: Quarantine,
    blocked: BlockList,
    *,
    by: str,
    why: str,
    site_id: str | None = None,
    clock: Callable[[], datetime],
    code_version: str,
) -> Iterator[LookedAt]:
    """Look at all held-back lines again, by the rules and the catalogue of today.

    Each delivery of which some lines pass gets a commit of its own. Deliveries that are voided, and lines that were
    released before, are left alone.

    Args:
        study: the protocol.
        log: the event log.
        quarantine: the sealed place where the lines are.
        blocked: keeps those out who were erased.
        by: who has it done.
        why: the reason.
        site_id: one site only.
        clock: current time, for `received_at` only.
        code_version: version of Dyadlog.

    Yields:
        each delivery of which lines were still held back.
    """
    with closing(Readers(study)) as readers:
        for delivery in standing(log.commits()):
            if delivery.kind != "delivery" or not _sealed(log, delivery):
                continue
            if site_id in (None, delivery.receipt.site_id):
                looked_at = _release(
                    study, log, quarantine, blocked, delivery, readers, (by, why), clock, code_version
                )
                if looked_at:
                    yield looked_at


def _release(
    study: Study,
    log: EventLog,
    quarantine: Quarantine,
    blocked: BlockList,
    delivery: Commit,
    readers: Readers,
    act: tuple[str, str],
    clock: Callable[[], datetime],
    code_version: str,
) -> LookedAt | None:
    told = delivery.receipt
    while True:
        after = log.head()
        digest = _sealed(log, delivery)
        if digest is None:
            return None
        sealed = quarantine.lines(told.site_id, digest)
        earlier = log.of_site(told.site_id)
        done = _released(log, releases(earlier, delivery.seq))
        held = [one for one in sealed if one.line_number not in done]
        waiting = len({one.line_number for one in held if one.fact})
        log.settle()
        if not waiting or delivery.seq in voided(earlier):
            return None
        facts = _judged(study, delivery, held, readers)
        # A row that no rule could read when its client was erased did not say whose it is.
        if out := blocked.of_site(log.layout, told.site_id):
            gone = out.clients(facts["client_id"].drop_nulls().unique().to_list())
            facts = facts.filter(~pl.col("client_id").is_in(list(gone)).fill_null(value=False))
        if facts.is_empty():
            return LookedAt(delivery, waiting, None)
        lines = set(facts["line_number"].to_list())
        codes, fields = _counted(_remarks(facts))
        _, lifted = _counted(_said(held, lines))
        receipt = Receipt(
            told.site_id,
            told.file_name,
            told.file_bytes,
            told.file_sha256,
            lines=len(lines),
            facts=len(facts),
            accepted=len(lines),
            codes=codes,
            fields=fields,
        )
        persons = facts["client_id"]
        facts, receipt = mark_duplicates(log, earlier, facts, receipt)
        stored = tuple(
            log.put_segment(part.data, part.rows, part.root) for part in segment.encode_all(facts, persons)
        )
        try:
            commit = log.append(
                after,
                "release",
                receipt,
                received_at=clock(),
                rules_digest=study.rules_digest,
                code_version=code_version,
                segments=stored,
                act=Act(*act, (delivery.seq,), lifted),
            )
        except RacedError:
            continue
        return LookedAt(delivery, waiting, commit)


def _released(log: EventLog, commits: Iterable[Commit]) -> set[int]:
    """Numbers of the lines that some releases have let in."""
    place = places(log, commits)
    found: set[int] = set()
    for (file,), parts in place.group_by("file"):
        rows = pl.read_parquet(file, columns=["line_number", "part"]).join(parts, on="part", how="semi")
        found.update(rows["line_number"])
    return found


def _sealed(log: EventLog, delivery: Commit) -> str | None:
    """What is left of the lines that were sealed away of a delivery."""
    return log.layout.sealed_now(delivery.receipt.site_id, delivery.quarantine_sha256)


def _judged(study: Study, delivery: Commit, held: list[Held], readers: Readers) -> pl.DataFrame:
    """The facts of those lines that pass now, in the columns of the log."""
    told = delivery.receipt
    if kind_of(told.file_name) == "events":
        blocks = _event_lines(held)
    else:
        blocks = _table_lines(study, delivery, held)
    parts: list[pl.DataFrame] = []
    try:
        for facts in readers.check(told.site_id, blocks):
            take(facts, told.site_id, parts, [], Tally())
    except (
        FileRefusedError
    ):  # there is no mapping for such tables any more, or the columns that it names are not there
        return none()
    return (pl.concat(parts) if parts else none()).filter(pl.col("status") == "accepted")


def _event_lines(held: list[Held]) -> Iterator[Block]:
    for start in range(0, len(held), _AT_ONCE):
        part = held[start : start + _AT_ONCE]
        table = pa.table(
            {
                "line_number": pa.array([one.line_number for one in part], pa.int64()),
                "text": pa.array([one.text for one in part], pa.string()),
            }
        )
        # The strict reader sees them all: where the brackets stand was not kept.
        yield Block(Lines(table, np.arange(len(part))))


def _table_lines(study: Study, delivery: Commit, held: list[Held]) -> Iterator[Block]:
    """The rows are read by the mapping of today, under the header of their table."""
    told = delivery.receipt
    texts = {one.line_number: one.text for one in held}
    numbers = sorted(texts)  # the header comes first
    table = TableReader(mapping_of(study, told.site_id, told.file_name))
    for made in table.read(iter(["".join(f"{texts[number]}\n" for number in numbers).encode()])):
        made.line_number = [numbers[n - 1] for n in made.line_number]
        yield Block.of_table(made)


def _remarks(facts: pl.DataFrame) -> Remarks:
    told = facts.select("line_number", "codes").explode("codes").drop_nulls("codes")
    found: Remarks = {}
    for number, remark in told.iter_rows():
        found.setdefault(number, set()).add(remark)
    return found


def _said(held: list[Held], lines: set[int]) -> Remarks:
    """What was said of some lines when they were held back."""
    found: Remarks = {}
    for one in held:
        if one.line_number in lines:
            found.setdefault(one.line_number, set()).update(one.codes)
    return found


def _counted(remarks: Remarks) -> tuple[dict[str, int], dict[str, int]]:
    """Reason code -> number of lines, and the same by `code@field`."""
    fields = Counter(remark for said in remarks.values() for remark in said)
    codes = Counter(code for said in remarks.values() for code in {remark.split("@")[0] for remark in said})
    return dict(codes), dict(sorted(fields.items()))
