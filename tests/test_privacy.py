"""Law: no value of a refused record leaves the quarantine: not in logs, errors, reports, marts or run metadata."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from dyadlog.orchestration.guard import StepFailedError, guarded
from tests.conftest import Lab, client, phq, session

MARKERS = [f"Zq{number:02d}xMarker" for number in range(50)]


def _bad_files(lab: Lab) -> None:
    """Fifty marker values in every place where bad input can carry one."""
    m = iter(MARKERS)
    good = [client(), session(1), phq(1, 1)]
    base = phq(2, 1)

    def line(**more: object) -> dict[str, object]:
        return {**base, "event_id": f"e-{next(m)} !", **more}

    def payload(**more: object) -> dict[str, object]:
        return {**base, "payload": {**base["payload"], **more}}

    bad: list[object] = [line() for _ in range(5)]
    for name in ("client_id", "therapist_id", "episode_id", "actor_id"):
        bad.append({**base, name: f"{next(m)} Meier"})
    for name in ("revision", "session_number", "study_day", "op", "actor_role", "reason_code", "occurred_at"):
        bad.append({**base, name: next(m)})
    bad += [{**base, next(m): 1}, {**base, next(m): {"deep": next(m)}}, {**base, "event_type": next(m)}]
    bad += [{**base, "site_id": next(m)}, {**base, "payload": next(m)}, {**base, "payload": [next(m)]}]
    for name in (
        "instrument",
        "version",
        "rater",
        "occasion",
        "claimed_total",
        "seconds",
        "medium",
        "missing",
    ):
        bad.append(payload(**{name: next(m) + "?"}))
    bad += [payload(items={"1": next(m)}), payload(items={next(m): 1}), payload(items=[next(m)])]
    bad += [payload(items={"1": 1}, missing={"1": next(m)}), payload(**{next(m): 1})]
    text = "".join(json.dumps(event) + "\n" for event in [*good, *bad])
    text += f"{next(m)} is no JSON\n" + f'{{"event_id": "{next(m)}",}}\n' + f'{{"a": "{next(m)}", "a": 1}}\n'
    lab.drop("site-a", "bad.ndjson", text)
    lab.drop("site-a", "latin.ndjson", (next(m) + "ü").encode("latin-1"))
    lab.drop("site-a", "cut.ndjson.gz", gzip.compress(next(m).encode() * 50)[:-12])
    lab.drop("site-b", "table.csv", f"{next(m)};b\n1;2\n")
    lab.drop("site-b", "unknown.xlsx", next(m))
    rest = list(m)
    assert rest, "some markers must be left for the table"
    head = "client;number;status\n"
    rows = "".join(f"{marker} x;1;held\n" for marker in rest[:2]) + "".join(
        f"c1;1;{marker}\n" for marker in rest[2:4]
    )
    lab.drop("site-c", "visits.csv", head + rows + "".join(f"c1;{marker}\n" for marker in rest[4:]))


MAPPING = """\
files: "visits*.csv"
separator: ";"
events:
  - event_type: session.held
    event_id: {text: "v-{client}-{number}"}
    when: [{column: status, not_in: [never]}]
    envelope:
      client_id: {column: client}
      session_number: {column: number}
    payload:
      format: {column: status, values: {held: in_person}}
"""


def _searched(folder: Path) -> dict[str, bytes]:
    """Every byte a night produced, with compressed formats read out."""
    found = {}
    for path in folder.rglob("*"):
        inside = path.relative_to(folder).parts
        if not path.is_file() or path.is_symlink() or inside[0] in ("landing", "quarantine"):
            continue
        found[str(path.relative_to(folder))] = path.read_bytes()
        if path.suffix == ".parquet":
            found[f"{path.name} read out"] = str(duckdb.sql(f"from '{path}'").fetchall()).encode()
        if path.suffix == ".duckdb":
            with duckdb.connect(str(path), read_only=True) as duck:
                tables = duck.execute("select schema_name, table_name from duckdb_tables()").fetchall()
                for schema, table in tables:
                    rows = duck.execute(f"from {schema}.{table}").fetchall()
                    found[f"{path.name} {schema}.{table}"] = str(rows).encode()
    return found


def test_no_value_of_a_refused_record_leaves_the_quarantine(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "study")
    study = lab.folder / "study.yaml"
    study.write_text(study.read_text().replace("{id: site-c}", "{id: site-c, mappings: [visits.yaml]}"))
    (lab.folder / "visits.yaml").write_text(MAPPING)
    _bad_files(lab)
    landed = b"".join(
        p.read_bytes() for p in (lab.folder / "landing").rglob("*") if p.is_file() and p.suffix != ".gz"
    )
    assert sum(marker.encode() in landed for marker in MARKERS) >= 49  # the gzip file hides one
    done = subprocess.run(
        [sys.executable, "-m", "dyadlog.orchestration.cli", "night", "-s", str(lab.folder)],
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    produced = _searched(lab.folder) | {"stdout": done.stdout, "stderr": done.stderr}
    assert len(produced) > 20
    assert any(name.startswith("state/dagster") for name in produced)
    assert any(name.startswith("reports/site-a") for name in produced)
    leaks = sorted(
        {(name, marker) for name, data in produced.items() for marker in MARKERS if marker.encode() in data}
    )
    assert leaks == []
    kept = b"".join(p.read_bytes() for p in (lab.folder / "quarantine").rglob("*") if p.is_file())
    assert sum(marker.encode() in kept for marker in MARKERS) >= 40, (
        "held-back lines must be in the quarantine"
    )


def test_the_quarantine_is_readable_by_its_owner_only(lab: Lab) -> None:
    lab.drop("site-a", "1.ndjson", "nonsense\n")
    lab.receive()
    entries = [lab.folder / "quarantine", *(lab.folder / "quarantine").rglob("*")]
    assert entries[1:]
    assert all(entry.stat().st_mode & 0o077 == 0 for entry in entries)


def test_an_unexpected_error_is_named_and_its_text_is_kept_from_view(lab: Lab) -> None:
    with pytest.raises(StepFailedError) as error, guarded(lab.study, "models"):
        raise RuntimeError("the record says Zq99xMarker")
    assert "Zq99xMarker" not in str(error.value)
    assert "RuntimeError" in str(error.value)
    assert error.value.__suppress_context__
    kept = lab.folder / "quarantine/last-error.txt"
    assert "Zq99xMarker" in kept.read_text()
    assert kept.stat().st_mode & 0o077 == 0
