"""What a site was told on a night, kept for good beside its page: `reports/<site>/<night>/findings.json`.

The records are published, not a cache: the life of a finding is told from them. A night that is run again replaces its own
record and no other.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb
from pydantic import TypeAdapter, ValidationError

from dyadlog.assets.quality.facts import Finding, Origin, Outcome

FORMAT = "dyadlog.findings/1"
FILE = "findings.json"

NIGHT = re.compile(r"^(\d{4}-\d{2}-\d{2}|no-delivery)-(\d{6,})$")


@dataclass(frozen=True)
class Told:
    """One finding as it was told.

    Args:
        code: reason code.
        subject: field, measure or expectation that the code is about; empty if none.
        outcome: outcome.
        n: how many violate.
        of: how many were looked at; null if unknown.
    """

    code: str
    subject: str
    outcome: Outcome
    n: int
    of: int | None


@dataclass(frozen=True)
class Answer:
    """A site's answer to a finding, as it stood.

    Args:
        finding_id: the finding.
        note: what the site makes of it.
        role: role of who answered; null if not reported.
        token: changes when the site answers again.
    """

    finding_id: str
    note: str
    role: str | None
    token: str


@dataclass(frozen=True)
class Share:
    """A share by which sites are compared.

    Args:
        indicator: what is counted.
        n: how many.
        of: of how many.
    """

    indicator: str
    n: int
    of: int


@dataclass(frozen=True)
class Said:
    """A night of a site in short.

    Args:
        level: verdict as a code.
        headline: verdict in a few words.
        files: files received on the day of the night.
        sent: their lines.
        accepted: those with something new and nothing refused.
        already_had: those that say what is known already.
        held_back: those that are held back.
        to_correct: reason codes to correct that the site has not answered.
        to_look_at: reason codes to look at, likewise.
        not_checked: reason codes that could not be checked, likewise.
        answered: reason codes that the site has answered.
    """

    level: str
    headline: str
    files: int
    sent: int
    accepted: int
    already_had: int
    held_back: int
    to_correct: int
    to_look_at: int
    not_checked: int
    answered: int


@dataclass(frozen=True)
class Record:
    """What a site was told on one night.

    Args:
        format: name and version of this structure.
        site_id: the site.
        night: name of the night.
        commit_seq: newest commit of the study.
        as_of: when that commit was received; null before the first.
        site_commit: newest commit that is about this site; 0 if there is none.
        code_version: Dyadlog that built the marts.
        rules_digest: study.yaml and what it names.
        findings: all findings.
        answers: the site's answers.
        shares: shares by which sites are compared.
        said: the night in short; null in records of before it was kept.
    """

    format: str
    site_id: str
    night: str
    commit_seq: int
    as_of: str | None
    site_commit: int
    code_version: str
    rules_digest: str
    findings: list[Told]
    answers: list[Answer]
    shares: list[Share]
    said: Said | None = None


_READ = TypeAdapter(Record)


def finding_id(code: str, subject: str) -> str:
    """Name of a finding of a site: always the same for the same code and subject."""
    return "f-" + hashlib.sha256(f"{code}\n{subject}".encode()).hexdigest()[:12]


def record(
    origin: Origin,
    site_id: str,
    site_commit: int,
    findings: Sequence[Finding],
    answers: list[Answer],
    shares: list[Share],
) -> Record:
    """Tonight's record of a site."""
    return Record(
        format=FORMAT,
        site_id=site_id,
        night=origin.night.name,
        commit_seq=origin.night.commit_seq,
        as_of=origin.as_of,
        site_commit=site_commit,
        code_version=origin.code_version,
        rules_digest=origin.rules_digest,
        findings=[Told(f.code, f.subject, f.outcome, f.n_violated, f.n_denominator) for f in findings],
        answers=answers,
        shares=shares,
    )


def read_answers(duck: duckdb.DuckDBPyConnection, site_id: str) -> list[Answer]:
    """A site's answers, one per finding. Of several the one recorded last counts, and then the last by event id."""
    rows = duck.execute(
        "select finding_id, note, actor_role, event_id, revision from quality.acknowledgement where site_id = $site "
        "order by finding_id, recorded_day nulls first, event_id",
        {"site": site_id},
    ).fetchall()
    found: dict[str, Answer] = {}
    said: dict[str, list[str]] = {}
    for name, note, role, event_id, revision in rows:
        said.setdefault(name, []).append(f"{event_id} {revision}")
        # Event ids are the site's own names and stay out of the record.
        token = hashlib.sha256("\n".join(sorted(said[name])).encode()).hexdigest()[:16]
        found[name] = Answer(name, note, role, token)
    return list(found.values())


def site_commit(duck: duckdb.DuckDBPyConnection, site_id: str) -> int:
    """The newest commit that is about a site: with the same one, the site's data are the same."""
    ((seq,),) = duck.execute(
        "select max(commit_seq) from (select site_id, commit_seq from quality.receipt union all "
        "select site_id, commit_seq from quality.act) where site_id = $site",
        {"site": site_id},
    ).fetchall()
    return int(seq or 0)


def to_text(told: Record) -> str:
    """The record as JSON, a finding a line."""
    fields = asdict(told)
    lists = {name: fields.pop(name) for name in ("findings", "answers", "shares")}
    head = json.dumps(fields, ensure_ascii=False)[:-1]
    for name, rows in lists.items():
        lines = ",".join(f"\n{json.dumps(row, ensure_ascii=False)}" for row in rows)
        head += f',\n"{name}": [{lines}]'
    return head + "}\n"


def read_earlier(site: Path, commit_seq: int) -> tuple[list[Record], list[str]]:
    """Records of the nights before a commit, oldest first, and names of nights whose record cannot be read.

    Args:
        site: the site's folder of reports.
        commit_seq: newest commit of the night in question.
    """
    if not site.is_dir():
        return [], []
    nights = [(int(m[2]), m[0]) for entry in site.iterdir() if (m := NIGHT.match(entry.name))]
    found, lost = [], []
    for _, name in sorted(night for night in nights if night[0] < commit_seq):
        try:
            one = _READ.validate_json((site / name / FILE).read_bytes())
        except (OSError, ValidationError):
            lost.append(name)
            continue
        if one.format == FORMAT and (one.site_id, one.night) == (site.name, name):
            found.append(one)
        else:
            lost.append(name)
    return found, lost
