"""What sites would have been told if today's rules had been in force when their deliveries came.

All deliveries up to a night are received once more, by the rules of today, into a study that lives for a moment; what is
found there is held against what the sites were told on that night (`findings.json`). Nothing of the study changes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args

import duckdb
import polars as pl

from dyadlog.assets.event_log import segment
from dyadlog.assets.event_log.log import EventLog, Head
from dyadlog.assets.event_log.records import Commit, Less, Receipt
from dyadlog.assets.event_log.rows import places, rows_sql
from dyadlog.assets.event_log.standing import voided
from dyadlog.assets.intake.deliver import deliver
from dyadlog.assets.intake.files import FileRefusedError, Landed, Reader
from dyadlog.assets.intake.reading import Readers
from dyadlog.assets.intake.receive import at_work, open_block_list, open_log, open_quarantine
from dyadlog.assets.quality.expectations import run_expectations
from dyadlog.assets.quality.facts import opened, read_findings
from dyadlog.assets.quality.life import OPEN
from dyadlog.assets.quality.record import Record, Told, read_earlier
from dyadlog.assets.version import code_version
from dyadlog.assets.warehouse.build import build_all
from dyadlog.schemas.errors import UserError
from dyadlog.schemas.study import Study

How = Literal["appears", "vanishes", "changes"]
HOWS: tuple[How, ...] = get_args(How)


@dataclass(frozen=True)
class Difference:
    """A finding that today's rules would change.

    Args:
        site_id: the site.
        code: reason code.
        subject: what the code is about.
        how: `appears` or `vanishes` among what is open, or `changes` its count or outcome.
        then: as the site was told; None if it was not.
        now: by the rules of today; None if it is not there.
    """

    site_id: str
    code: str
    subject: str
    how: How
    then: Told | None
    now: Told | None


@dataclass(frozen=True)
class Preview:
    """What today's rules would change.

    Args:
        night: the night with which they are compared.
        rules_then: digest of study.yaml, and what it names, of that night.
        code_then: Dyadlog of that night.
        deliveries: deliveries that count.
        as_logged: of these, deliveries whose file is not in the landing folder any more: their lines stay as they were judged.
        strangers: sites without a record of that night; they are not compared.
        differences: findings that would change, those that appear first.
    """

    night: str
    rules_then: str
    code_then: str
    deliveries: int
    as_logged: int
    strangers: list[str]
    differences: list[Difference]


def preview(study: Study, log: EventLog, against: Head) -> Preview:
    """Compare today's rules with the newest night up to a commit.

    Args:
        study: the study, with the rules of today.
        log: its log.
        against: the commit.

    Raises:
        UserError: no site has a report up to that commit.
    """
    records = _records(study, against)
    if not records:
        raise UserError(
            f"no report up to commit {against.seq} is in {study.folder / 'reports'}: there is nothing to compare with"
        )
    told = next(iter(records.values()))
    with TemporaryDirectory(prefix="dyadlog-") as place:  # readable by the owner only
        protocol = study.protocol.model_copy(update={"log_storage": None})
        scratch = replace(study, folder=Path(place), protocol=protocol)
        deliveries, as_logged = _received_again(study, log, scratch, told.commit_seq)
        built = build_all(scratch, open_log(scratch), expectations=run_expectations)
        with opened(built.path) as duck:
            found = [
                one
                for site_id, record in records.items()
                for one in _differences(site_id, record, _now(duck, site_id))
            ]
    return Preview(
        night=told.night,
        rules_then=told.rules_digest,
        code_then=told.code_version,
        deliveries=deliveries,
        as_logged=as_logged,
        strangers=[site_id for site_id in study.site_ids if site_id not in records],
        differences=sorted(found, key=lambda one: (HOWS.index(one.how), one.site_id, one.code, one.subject)),
    )


def _records(study: Study, against: Head) -> dict[str, Record]:
    """What the sites were told on the newest night up to a commit."""
    found = {}
    for site_id in study.site_ids:
        earlier, _ = read_earlier(study.folder / "reports" / site_id, against.seq + 1)
        if earlier:
            found[site_id] = earlier[-1]
    newest = max((record.commit_seq for record in found.values()), default=0)
    return {site_id: record for site_id, record in found.items() if record.commit_seq == newest}


def _now(duck: duckdb.DuckDBPyConnection, site_id: str) -> dict[tuple[str, str], Told]:
    return {
        (f.code, f.subject): Told(f.code, f.subject, f.outcome, f.n_violated, f.n_denominator)
        for f in read_findings(duck, site_id)
    }


def _differences(site_id: str, record: Record, now: Mapping[tuple[str, str], Told]) -> Sequence[Difference]:
    then = {(told.code, told.subject): told for told in record.findings}
    found = []
    for key in sorted(then.keys() | now.keys()):
        before, after = then.get(key), now.get(key)
        was, is_open = (told is not None and told.outcome in OPEN for told in (before, after))
        same = before and after and (before.outcome, before.n) == (after.outcome, after.n)
        if not (was or is_open) or same:
            continue
        how: How = "changes" if was and is_open else "appears" if is_open else "vanishes"
        found.append(Difference(site_id, *key, how, before, after))
    return found


def _received_again(study: Study, log: EventLog, scratch: Study, upto: int) -> tuple[int, int]:
    """Receive all files up to a commit once more, at the times they came; how many, and how many of them as logged."""
    commits = log.commits()[:upto]
    gone = voided(commits)
    again, blocked = open_log(scratch), open_block_list(study)
    seen, as_logged = 0, 0
    number: dict[int, int] = {}
    with at_work(scratch, again), closing(Readers(scratch)) as readers:
        for commit in commits:
            if commit.seq in gone or commit.kind in ("void", "erasure", "compaction"):
                continue
            if commit.kind == "release":
                # Where the file was read again, its lines were judged anew.
                assert commit.act
                if number.get(commit.act.commits[0]):
                    _as_logged(log, again, commit, number)
                continue
            seen += 1
            # Of a file with lines of an erased person the log has all that may still be used.
            landed = None if _less(log, commit) else _landed(study, commit.receipt)
            if landed:
                deliver(
                    scratch,
                    again,
                    open_quarantine(scratch),
                    landed,
                    readers,
                    clock=lambda at=commit.received_at: datetime.fromisoformat(at),  # type: ignore[misc]
                    code_version=code_version(),
                    blocked=blocked,
                )
            else:
                as_logged += 1
                number[commit.seq] = _as_logged(log, again, commit, number)
    return seen, as_logged


def _less(log: EventLog, commit: Commit) -> list[Less]:
    """What was taken out of a commit, with persons who were erased."""
    return [one for c in log.layout.changes if c.change for one in c.change.less if one.commit == commit.seq]


def _landed(study: Study, told: Receipt) -> Landed | None:
    """The file of a receipt, if it lies in the landing folder still."""
    path = study.folder / "landing" / told.site_id / told.file_name
    reader = Reader(path, study.protocol.limits)
    try:
        reader.drain()
    except FileRefusedError:
        if told.codes.keys() & {"FILE_IS_LINK", "FILE_TOO_LARGE"} and path.exists():
            return Landed(told.site_id, path, told.file_bytes, (0, 0, 0))
        return None
    return Landed(told.site_id, path, reader.size, (0, 0, 0)) if reader.sha256 == told.file_sha256 else None


def _as_logged(log: EventLog, again: EventLog, commit: Commit, number: Mapping[int, int]) -> int:
    """Take a commit over as it stands; the number that it gets."""
    less = _less(log, commit)
    names = ("lines", "facts", "accepted", "duplicate", "held_back")
    receipt = replace(
        commit.receipt,
        **{name: getattr(commit.receipt, name) - sum(getattr(one, name) for one in less) for name in names},
    )
    facts = _facts(log, commit, number)
    about: dict[str, Any] = {}
    if commit.act:
        about["act"] = replace(commit.act, commits=tuple(number[seq] for seq in commit.act.commits))
    made = again.append(
        again.head(),
        commit.kind,
        receipt,
        received_at=datetime.fromisoformat(commit.received_at),
        rules_digest=commit.rules_digest,
        code_version=commit.code_version,
        segments=tuple(
            again.put_segment(part.data, part.rows, part.root)
            for part in segment.encode_all(facts, facts["client_id"])
        ),
        **about,
    )
    return made.seq


def _facts(log: EventLog, commit: Commit, number: Mapping[int, int]) -> pl.DataFrame:
    """The rows of a commit as the log has them, in the columns of a segment; places in other commits by their new numbers."""
    place = places(log, [commit])
    if place.is_empty():
        return pl.DataFrame(schema=segment.SCHEMA)
    with duckdb.connect() as duck:
        duck.register("place", place.to_arrow())
        rows = duck.execute(
            f"select * from ({rows_sql(place['file'], 'place')}) order by line_number, fact_number"
        ).pl()
    moved = pl.DataFrame(
        {"first": list(number), "moved": list(number.values())},
        schema={"first": pl.Int64, "moved": pl.Int64},
    )
    return (
        rows.with_columns(pl.col("same_as").list.first().alias("first"))
        .join(moved, on="first", how="left", maintain_order="left")
        .with_columns(
            pl.when(pl.col("moved").is_not_null())
            .then(pl.concat_list("moved", pl.col("same_as").list.slice(1)))
            .alias("same_as"),
            pl.lit(None, pl.Binary).alias("salt"),
            pl.lit(0, pl.Int32).alias("part"),
        )
        .select(list(segment.SCHEMA))
        .cast(segment.SCHEMA)  # type: ignore[arg-type]
    )
