"""What the intake tests share: a study in a folder, well-formed lines, deliveries."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from dyadlog.assets.event_log.log import EventLog
from dyadlog.assets.event_log.quarantine import Quarantine
from dyadlog.assets.event_log.records import Commit, Receipt
from dyadlog.assets.event_log.storage import LocalStorage
from dyadlog.assets.intake.deliver import deliver
from dyadlog.assets.intake.facts import FactReader
from dyadlog.assets.intake.files import scan
from dyadlog.assets.intake.lines import cut
from dyadlog.assets.intake.reading import Readers
from dyadlog.schemas.study import Study, read_study

SITE = "site-a"

STUDY = """
study: bench
title: Bench
time_basis: {basis}
sites:
  - {{id: site-a, mappings: [visits.yaml]}}
  - {{id: site-b}}
limits: {{file_megabytes: {megabytes}, line_kilobytes: {kilobytes}, compression_ratio: 50}}
"""

VISITS = """
files: "*.csv"
separator: ";"
missing: ["", NA]
events:
  - event_type: session.held
    when: [{column: status, in: [held]}]
    event_id: {text: "v-{who}-{nr}"}
    envelope:
      client_id: {column: who}
      session_number: {column: nr}
    payload:
      format: {column: how, values: {p: in_person, t: phone}}
"""


def study_in(folder: Path, *, basis: str = "study_day", megabytes: int = 64, kilobytes: int = 1024) -> Study:
    """A small study with two sites; `site-a` may also send tables."""
    for site in ("site-a", "site-b"):
        (folder / "landing" / site).mkdir(parents=True, exist_ok=True)
    legal = "legal_basis: consent\n" if basis == "absolute" else ""
    text = STUDY.format(basis=basis, megabytes=megabytes, kilobytes=kilobytes) + legal
    (folder / "study.yaml").write_text(text)
    (folder / "visits.yaml").write_text(VISITS)
    return read_study(folder)


def held(**more: Any) -> dict[str, Any]:
    """A session that took place."""
    base = {"event_id": "s1", "event_type": "session.held", "client_id": "c1", "session_number": 3}
    return {**base, "payload": {"format": "phone", "duration_minutes": 50}, **more}


def form(items: Any = None, *, payload: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A WAI-SR filled in by a client."""
    filled: dict[str, Any] = {
        "instrument": "wai-sr",
        "version": "client-1-5",
        "rater": "client",
        "occasion": "post_session",
        "items": {str(k): 1 + k % 5 for k in range(1, 13)} if items is None else items,
        **(payload or {}),
    }
    return {
        "event_id": "w1",
        "event_type": "instrument.completed",
        "client_id": "c1",
        "session_number": 3,
        "payload": filled,
        **more,
    }


def judge(study: Study, lines: list[str], *, rows: int = 32_768) -> list[list[str]]:
    """`CODE@field` of each (not blank) line, read together as one file."""
    with closing(FactReader(study)) as checker:
        return _judge(checker, lines, rows)


def judge_each(study: Study, lines: list[str]) -> list[list[str]]:
    """The same, each line in a file of its own, one after the other by the same reader."""
    with closing(FactReader(study)) as checker:
        return [problems for line in lines for problems in _judge(checker, [line], 1)]


def _judge(checker: FactReader, lines: list[str], rows: int) -> list[list[str]]:
    found: list[list[str]] = []
    for piece in cut(iter(["\n".join(lines).encode()]), rows):
        start = len(found)
        facts = checker.read(SITE, piece.table, piece.odd)
        found += [[] for _ in range(len(facts.frame))]
        for row, code, where in facts.problems:
            found[start + row].append(f"{code}@{where}")
    return [sorted(problems) for problems in found]


def odd_rows(text: str) -> list[int]:
    """Rows that `cut` marks for a second look."""
    return [int(row) for piece in cut(iter([text.encode()])) for row in piece.odd]


def table_of(lines: list[str]) -> pa.Table:
    """Lines as a block."""
    return pa.table({"line_number": pa.array(range(1, len(lines) + 1), pa.int64()), "text": lines})


@dataclass
class Site:
    """A landing folder with a log behind it."""

    study: Study
    commits: list[Commit] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.log = EventLog(LocalStorage(self.study.folder / "log"))
        self.quarantine = Quarantine(LocalStorage(self.study.folder / "quarantine", private=True))

    def put(self, name: str, content: bytes | str | list[Any]) -> Path:
        """Drop a file; a list holds events or ready lines."""
        if isinstance(content, list):
            content = "".join(
                (part if isinstance(part, str) else json.dumps(part)) + "\n" for part in content
            )
        path = self.study.folder / "landing" / SITE / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def night(self) -> dict[str, Receipt]:
        """Deliver what lies there; receipts of new commits by file name."""
        with closing(Readers(self.study)) as readers:
            new = [
                deliver(
                    self.study,
                    self.log,
                    self.quarantine,
                    landed,
                    readers,
                    clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
                    code_version="test",
                )
                for landed in scan(self.study).files
            ]
        self.commits = [commit for commit in new if commit]
        return {commit.receipt.file_name: commit.receipt for commit in self.commits}

    def send(self, name: str, content: bytes | str | list[Any]) -> Receipt:
        """Drop one file and deliver it."""
        self.put(name, content)
        return self.night()[name]

    def rows(self) -> pl.DataFrame:
        """All rows of the log, in order, with the number of their commit."""
        frames = [
            pl.read_parquet(self.log.storage.locate(segment.name)).with_columns(commit=pl.lit(commit.seq))
            for commit in self.log.commits()
            for segment in commit.segments
        ]
        return pl.concat(frames)

    def sealed(self) -> dict[int, str]:
        """Line number -> text of the lines that the last night held back."""
        found: dict[int, str] = {}
        for commit in self.commits:
            if commit.quarantine_sha256:
                path = self.study.folder / "quarantine" / SITE / f"{commit.quarantine_sha256}.ndjson"
                for line in path.read_text().rstrip("\n").split("\n"):
                    entry = json.loads(line)
                    found[entry["line_number"]] = entry["text"]
        return found
