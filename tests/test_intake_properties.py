"""Intake against random input: accounts, independence of lines, agreement with a second implementation."""

from __future__ import annotations

import gzip
import json
import random
import tempfile
from contextlib import closing
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from dyadlog.assets.intake import files, reading
from dyadlog.assets.intake.files import scan
from dyadlog.assets.intake.reading import Readers, read_file
from dyadlog.schemas.study import Study
from tests.conftest import LONG
from tests.intake.oracle import reasons
from tests.intake.workbench import SITE, Site, form, held, judge, judge_each, study_in

SEEDS: list[dict[str, Any]] = [
    held(),
    held(site_id=SITE, revision=2, op="correct", reason_code="other", study_day=-3, actor_role="clinician"),
    held(event_type="treatment.ended", payload={"initiator": "client", "planned": True, "reason": None}),
    held(op="retract", reason_code="data_entry_error", payload={}),
    held(event_type="dyad.formed", therapist_id="t1", payload={}),
    form(),
    form({"1": None, "2": 3.0}, payload={"missing": {"1": "declined"}, "claimed_total": 31.5}),
]
# Bytes that mean something in JSON, and some that should not.
BYTES = [
    *'{}[]",:\\-+.eE0123456789 \t\r',
    "NaN",
    "Infinity",
    "null",
    "true",
    "\u0000",
    "é",
    "\u2028",
    "\\u0061",
    ",,",
    '""',
]
VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 3, 4.5, 1e400, float("nan"), 2**63, 10**70, "", "a", "a b", "3", "é", "x" * 65,
    "nan", "phone", "client", "retract", [], [1], {}, {"1": 3}, {"a": {}}, "2026-01-01T00:00:00Z", "\0", '"', "\\",
]  # fmt: skip
NAMES = [
    "event_id",
    "op",
    "revision",
    "payload",
    "items",
    "missing",
    "1",
    "12",
    "13",
    "format",
    "Event_ID",
    "",
    '"',
]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study_in(tmp_path_factory.mktemp("study"))


def by_bytes(rng: random.Random) -> str:
    """A good line with some characters deleted, inserted or replaced."""
    text = json.dumps(rng.choice(SEEDS), separators=rng.choice([(",", ":"), (", ", ": ")]))
    for _ in range(rng.choice([0, 1, 1, 1, 2, 5])):
        at = rng.randrange(len(text) + 1)
        text = text[:at] + rng.choice(["", rng.choice(BYTES)]) + text[at + rng.choice([0, 1, 1, 3]) :]
    return text.replace("\n", " ")


def by_types(rng: random.Random) -> str:
    """A good line with values of another kind, names that are gone, new or doubled."""
    event = json.loads(json.dumps(rng.choice(SEEDS)))
    for _ in range(rng.choice([1, 1, 2])):
        places = [event, *(v for v in event.values() if isinstance(v, dict))]
        places += [v for place in places[1:] for v in place.values() if isinstance(v, dict)]
        place = rng.choice(places)
        name = rng.choice([*place, rng.choice(NAMES)])
        match rng.randrange(3):
            case 0:
                place.pop(name, None)
            case _:
                place[name] = deepcopy(rng.choice(VALUES))
    text = json.dumps(event, ensure_ascii=rng.random() < 0.5)
    if rng.random() < 0.2 and "{" in text[:-1]:
        at = rng.choice([i for i, c in enumerate(text) if c == "{"]) + 1
        inner = f'"{rng.choice(NAMES[:-1])}":{json.dumps(rng.choice(VALUES))}'
        text = text[:at] + inner + ("" if text[at] == "}" else ",") + text[at:]
    return text.replace("\n", " ")


LINES = st.builds(
    lambda seed, how: how(random.Random(seed)), st.integers(0, 2**48), st.sampled_from([by_bytes, by_types])
)


def compare(study: Study, lines: list[str]) -> None:
    lines = [line for line in lines if line.strip("\r")]
    for line, found in zip(lines, judge(study, lines), strict=True):
        expected = reasons(line, study, SITE)
        assert bool(found) == bool(expected), (line, found, expected)
        assert ("LINE_NOT_JSON@line" in found) == ("LINE_NOT_JSON" in expected), (line, found, expected)


@settings(max_examples=60)
@given(lines=st.lists(LINES, min_size=1, max_size=40))
def test_a_second_implementation_holds_back_the_same_lines(study: Study, lines: list[str]) -> None:
    compare(study, lines)


@pytest.mark.parametrize("seed", range(4))
def test_a_second_implementation_holds_back_the_same_of_many_lines(study: Study, seed: int) -> None:
    rng = random.Random(seed)
    compare(study, [rng.choice([by_bytes, by_types])(rng) for _ in range(3_000)])


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 140))
def test_a_second_implementation_at_length(study: Study, seed: int) -> None:
    rng = random.Random(seed)
    compare(study, [rng.choice([by_bytes, by_types])(rng) for _ in range(20_000)])


@settings(max_examples=25)
@given(lines=st.lists(LINES, min_size=1, max_size=12), rows=st.sampled_from([1, 2, 3, 100]))
def test_a_line_is_judged_without_its_neighbours(study: Study, lines: list[str], rows: int) -> None:
    lines = [line for line in lines if line.strip("\r")]
    alone = judge_each(study, lines)
    assert judge(study, lines) == alone
    assert judge(study, lines[::-1], rows=rows) == alone[::-1]


@settings(max_examples=50)
@given(
    lines=st.lists(
        st.one_of(LINES, st.sampled_from(["", "\r", *(json.dumps(e) for e in SEEDS)])), max_size=40
    ),
    newline=st.sampled_from(["\n", "\r\n"]),
    block=st.sampled_from([64, 1_000, files.BLOCK]),
)
def test_every_line_is_accounted_for(lines: list[str], newline: str, block: int) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "BLOCK", block)
        site = Site(study_in(Path(folder)))
        content = newline.join(lines)
        receipt = site.send("a.ndjson", content)
        data = {
            n: line.rstrip("\r") for n, line in enumerate(content.split("\n"), 1) if line not in ("", "\r")
        }
        assert receipt.lines == len(data) == receipt.accepted + receipt.duplicate + receipt.held_back
        if not data:
            return
        rows = dict(site.rows().select("line_number", "status").rows())
        assert sorted(rows) == sorted(data)
        by_status = {
            s: {n for n, is_s in rows.items() if is_s == s} for s in ("accepted", "duplicate", "held_back")
        }
        assert {s: len(found) for s, found in by_status.items()} == {
            s: getattr(receipt, s) for s in by_status
        }
        assert by_status["held_back"] == {n for n, line in data.items() if reasons(line, site.study, SITE)}
        # Whatever is not in the log as a fact, or as the repetition of one, lies in the quarantine word for word.
        assert site.sealed() == {n: data[n] for n in by_status["held_back"]}


def _some_file(rng: random.Random) -> tuple[str, bytes]:
    """Name and bytes of a file as it may land: events, a table, compressed or not, faulty or not."""
    lines = [rng.choice([by_bytes, by_types])(rng) for _ in range(rng.choice([0, 1, 3, 30]))]
    if rng.random() < 0.3:
        lines = ["who;nr;status;how", *(f"c{n};{rng.choice([1, 'x', ''])};held;p" for n in range(len(lines)))]
        lines[rng.choice([0, -1])] += rng.choice(["", "", ";more", '"'])
        name, content = "f.csv", rng.choice(["\n", "\r\n"]).join(lines).encode()
    else:
        name, content = rng.choice(["f.ndjson", "f.ndjson", "f.pdf"]), "\n".join(lines).encode()
    if rng.random() < 0.2:
        name, content = f"{name}.gz", gzip.compress(content)
    if rng.random() < 0.2:
        content = content[: rng.randrange(len(content) + 1)] + rng.choice([b"", b"\xff"])
    return name, content


@pytest.mark.parametrize("seed", range(100 if LONG else 6))
def test_a_file_is_read_with_others_as_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    rng = random.Random(seed)
    monkeypatch.setattr(reading, "SMALL", 2_000)  # some are too large to be read with others
    monkeypatch.setattr(reading, "_LEAST", 1)
    monkeypatch.setattr(reading, "TOGETHER", rng.choice([1_000, 4_000, 1 << 20]))
    study = study_in(tmp_path)
    for number in range(40):
        name, content = _some_file(rng)
        site = rng.choice(["site-a", "site-b"])
        (tmp_path / "landing" / site / f"{number:02d}-{name}").write_bytes(content)
    landed = scan(study).files
    with closing(Readers(study)) as readers:
        ahead = list(readers.ahead(landed, lambda file: file.size % 5 == 0))
        alone = [read_file(study, file, readers) for file in landed]
    assert [file for file, _ in ahead] == landed
    assert all(found is None for file, found in ahead if file.size % 5 == 0 or file.size > 2_000)
    together = [(found, read) for (_, found), read in zip(ahead, alone, strict=True) if found]
    assert together
    for found, read in together:
        assert found.receipt == read.receipt
        assert found.held == read.held
        assert_frame_equal(found.facts, read.facts)
    left = [read for (_, found), read in zip(ahead, alone, strict=True) if not found]
    assert any(read.refused for read in left)
    assert not any(found.refused for found, _ in together)
