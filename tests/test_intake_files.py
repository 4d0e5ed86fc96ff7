"""Whole files: what is refused, what is counted, what is a duplicate."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dyadlog.assets.intake import files
from dyadlog.assets.intake.files import Reader
from dyadlog.schemas.protocol import Limits
from tests.conftest import Lab
from tests.intake.workbench import Site, form, held, study_in

GOOD = json.dumps(held())


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(study_in(tmp_path, megabytes=8))


def count(receipt: Any) -> tuple[int, int, int, int]:
    return receipt.lines, receipt.accepted, receipt.duplicate, receipt.held_back


# --- refused as a whole ---------------------------------------------------------------------------

BOMB = gzip.compress(b" " * (4 << 20))

REFUSED: dict[str, tuple[str, bytes, str]] = {
    "latin-1": ("a.ndjson", GOOD.encode() + b"\n" + GOOD.replace("c1", "\xe9").encode("latin-1"), "FILE_NOT_UTF8"),
    "utf-16": ("a.ndjson", GOOD.encode("utf-16"), "FILE_NOT_UTF8"),
    "surrogate": ("a.ndjson", GOOD.encode() + b"\n\xed\xa0\x80\n", "FILE_NOT_UTF8"),
    "cut in a character": ("a.ndjson", GOOD.encode() + "é".encode()[:1], "FILE_NOT_UTF8"),
    "late": ("a.ndjson", (GOOD.encode() + b"\n") * 60_000 + b"\xff\n", "FILE_TOO_LARGE"),
    "truncated gzip": ("a.ndjson.gz", gzip.compress(GOOD.encode() * 50)[:-9], "FILE_UNREADABLE"),
    "gzip cut in its header": ("a.ndjson.gz", gzip.compress(GOOD.encode())[:5], "FILE_UNREADABLE"),
    "second member cut": ("a.ndjson.gz", gzip.compress(GOOD.encode()) * 2 + b"\x1f", "FILE_UNREADABLE"),
    "wrong sum": ("a.ndjson.gz", gzip.compress(GOOD.encode())[:-8] + b"\1" * 8, "FILE_UNREADABLE"),
    "no gzip": ("a.ndjson.gz", GOOD.encode(), "FILE_UNREADABLE"),
    "rubbish behind gzip": ("a.ndjson.gz", gzip.compress(GOOD.encode()) + b"rubbish", "FILE_UNREADABLE"),
    "gzip bomb": ("a.ndjson.gz", BOMB, "FILE_TOO_COMPRESSED"),
    "gzip bomb in members": ("a.ndjson.gz", gzip.compress(b" " * 60_000) * 100, "FILE_TOO_COMPRESSED"),
    "gzip that grows": ("a.ndjson.gz", gzip.compress(os.urandom(9 << 20).hex()[: 9 << 20].encode()), "FILE_TOO_LARGE"),
    "unknown ending": ("a.xlsx", b"PK", "FILE_TYPE_UNKNOWN"),
    "another compression": ("a.ndjson.bz2", bz2.compress(GOOD.encode()), "FILE_TYPE_UNKNOWN"),
    "no ending": ("ndjson", GOOD.encode(), "FILE_TYPE_UNKNOWN"),
    "no mapping": ("a.tsv", b"x\ty\n", "FILE_NO_MAPPING"),
    "columns missing": ("a.csv", b"who;nr\nc1;1\n", "FILE_COLUMN_MISSING"),
    "column twice": ("a.csv", b"who;nr;status;how;how\n", "FILE_HEADER_BROKEN"),
    "nameless column": ("a.csv", b"who;nr;status;how;\n", "FILE_HEADER_BROKEN"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refused_file(site: Site, case: str) -> None:
    name, content, code = REFUSED[case]
    receipt = site.send(name, content)
    assert receipt.codes == {code: 1}
    assert receipt.file_bytes == len(content)
    assert count(receipt) == (0, 0, 0, 0)
    assert site.commits[0].kind == "rejected_file"
    if code != "FILE_TOO_LARGE":
        assert receipt.file_sha256 == hashlib.sha256(content).hexdigest()
    assert site.night() == {}, "a refused file is told once"


def test_bytes_and_hash_of_a_file_with_a_fault_far_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "BLOCK", 1 << 20)
    content = (GOOD.encode() + b"\n") * 20_000 + b"\xff\n" + (GOOD.encode() + b"\n") * 20_000
    assert len(content) > 3 * files.BLOCK
    site = Site(study_in(tmp_path))
    receipt = site.send("a.ndjson", content)
    assert receipt.codes == {"FILE_NOT_UTF8": 1}
    assert (receipt.file_bytes, receipt.file_sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_links_pipes_and_folders(site: Site, tmp_path: Path) -> None:
    landing = site.study.folder / "landing" / "site-a"
    secret = tmp_path / "secret.ndjson"
    secret.write_text(GOOD)
    (landing / "link.ndjson").symlink_to(secret)
    (landing / "broken.ndjson").symlink_to(tmp_path / "nowhere")
    os.mkfifo(landing / "pipe.ndjson")
    (landing / "folder.csv").mkdir()
    (landing / ".hidden.ndjson").write_text(GOOD)
    (landing / "copying.ndjson.part").write_text(GOOD)
    receipts = site.night()
    assert {name: receipt.codes for name, receipt in receipts.items()} == {
        "link.ndjson": {"FILE_IS_LINK": 1},
        "broken.ndjson": {"FILE_IS_LINK": 1},
        "pipe.ndjson": {"FILE_IS_LINK": 1},
    }


def test_a_link_that_takes_the_place_of_a_file_is_not_followed(site: Site, tmp_path: Path) -> None:
    path = site.put("a.ndjson", [held()])
    landed = files.scan(site.study).files
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(files.FileRefusedError) as refusal:
        list(Reader(landed[0].path, Limits()).blocks())
    assert refusal.value.code == "FILE_IS_LINK"


def test_an_endless_line_refuses_the_file_wherever_blocks_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "ENDLESS", 5_000)
    limits = Limits(line_kilobytes=1)
    path = tmp_path / "a.ndjson"
    for block in (300, 1_000, 4_999, 100_000):
        monkeypatch.setattr(files, "BLOCK", min(block, 5_000))
        for before in (0, 1, 299, 300, 301, 2_500):
            for length, fits in ((5_000, True), (5_001, False), (9_000, False)):
                path.write_bytes(b"x" * before + b"\n" + b"y" * length + b"\nz\n")
                reader = Reader(path, limits)
                if fits:
                    assert b"".join(reader.blocks()) == path.read_bytes()
                    continue
                with pytest.raises(files.FileRefusedError, match="FILE_UNREADABLE"):
                    list(reader.blocks())


# --- read -----------------------------------------------------------------------------------------


def test_blank_lines_line_ends_and_byte_order_mark(site: Site) -> None:
    one, two, bad = (json.dumps(e) for e in (held(), held(event_id="s2"), held(event_id="s 3")))
    content = b"\xef\xbb\xbf" + f"{one}\r\n\r\n\n{bad}\r\n\n{two}".encode()
    receipt = site.send("a.ndjson", content)
    assert count(receipt) == (3, 2, 0, 1)
    assert receipt.file_bytes == len(content)
    rows = site.rows()
    assert rows["line_number"].to_list() == [1, 4, 6]
    assert rows["status"].to_list() == ["accepted", "held_back", "accepted"]
    assert site.sealed() == {4: bad}


@pytest.mark.parametrize("content", [b"", b"\n", b"\r\n\r\n", b"\xef\xbb\xbf"])
def test_empty_file(site: Site, content: bytes) -> None:
    receipt = site.send("a.ndjson", content)
    assert receipt.codes == {"FILE_EMPTY": 1}
    assert count(receipt) == (0, 0, 0, 0)


def test_table_with_a_header_only(site: Site) -> None:
    receipt = site.send("a.csv", "who;nr;status;how\n")
    assert receipt.codes == {"FILE_EMPTY": 1}


def test_gzip_of_several_members_with_padding(site: Site) -> None:
    lines = [json.dumps(held(event_id=f"s{k}")) + "\n" for k in range(500)]
    text = "".join(lines).encode()
    members = [gzip.compress(text[k : k + 700]) for k in range(0, len(text), 700)]
    receipt = site.send("a.ndjson.gz", b"".join(members) + b"\0" * 100)
    assert count(receipt) == (500, 500, 0, 0)


@pytest.mark.parametrize("block", [3, 4, 7, 100, 1 << 20])
@pytest.mark.parametrize("packed", [False, True])
def test_reading_does_not_depend_on_where_blocks_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, packed: bool
) -> None:
    monkeypatch.setattr(files, "BLOCK", block)
    monkeypatch.setattr(files, "GZIP_PIECE", block)
    text = b"\xef\xbb\xbf" + "ä\n\r\nüü€\r\n\n𝄞𝄞𝄞 x\nlast".encode()
    path = tmp_path / ("a.txt.gz" if packed else "a.txt")
    data = (
        gzip.compress(text[:9]) + gzip.compress(b"") + gzip.compress(text[9:]) + b"\0\0" if packed else text
    )
    path.write_bytes(data)
    reader = Reader(path, Limits())
    blocks = list(map(bytes, reader.blocks()))
    assert b"".join(blocks) == text[3:]
    assert all(part.endswith(b"\n") for part in blocks[:-1])
    assert (reader.size, reader.sha256) == (len(data), hashlib.sha256(data).hexdigest())


# --- duplicates -----------------------------------------------------------------------------------


def test_the_same_fact_twice_in_a_file(site: Site) -> None:
    receipt = site.send(
        "a.ndjson", [held(), held(), held(revision=1), held(session_number=4), held(revision=2)]
    )
    assert count(receipt) == (5, 3, 2, 0)
    rows = site.rows().select("line_number", "status", "event_id", "client_id").rows()
    assert rows == [
        (1, "accepted", "s1", "c1"),
        (2, "duplicate", "s1", None),
        (3, "duplicate", "s1", None),
        (4, "accepted", "s1", "c1"),
        (5, "accepted", "s1", "c1"),
    ]


SAME = [
    held(op="assert", revision=1, schema_version=1, site_id="site-a"),
    held(
        therapist_id=None, payload={"duration_minutes": 50, "format": "phone", "absence_also_recorded": None}
    ),
    dict(reversed(held().items())),
]
OTHER = [
    held(client_id="c2"),
    held(payload={"format": "phone"}),
    held(payload={"format": "phone", "duration_minutes": 51}),
    held(op="retract", reason_code="other"),
    held(study_day=0),
]


@pytest.mark.parametrize("again", SAME)
def test_the_same_fact_in_another_file(site: Site, again: dict[str, Any]) -> None:
    site.send("a.ndjson", [held()])
    assert count(site.send("b.ndjson", [again, json.dumps(again, separators=(" ,", "  :"))])) == (2, 0, 2, 0)


@pytest.mark.parametrize("other", OTHER)
def test_another_content_under_the_same_key_is_accepted(site: Site, other: dict[str, Any]) -> None:
    site.send("a.ndjson", [held()])
    assert count(site.send("b.ndjson", [other, held(), other])) == (3, 1, 2, 0)
    assert count(site.send("c.ndjson", [held(), other, held(event_id="s2")])) == (3, 1, 2, 0)


def test_answers_are_the_same_whatever_order_and_notation(site: Site) -> None:
    site.send("a.ndjson", [form({"1": 3, "2": None, "3": 4})])
    payload = json.dumps(form()["payload"] | {"items": 0, "missing": {}}).replace(
        '"items": 0', '"items": {"3":4.0,"1":3e0}'
    )
    line = json.dumps(form() | {"payload": 0}).replace('"payload": 0', f'"payload": {payload}')
    assert count(site.send("b.ndjson", [line])) == (1, 0, 1, 0)


def test_a_held_back_line_is_no_earlier_statement(site: Site) -> None:
    assert count(site.send("a.ndjson", [held(colour=1), held()])) == (2, 1, 0, 1)


def test_the_same_bytes_under_another_name(site: Site) -> None:
    site.send("a.ndjson", [held(), held(), held(event_id="s 2")])
    receipt = site.send("b.ndjson", [held(), held(), held(event_id="s 2")])
    assert count(receipt) == (3, 0, 2, 1)
    assert site.commits[0].kind == "duplicate_delivery"
    assert site.commits[0].segments == ()


def test_one_event_id_for_all_lines_takes_no_longer(site: Site) -> None:
    """A site that sends its client id as event id: all pairs of lines would be 400 million."""
    lines = [
        held(event_id="c1", session_number=1 + k % 9_000, payload={"duration_minutes": 1 + k % 600})
        for k in range(20_000)
    ]
    assert count(site.send("a.ndjson", lines)) == (20_000, 9_000, 11_000, 0)


def test_a_wrong_value_among_thousands_of_others_is_found(site: Site) -> None:
    lines = [held(event_id=f"e{k}", session_number=1 + k % 9_000) for k in range(12_000)]
    lines[7_000]["event_id"] = "not an id"
    lines[9_000]["session_number"] = 10_000
    receipt = site.send("a.ndjson", lines)
    assert receipt.codes == {"VALUE_NOT_ID": 1, "VALUE_OUT_OF_RANGE": 1}
    assert receipt.accepted == 11_998


# --- accounts -------------------------------------------------------------------------------------


def test_nothing_of_a_held_back_line_but_its_number_is_in_the_log(site: Site) -> None:
    site.send(
        "a.ndjson", [held(client_id="SECRET 1", event_id="SECRET-2", payload={"SECRET-3": 1}), "SECRET-4"]
    )
    row = site.rows()
    kept = {"line_number", "fact_number", "site_id", "status", "codes", "line_hash", "salt", "part", "commit"}
    assert all(row[name].null_count() == 2 for name in row.columns if name not in kept)
    stored = b"".join(path.read_bytes() for path in (site.study.folder / "log").rglob("*") if path.is_file())
    assert b"SECRET" not in stored


def test_codes_are_counted_by_line(site: Site) -> None:
    receipt = site.send("a.ndjson", [form({"1": 9, "2": 9}), form({"1": 9}), held(revision=0, colour=1), "x"])
    assert receipt.codes == {
        "ANSWER_OUT_OF_RANGE": 2,
        "VALUE_OUT_OF_RANGE": 1,
        "FIELD_UNKNOWN": 1,
        "LINE_NOT_JSON": 1,
    }
    assert receipt.fields == {
        "ANSWER_OUT_OF_RANGE@items.1": 2,
        "ANSWER_OUT_OF_RANGE@items.2": 1,
        "VALUE_OUT_OF_RANGE@revision": 1,
        "FIELD_UNKNOWN@envelope": 1,
        "LINE_NOT_JSON@line": 1,
    }
    held_rows = site.rows().filter(pl.col.status == "held_back")
    assert held_rows["line_hash"].null_count() == 0


def test_a_missing_column_is_named_as_the_mapping_names_it(lab: Lab) -> None:
    (lab.folder / "m.yaml").write_text(
        'files: "*.csv"\nseparator: ";"\nevents:\n  - event_type: session.held\n    event_id: {text: "v-{number}"}\n'
        "    envelope: {client_id: {column: client}, session_number: {column: number}}\n"
    )
    study = lab.folder / "study.yaml"
    study.write_text(study.read_text().replace("{id: site-a}", "{id: site-a, mappings: [m.yaml]}"))
    lab.drop("site-a", "visits.csv", "client;session_no_of_Meier\nc1;1\n")
    (commit,) = lab.receive()
    assert commit.receipt.fields == {"FILE_COLUMN_MISSING@number": 1}
