"""Held-back lines that are released, and deliveries that are voided: as if it had been so from the first."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dyadlog.assets.event_log.history import head_at, history
from dyadlog.assets.event_log.records import Commit
from dyadlog.assets.event_log.verify import verify
from dyadlog.assets.intake.receive import at_work, open_block_list, open_log, open_quarantine, open_witness
from dyadlog.assets.intake.release import release_held
from dyadlog.assets.intake.void import void
from dyadlog.assets.warehouse.build import build_all
from dyadlog.assets.warehouse.explain import explain
from dyadlog.schemas.errors import UserError
from tests.conftest import STUDY, Lab, client, phq, session
from tests.test_erasure import take_out
from tests.test_report import Page, reports


class Steward(Lab):
    """A laboratory in which things are put right later."""

    def release(self, site: str | None = None) -> list[Commit]:
        log = open_log(self.study)
        with at_work(self.study, log):
            seen = release_held(
                self.study,
                log,
                open_quarantine(self.study),
                open_block_list(self.study),
                by="A. Bee",
                why="the rules were wrong",
                site_id=site,
                clock=lambda: self.clock,
                code_version="v",
            )
            return [one.commit for one in seen if one.commit]

    def void(self, site: str, delivery: str) -> Commit:
        log = open_log(self.study)
        with at_work(self.study, log):
            return void(
                self.study,
                log,
                site,
                delivery,
                by="A. Bee",
                why="export of another study",
                clock=lambda: self.clock,
                code_version="v",
            )

    def allow(self, *sessions: str) -> None:
        """Change study.yaml."""
        (self.folder / "study.yaml").write_text(STUDY + "".join(sessions))

    def receipts(self) -> list[tuple[Any, ...]]:
        return self.rows(
            "select file_name, lines, accepted, duplicate, held_back, released, voided_in from quality.receipt "
            "order by commit_seq"
        )


@pytest.fixture
def lab(tmp_path: Path) -> Steward:
    return Steward(tmp_path / "study")


ABSOLUTE = "time_basis: absolute\nlegal_basis: consent\n"


def dated(number: int, **more: Any) -> dict[str, Any]:
    """A session that is held back until the study may keep dates."""
    return session(number, occurred_at="2026-03-01T10:00:00Z", **more)


# --- release ----------------------------------------------------------------------------------------


def test_released_lines_enter_as_if_accepted_at_first_and_once(lab: Steward, tmp_path: Path) -> None:
    first = [client(), session(1), dated(2), phq(2, 2), dated(3), dated(2), "garbage"]
    text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in first)
    lab.drop("site-a", "a.ndjson", text)
    lab.drop("site-a", "b.ndjson", text)  # the same bytes
    lab.drop("site-a", "c.ndjson", [session(1), dated(3), session(4)])
    lab.night()
    assert lab.receipts() == [
        ("a.ndjson", 7, 3, 0, 4, 0, None),
        ("b.ndjson", 7, 0, 3, 4, 0, None),
        ("c.ndjson", 3, 1, 1, 1, 0, None),
    ]
    assert lab.release() == []  # nothing has changed
    before = open_log(lab.study).head()

    lab.allow(ABSOLUTE)
    lab.clock += timedelta(days=1)
    made = lab.release()
    assert [(c.kind, c.receipt.lines, c.receipt.accepted, c.receipt.duplicate) for c in made] == [
        ("release", 3, 2, 1),
        ("release", 1, 0, 1),
    ]
    assert made[0].act
    assert (made[0].act.by, made[0].act.why) == ("A. Bee", "the rules were wrong")
    assert made[0].act.fields == {"TIME_NOT_ALLOWED@occurred_at": 3}
    assert lab.release() == []  # counted once
    lab.receive()
    assert len(open_log(lab.study).commits()) == 5  # nothing is delivered again
    lab.drop("site-a", "d.ndjson", text)
    lab.receive()
    build = lab.build()
    assert lab.receipts() == [
        ("a.ndjson", 7, 5, 1, 1, 3, None),
        ("b.ndjson", 7, 0, 6, 1, 3, None),
        ("c.ndjson", 3, 1, 2, 0, 1, None),
        ("d.ndjson", 7, 0, 6, 1, 0, None),
    ]
    assert lab.rows(
        "select act, about_commit, lines, accepted, duplicate, done_by, why from quality.act"
    ) == [
        ("release", 1, 3, 2, 1, "A. Bee", "the rules were wrong"),
        ("release", 3, 1, 0, 1, "A. Bee", "the rules were wrong"),
    ]
    pages = reports(lab)[1]
    words = Page(pages["site-a"]).words
    assert "24 sent = 6 accepted + 15 already had + 3 held back ✓ balances" in words
    assert "7 lines of this sum had been held back and entered later." in words
    assert "“a.ndjson”: 3 held-back lines released on 15 March 2026 by A. Bee. The rules were wrong." in words
    assert "4 lines released" in Page(pages[""]).words
    held = "select code, n_violated from quality.finding where site_id = 'site-a' and code in ('LINE_NOT_JSON', 'TIME_NOT_ALLOWED')"
    assert lab.rows(held) == [("LINE_NOT_JSON", 1)]
    assert lab.rows("select code, file_name, line_number from quality.correction where line_number > 0") == [
        ("LINE_NOT_JSON", "a.ndjson", 7)
    ]

    other = Steward(tmp_path / "other", STUDY + ABSOLUTE)
    other.drop("site-a", "a.ndjson", text)
    other.drop("site-a", "c.ndjson", [session(1), dated(3), session(4)])
    assert other.night().digest == build.digest

    log = open_log(lab.study)
    told = [
        (one.commit_seq, one.file_name, one.line_number, one.status)
        for one in history(log, "site-a", "held-c1-3")
    ]
    assert told == [(4, "a.ndjson", 5, "accepted"), (5, "c.ndjson", 2, "duplicate")]
    assert verify(log, witness=open_witness(lab.study), quarantine=open_quarantine(lab.study)) == 6
    as_of = build_all(lab.study, log, as_of=head_at(log, str(before.seq)))
    assert as_of.digest != build.digest


def test_rows_of_tables_are_read_by_the_mapping_of_today(lab: Steward) -> None:
    mapping = (
        'files: "*.csv"\nseparator: ";"\nevents:\n'
        '  - event_type: session.held\n    when: [{column: kind, in: [held]}]\n    event_id: {text: "v-{who}-{nr}"}\n'
        "    envelope: {client_id: {column: who}, session_number: {column: nr}}\n"
        "    payload: {format: {column: how, values: {p: in_person}}}\n"
        '  - event_type: client.enrolled\n    aside: true\n    event_id: {text: "e-{who}"}\n'
        "    envelope: {client_id: {column: who}}\n"
    )
    (lab.folder / "m.yaml").write_text(mapping)
    lab.allow()
    study = STUDY.replace("{id: site-a}", "{id: site-a, mappings: [m.yaml]}")
    (lab.folder / "study.yaml").write_text(study)
    lab.drop(
        "site-a",
        "t.csv",
        'kind;who;nr;how\r\n\r\nheld;c1;1;p\r\nheld;c1;2;t\r\nheld;c1;3;"x\r\nseen;c1;4;p\r\n',
    )
    (commit,) = lab.receive()
    assert commit.receipt.codes == {"VALUE_NOT_MAPPED": 1, "LINE_QUOTING": 1, "LINE_NO_RULE": 1}
    (lab.folder / "m.yaml").write_text(
        mapping.replace("{p: in_person}", "{p: in_person, t: phone}").replace("[held]", "[held, seen]")
    )
    (made,) = lab.release()
    assert (made.receipt.lines, made.receipt.facts, made.receipt.accepted) == (2, 4, 2)
    lab.build()
    assert lab.receipts() == [("t.csv", 4, 3, 0, 1, 2, None)]
    told = history(open_log(lab.study), "site-a", "v-c1-4")
    assert [(one.commit_seq, one.line_number) for one in told] == [(2, 6)]
    assert lab.rows("select session_number, format from marts.session order by 1") == [
        (1, "in_person"),
        (2, "phone"),
        (4, "in_person"),
    ]


def test_a_release_brings_no_erased_person_back(lab: Steward) -> None:
    """A row that no rule could read did not say whose it is: the mapping of tomorrow makes the pseudonym of a number."""
    mapping = (
        'files: "*.csv"\nseparator: ";"\nignore: [nr]\nevents:\n'
        '  - event_type: client.enrolled\n    when: [{column: kind, in: [in]}]\n    event_id: {text: "e-{who}"}\n'
        '    envelope: {client_id: {text: "c{who}"}}\n'
    )
    (lab.folder / "m.yaml").write_text(mapping)
    study = STUDY.replace("{id: site-a}", "{id: site-a, mappings: [m.yaml]}")
    (lab.folder / "study.yaml").write_text(study + "consent: {withdrawals: [stop_future, exclude, erase]}\n")
    lab.drop("site-a", "t.csv", "kind;who;nr\nin;17;\nin;18;\nheld;17;1\nheld;18;1\n")
    lab.receive()
    take_out(lab, "c17")
    (lab.folder / "m.yaml").write_text(
        mapping.replace("ignore: [nr]\n", "")
        + '  - event_type: session.held\n    when: [{column: kind, in: [held]}]\n    event_id: {text: "v-{who}"}\n'
        '    envelope: {client_id: {text: "c{who}"}, session_number: {column: nr}}\n'
    )
    (made,) = lab.release()
    assert made.receipt.lines == 1
    lab.build()
    assert lab.rows("select client_id from marts.session") == [("c18",)]


def test_lines_of_a_future_version_enter_when_the_code_knows_it(
    lab: Steward, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The catalogue of yesterday knew session.cancelled in version 1 only."""
    from dyadlog.schemas import catalogue as module

    today = module.catalogue()
    event = today.events["session.cancelled"]
    old = event.model_copy(update={"versions": {1: event.versions[1]}, "upcasts": {}})
    yesterday = today.model_copy(update={"events": {**today.events, "session.cancelled": old}})
    lines = [client(), session(1, kind="cancelled", schema_version=2, payload={"late": True})]
    lab.drop("site-a", "a.ndjson", lines)
    with monkeypatch.context() as then:
        for name in (
            "dyadlog.assets.intake.facts",
            "dyadlog.schemas.frames",
            "dyadlog.assets.event_log.upcast",
        ):
            then.setattr(f"{name}.catalogue", lambda: yesterday)
        (commit,) = lab.receive()
    assert commit.receipt.codes == {"EVENT_VERSION_FUTURE": 1}
    (made,) = lab.release()
    assert made.receipt.accepted == 1
    lab.build()
    assert lab.rows("select session_number, status from marts.session") == [(1, "cancelled")]


# --- void -------------------------------------------------------------------------------------------


def test_a_voided_delivery_counts_no_longer(lab: Steward, tmp_path: Path) -> None:
    right = [client(), session(1), phq(1, 2)]
    wrong = [*right, session(2), phq(2, 3), client("x"), {"event_id": "bad"}]
    lab.drop("site-a", "1-wrong.ndjson", wrong)
    lab.drop("site-a", "2-wrong.ndjson", wrong)
    lab.drop("site-a", "3-right.ndjson", [*right, session(3)])
    lab.night()
    with_it = open_log(lab.study).head()
    digest = lab.build().digest
    ((delivery,),) = lab.rows("select delivery_id from quality.receipt where commit_seq = 1")
    lab.clock += timedelta(days=1)
    made = lab.void("site-a", delivery)
    assert made.act
    assert made.act.commits == (1, 2)
    without = lab.night()
    assert lab.receipts() == [
        ("1-wrong.ndjson", 7, 6, 0, 1, 0, 4),
        ("2-wrong.ndjson", 7, 0, 6, 1, 0, 4),
        ("3-right.ndjson", 4, 1, 3, 0, 0, None),
    ]
    assert lab.rows("select code from quality.finding where code = 'FIELD_MISSING'") == []
    pages = reports(lab)[1]
    words = Page(pages["site-a"]).words
    assert "2 files of this sum, with 14 lines, are voided and count no longer." in words
    assert "“1-wrong.ndjson”: voided on 15 March 2026 by A. Bee. Export of another study." in words
    assert "nothing new tonight, 1 delivery voided" in Page(pages[""]).words
    other = Steward(tmp_path / "other")
    other.drop("site-a", "3-right.ndjson", [*right, session(3)])
    assert other.night().digest == without.digest != digest
    log = open_log(lab.study)
    assert build_all(lab.study, log, as_of=with_it).digest == digest
    assert verify(log, witness=open_witness(lab.study), quarantine=open_quarantine(lab.study)) == 4
    told = [(one.commit_seq, one.status, one.voided_in) for one in history(log, "site-a", "held-c1-1")]
    assert told == [(1, "accepted", 4), (3, "duplicate", None)]
    key = {"site_id": "site-a", "client_id": "c1", "session_number": "1"}
    (why,) = explain(lab.study, log, 4, without.path, "marts.session", key, ["status"])
    assert {(one.commit_seq, one.voided_in) for one in why.events} == {(1, 4)}
    with pytest.raises(UserError, match="voided already, in commit 4"):
        lab.void("site-a", "1")
    with pytest.raises(UserError, match="no delivery of site-b"):
        lab.void("site-b", delivery)
    assert lab.release() == []  # what was held back of it stays out

    # The file lies where it lay, and the memory of the landing folder may be lost: it stays out.
    (lab.folder / "state" / "landing.json").unlink()
    assert lab.receive() == []
    # Under another name the same bytes are a new delivery, and it can be voided again.
    lab.drop("site-a", "4-again.ndjson", wrong)
    (again,) = lab.receive()
    assert (again.kind, again.receipt.accepted, again.receipt.duplicate) == ("delivery", 3, 3)
    assert lab.build().digest == digest_of_all(tmp_path / "all", [wrong, [*right, session(3)]])
    second = lab.void("site-a", delivery)
    assert second.act
    assert second.act.commits == (5,)
    assert lab.build().digest == without.digest


def digest_of_all(folder: Path, files: list[list[dict[str, Any]]]) -> str:
    lab = Steward(folder)
    for number, lines in enumerate(files):
        lab.drop("site-a", f"{number}.ndjson", lines)
    return lab.night().digest


def test_what_was_released_goes_with_its_delivery(lab: Steward) -> None:
    lab.drop("site-a", "a.ndjson", [client(), dated(1)])
    lab.receive()
    lab.allow(ABSOLUTE)
    lab.release()
    lab.night()
    assert lab.rows("select count(*) from marts.session") == [(1,)]
    made = lab.void("site-a", "1")
    assert made.act
    assert made.act.commits == (1, 2)
    lab.build()
    assert lab.rows("select count(*) from marts.session") == [(0,)]


def test_a_rejected_file_cannot_be_voided(lab: Steward) -> None:
    lab.drop("site-a", "a.ndjson", b"\xff\xfe")
    lab.receive()
    with pytest.raises(UserError, match="no delivery of site-a whose lines are in the log"):
        lab.void("site-a", "1")


def test_nights_that_build_one_site_only_see_its_releases(lab: Steward) -> None:
    for number in range(3):
        lab.drop("site-b", f"{number}.ndjson", [client(f"c{number}"), session(1)])
    lab.night()
    for name in ("a", "b"):
        lab.drop("site-a", f"{name}.ndjson", [client(), dated(1)])
    lab.night()
    lab.allow(ABSOLUTE)
    lab.release("site-b")
    lab.night()
    assert lab.rows("select count(*) from marts.session where site_id = 'site-a'") == [(0,)]
    lab.release()
    whole = lab.night().digest
    assert lab.receipts()[3:] == [("a.ndjson", 2, 2, 0, 0, 1, None), ("b.ndjson", 2, 0, 2, 0, 1, None)]
    lab.void("site-b", "1")
    lab.night()
    lab.drop("site-b", "3.ndjson", [client("c0"), session(1)])
    assert lab.night().digest == whole
    assert lab.rows("select count(*) from quality.act") == [(2,)]
