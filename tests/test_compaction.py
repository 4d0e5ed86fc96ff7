"""Law: merging segments changes no answer, can be stopped at any moment, and is proved before it lands."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from dyadlog.assets.event_log import compact as module
from dyadlog.assets.event_log import segment
from dyadlog.assets.event_log.history import history
from dyadlog.assets.event_log.log import Head
from dyadlog.assets.intake.receive import open_log, open_witness
from dyadlog.assets.warehouse.build import build_all
from dyadlog.schemas.errors import LogDamagedError
from tests.conftest import Lab, client, phq, session
from tests.test_erasure import facts_of, lines, prove
from tests.test_order import story
from tests.test_verify import damage


def segments(lab: Lab) -> set[str]:
    return {path.name for path in (lab.folder / "log/segments").iterdir()}


def deliver(lab: Lab, nights: int) -> None:
    dice = random.Random(4)
    for number in range(nights):
        for site, facts in story(1).items():
            lab.drop(site, f"{number}.ndjson", lines(dice.sample(facts, 12)))
        lab.receive()
        lab.clock += timedelta(days=1)


def test_a_study_whose_segments_were_merged_is_the_same_study(lab: Lab, dyadlog: Any) -> None:
    small, plain = Lab(lab.folder.parent / "small"), Lab(lab.folder.parent / "plain")
    for each, setting in ((small, "compaction: {segments: 3, grace_days: 2}\n"), (plain, "")):
        with (each.folder / "study.yaml").open("a") as file:
            file.write(setting)
        deliver(each, 8)
    kinds = [commit.kind for commit in open_log(small.study).commits()]
    assert kinds.count("delivery") == 16
    assert kinds.count("compaction") == 6  # three segments become one, then each two nights again
    assert len(open_log(small.study).layout.files()) == 4
    assert facts_of(small) == facts_of(plain)
    assert prove(small) == 22
    assert prove(plain) == 16
    log, other = open_log(small.study), open_log(plain.study)
    event = story(1)["site-a"][1]["event_id"]
    asked = [
        [(s.delivery_id, s.line_number, s.revision, s.payload) for s in history(each, "site-a", event)]
        for each in (log, other)
    ]
    assert asked[0] == asked[1] != []
    # The marts of now, and those of a night in the middle of what was merged.
    assert small.build().digest == plain.build().digest
    middle = next(c.seq for c in log.commits() if c.receipt.file_name == "4.ndjson")
    then = next(c.seq for c in other.commits() if c.receipt.file_name == "4.ndjson")
    heads = [Head(middle, log.digest_of(middle)), Head(then, other.digest_of(then))]
    digests = [
        build_all(each.study, open_log(each.study), as_of=head).digest
        for each, head in zip((small, plain), heads, strict=True)
    ]
    assert digests[0] == digests[1]
    # A repetition is recognised in the merged segment.
    small.drop("site-a", "again.ndjson", lines(story(1)["site-a"][:5]))
    plain.drop("site-a", "again.ndjson", lines(story(1)["site-a"][:5]))
    (first, *_), (second, *_) = small.receive(), plain.receive()
    assert first.receipt == second.receipt
    assert dyadlog("compact", "-s", plain.folder).out.startswith("site-a: 9 segments before, 1 now\n")
    assert prove(plain) == 19


def test_merged_files_stay_until_their_grace_is_over(lab: Lab) -> None:
    with (lab.folder / "study.yaml").open("a") as file:
        file.write("compaction: {segments: 3, grace_days: 2}\n")
    for number in range(1, 4):
        lab.drop("site-a", f"{number}.ndjson", [client(), session(number), phq(number, 1)])
        lab.receive()
    (merged,) = open_log(lab.study).layout.files()
    assert len(segments(lab)) == 4
    lab.clock += timedelta(days=1)
    lab.receive()
    assert len(segments(lab)) == 4
    lab.clock += timedelta(days=1, seconds=1)
    lab.receive()
    assert segments(lab) == {Path(merged.segment.name).name}
    assert prove(lab) == 4


def test_a_merge_that_would_change_a_row_never_lands(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(1, 4):
        lab.drop("site-a", f"{number}.ndjson", [client(), session(number), phq(number, 1)])
        lab.receive()
    real = segment.encode

    def wrong(frame: pl.DataFrame) -> bytes:
        return real(frame.with_columns(pl.col("study_day").fill_null(0)))

    monkeypatch.setattr(segment, "encode", wrong)
    with pytest.raises(LogDamagedError, match=r"^the merged segment does not hold what was delivered"):
        merge(lab)
    assert prove(lab) == 3


def merge(lab: Lab) -> None:
    log = open_log(lab.study)
    module.compact(log, "site-a", at_least=2, clock=lambda: lab.clock, rules_digest="r", code_version="v")
    open_witness(lab.study).update(log)


def test_damage_is_not_merged_into_a_good_file_and_is_found_in_one(lab: Lab) -> None:
    for number in range(1, 4):
        lab.drop("site-a", f"{number}.ndjson", [client(), session(number), phq(number, 1)])
        lab.receive()
    path = lab.folder / "log" / open_log(lab.study).layout.files()[1].segment.name
    data = path.read_bytes()
    path.write_bytes(data[:100] + b"?" + data[101:])
    with pytest.raises(LogDamagedError, match="has other bytes than were written"):
        merge(lab)
    path.write_bytes(data)
    merge(lab)
    (stored,) = open_log(lab.study).layout.files()
    path = lab.folder / "log" / stored.segment.name
    data = path.read_bytes()
    for broken in (data[:-1], data[:100] + bytes([data[100] ^ 1]) + data[101:]):
        path.write_bytes(broken)
        assert damage(lab).startswith(f"commit 4: {stored.segment.name} has other bytes")
    path.unlink()
    assert damage(lab) == f"commit 4: {stored.segment.name} is missing"
