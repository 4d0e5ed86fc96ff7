"""Law: any damage to the log, to what it refers to and to what vouches for it is found, and the file is named."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from dyadlog.assets.event_log import segment
from dyadlog.assets.event_log.footer import stated_rows
from dyadlog.assets.event_log.log import EventLog
from dyadlog.assets.event_log.notes import NoteError, Signer, Verifier
from dyadlog.assets.event_log.records import commit_name
from dyadlog.assets.event_log.storage import LocalStorage
from dyadlog.assets.event_log.verify import verify
from dyadlog.assets.event_log.witness import Witness
from dyadlog.assets.intake.receive import open_log, open_quarantine, open_witness
from dyadlog.orchestration.cli import app
from dyadlog.orchestration.reports import write_reports
from dyadlog.orchestration.watch import Watcher
from dyadlog.schemas.errors import LogDamagedError, UserError
from tests.conftest import LONG, Lab, client, phq, session
from tests.test_log import append

DAMAGES = 20_000 if LONG else 1_000
PAGE = 512


def prove(lab: Lab, since: int = 0) -> int:
    study = lab.study
    return verify(
        open_log(study), since=since, witness=open_witness(study), quarantine=open_quarantine(study)
    )


def damage(lab: Lab, since: int = 0) -> str:
    with pytest.raises(LogDamagedError) as error:
        prove(lab, since)
    return str(error.value)


def deliver(lab: Lab, number: int) -> None:
    for site in ("site-a", "site-b"):
        events = [client(), session(number), phq(number, number % 4), {"event_id": f"bad-{site}-{number}"}]
        lab.drop(site, f"{number}.ndjson", events)
    lab.receive()


@pytest.fixture
def told(lab: Lab) -> Lab:
    for number in (1, 2, 3):
        deliver(lab, number)
    return lab


# --- the form of notes and keys ---------------------------------------------------------------

# The example of the reference implementation (golang.org/x/mod/sumdb/note).
GO_VERIFIER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW\n"
GO_SIGNER = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz\n"
GO_TEXT = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
)
GO_NOTE = (
    f"{GO_TEXT}\n— PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)


def test_notes_are_those_of_the_go_checksum_database() -> None:
    assert Signer(GO_SIGNER).note(GO_TEXT) == GO_NOTE
    assert Signer(GO_SIGNER).verifier == GO_VERIFIER
    assert Verifier(GO_VERIFIER).text_of(GO_NOTE) == GO_TEXT


def test_a_note_with_any_letter_changed_is_refused() -> None:
    for at, letter in enumerate(GO_NOTE):
        with pytest.raises(NoteError):
            Verifier(GO_VERIFIER).text_of(GO_NOTE[:at] + chr(ord(letter) ^ 1) + GO_NOTE[at + 1 :])
    for note in (GO_NOTE[:-1], GO_NOTE + "\n", GO_NOTE + "x", GO_NOTE[1:], ""):
        with pytest.raises(NoteError):
            Verifier(GO_VERIFIER).text_of(note)


# --- the sweep --------------------------------------------------------------------------------

CLASSES = {
    "commit": "log/commits/*",
    "segment": "log/segments/*",
    "sealed": "quarantine/site-*/*",
    "note": "witness/head.note",
    "verifier": "witness/verifier.txt",
    "key": "keys/signing.key",
}


def corrupt(dice: random.Random, how: str, path: Path, others: list[Path]) -> list[Path]:
    """Damage a file. Returns the files that are not what they were."""
    data = bytearray(path.read_bytes())
    if how == "flip":
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    elif how == "truncate":
        del data[dice.randrange(len(data)) :]
    elif how == "zero":
        start = dice.randrange(0, len(data), PAGE)
        data[start : start + PAGE] = bytes(len(data[start : start + PAGE]))
    elif how == "extend":
        data += dice.randbytes(dice.randint(1, 2 * PAGE)) if dice.random() < 0.7 else b"\n"
    elif how == "delete":
        path.unlink()
        return [path]
    elif how == "swap":
        other = dice.choice(others)
        theirs = other.read_bytes()
        other.write_bytes(data)
        path.write_bytes(theirs)
        return [path, other] if theirs != data else []
    changed = path.read_bytes() != data
    path.write_bytes(data)
    return [path] if changed else []


def test_every_damage_is_found_and_named(told: Lab) -> None:
    dice = random.Random(0)
    files = {kind: sorted(told.folder.glob(pattern)) for kind, pattern in CLASSES.items()}
    every = [path for paths in files.values() for path in paths]
    before = {path: path.read_bytes() for path in every}
    assert prove(told) == 6
    tried: Counter[tuple[str, str]] = Counter()
    while tried.total() < DAMAGES:
        kind, how = (
            dice.choice(list(CLASSES)),
            dice.choice(["flip", "flip", "truncate", "zero", "extend", "delete", "swap"]),
        )
        path = dice.choice(files[kind])
        peers = [other for other in files[kind] if other != path] or [
            other for other in every if other != path
        ]
        changed = corrupt(dice, how, path, peers)
        if not changed:
            continue
        said = damage(told)
        assert any(file.name in said for file in changed), f"{kind}, {how}: {said}"
        if kind in ("segment", "sealed"):
            assert said.startswith("commit ")
        tried[kind, how] += 1
        for file in changed:
            file.write_bytes(before[file])
    assert prove(told) == 6
    assert len(tried) == len(CLASSES) * 6


def test_every_bit_of_a_commit_that_no_later_one_vouches_for(lab: Lab) -> None:
    deliver(lab, 1)
    note = (lab.folder / "witness/head.note").read_bytes()
    lab.drop("site-c", "1.ndjson", [client()])
    lab.receive()
    (lab.folder / "witness/head.note").write_bytes(note)  # the night was killed before it signed the head
    assert prove(lab) == 3
    path = lab.folder / "log" / commit_name(3)
    data = path.read_bytes()
    for at in range(len(data)):
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert path.name in damage(lab)
    for more in (b" ", b"\n", data):
        path.write_bytes(data + more)
        assert path.name in damage(lab)


# --- cut and forged ends ----------------------------------------------------------------------


def test_a_log_that_was_cut_off_is_found_by_verify_and_by_the_night(told: Lab) -> None:
    for seq in (5, 6):
        (told.folder / "log" / commit_name(seq)).unlink()
    said = "commits/000000000005.json is missing: the log ends with commit 4, its signed head is commit 6"
    assert damage(told) == said
    with pytest.raises(LogDamagedError, match=said):
        deliver(told, 4)


def test_a_forged_commit_is_found_by_verify_and_by_the_night(told: Lab) -> None:
    append(EventLog(LocalStorage(told.folder / "log")), "forged")
    said = "commits/000000000007.json: not signed with the study's key"
    assert damage(told) == said
    with pytest.raises(LogDamagedError, match=said):
        deliver(told, 4)


def test_an_end_written_anew_by_somebody_without_the_key_is_found(told: Lab, tmp_path: Path) -> None:
    (told.folder / "log" / commit_name(6)).unlink()
    stranger = Witness(tmp_path / "stranger", "lab")
    log = EventLog(LocalStorage(told.folder / "log"), sign=stranger.sign)
    append(log, "forged")
    append(log, "forged")
    assert "commits/000000000007.json" in damage(told)


def test_a_witness_that_was_taken_away_is_missed(told: Lab) -> None:
    shutil.rmtree(told.folder / "witness")
    assert "verifier.txt is missing" in damage(told)


def test_a_night_killed_before_it_signs_the_head_is_no_damage(lab: Lab) -> None:
    deliver(lab, 1)
    note = (lab.folder / "witness/head.note").read_bytes()
    deliver(lab, 2)
    (lab.folder / "witness/head.note").write_bytes(note)
    assert prove(lab) == 4
    deliver(lab, 3)
    assert prove(lab) == 6
    assert (lab.folder / "witness/head.note").read_text().splitlines()[1] == "6"


@pytest.mark.parametrize("left", [[], ["keys"], ["keys", "witness/head.note"]])
def test_a_first_night_killed_while_it_makes_the_key(lab: Lab, left: list[str]) -> None:
    deliver(lab, 1)
    made = {name: lab.folder / name for name in ("witness/verifier.txt", "witness/head.note", "keys", "log")}
    kept = {name: path for name, path in made.items() if name in left}
    for name, path in made.items():
        if name not in kept:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if "witness/head.note" in kept:  # it vouches for the empty log then
        key = Signer((lab.folder / "keys/signing.key").read_text())
        kept["witness/head.note"].write_text(key.note(f"dyadlog/lab\n0\n{'0' * 64}\n"))
    shutil.rmtree(lab.folder / "state")
    deliver(lab, 1)
    assert prove(lab) == 2


def test_a_lost_key_is_said_with_the_way_out(told: Lab) -> None:
    (told.folder / "keys/signing.key").unlink()
    with pytest.raises(UserError, match=r"^keys/signing.key is missing: put it back from a backup; or move"):
        deliver(told, 4)
    shutil.rmtree(told.folder / "witness")
    deliver(told, 4)
    assert prove(told) == 8


def test_the_key_is_the_owners_alone(told: Lab) -> None:
    key = told.folder / "keys/signing.key"
    assert (key.stat().st_mode & 0o777, key.parent.stat().st_mode & 0o777) == (0o600, 0o700)


# --- since, receipts --------------------------------------------------------------------------


def test_since_looks_at_what_is_new(told: Lab) -> None:
    old, new = open_log(told.study).commits()[0], open_log(told.study).commits()[5]
    (told.folder / "log" / old.segments[0].name).unlink()
    assert prove(told, since=4) == 2
    assert old.segments[0].name in damage(told)
    (told.folder / "log" / new.segments[0].name).unlink()
    assert new.segments[0].name in damage(told, since=4)


def test_each_site_report_prints_the_head_and_the_head_proves_itself(told: Lab) -> None:
    told.build()
    write_reports(told.study, Watcher())
    head = open_log(told.study).head()
    receipt = f"{head.seq}:{head.sha256[:16]}"
    for site in told.study.site_ids:
        (night,) = (p for p in (told.folder / "reports" / site).iterdir() if p.is_dir())
        assert receipt in (night / "index.html").read_text()
        assert (
            json.loads((night / "report.json").read_text())["origin"]["night"]["commit_sha256"] == head.sha256
        )
    deliver(told, 4)
    done = CliRunner().invoke(app, ["verify", "-s", str(told.folder), "--receipt", receipt])
    assert done.output.splitlines()[0] == "The receipt is good: commit 6 is in the log"
    other = f"6:{'0' * 16}"
    with pytest.raises(LogDamagedError, match="not the commit that the site has a receipt of"):
        CliRunner().invoke(
            app, ["verify", "-s", str(told.folder), "--receipt", other], catch_exceptions=False
        )


# --- the short way to the number of rows ------------------------------------------------------


def test_rows_are_read_from_the_footer_as_pyarrow_reads_them(told: Lab) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    paths = sorted((told.folder / "log/segments").iterdir())
    for path in paths:
        assert stated_rows(path.read_bytes()) == pq.read_metadata(path).num_rows
    for rows in (0, 1, 63, 64, 200, 20_000):
        data = segment.encode(pl.DataFrame({name: [None] * rows for name in segment.SCHEMA}, segment.SCHEMA))
        assert stated_rows(data) == rows
    other = told.folder / "other.parquet"
    pq.write_table(pa.table({"x": range(300)}), other)
    assert stated_rows(other.read_bytes()) == 300
    assert len(paths) == 6


def test_since_a_commit_that_is_not_there(lab: Lab, dyadlog: Any) -> None:
    lab.drop("site-a", "1.ndjson", [client()])
    lab.receive()
    told = dyadlog("verify", "--since", 2, "-s", lab.folder)
    assert (told.code, told.err) == (2, "error: --since 2: the newest commit is 1\n")
