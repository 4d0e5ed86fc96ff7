"""What holds now: revisions, retractions, conflicts, facts that wait. Each test is a table in and a table out."""

from __future__ import annotations

import json

from dyadlog.assets.event_log.history import history
from dyadlog.assets.intake.receive import open_log
from tests.conftest import Lab, client, phq, rating, session

STATES = """
select code, n_violated, n_denominator from quality.finding
where code like 'FACT_%' and site_id = 'site-a' and n_violated > 0 order by code
"""


def scores(lab: Lab) -> list[tuple[int, float]]:
    return lab.rows("select session_number, score from marts.outcome_score order by all")


def test_the_highest_revision_holds(lab: Lab) -> None:
    lab.drop("site-a", "1.ndjson", [client(), session(1), phq(1, 1)])
    lab.drop("site-a", "2.ndjson", [phq(1, 3, revision=3, op="correct", reason_code="data_entry_error")])
    lab.drop("site-a", "3.ndjson", [phq(1, 2, revision=2, op="correct", reason_code="data_entry_error")])
    lab.night()
    assert scores(lab) == [(1, 27.0)]


def test_a_retraction_removes(lab: Lab) -> None:
    lab.drop("site-a", "1.ndjson", [client(), session(1), phq(1, 1), session(2), phq(2, 2)])
    gone = {"event_id": phq(1, 1)["event_id"], "revision": 2, "op": "retract", "reason_code": "wrong_client"}
    lab.drop("site-a", "2.ndjson", [gone | {"event_type": "instrument.completed", "client_id": "c1"}])
    lab.night()
    assert scores(lab) == [(2, 18.0)]


def test_a_retraction_can_be_taken_back(lab: Lab) -> None:
    event = phq(1, 1)
    lab.drop("site-a", "1.ndjson", [client(), session(1), event])
    lab.drop("site-a", "2.ndjson", [{**event, "revision": 2, "op": "retract", "reason_code": "other"}])
    lab.drop("site-a", "3.ndjson", [{**event, "revision": 3, "op": "correct", "reason_code": "other"}])
    lab.night()
    assert scores(lab) == [(1, 9.0)]


def test_two_contents_under_one_revision_are_a_conflict_and_neither_is_used(lab: Lab) -> None:
    lab.drop("site-a", "1.ndjson", [client(), session(1), phq(1, 1)])
    lab.drop("site-a", "2.ndjson", [phq(1, 2)])
    lab.night()
    assert scores(lab) == []
    assert lab.rows(STATES) == [("FACT_CONFLICT", 1, 3)]


def test_deliveries_that_repeat_the_same_lines_balance(lab: Lab) -> None:
    """Their rows say the same, and salts keep their segments apart; each counts them as its own."""
    lines = [client(), session(1)]
    for night in range(3):
        lab.drop("site-a", f"{night}.ndjson", "".join(json.dumps(e) + "\n" for e in lines) + "\n" * night)
    commits = lab.receive()
    assert [(c.kind, c.receipt.duplicate) for c in commits] == [
        ("delivery", 0),
        ("delivery", 2),
        ("delivery", 2),
    ]
    assert commits[1].segments != commits[2].segments
    lab.build()
    assert len(history(open_log(lab.study), "site-a", "enrol-c1")) == 3


def test_a_higher_revision_settles_a_conflict(lab: Lab) -> None:
    lab.drop("site-a", "1.ndjson", [client(), session(1), phq(1, 1), phq(1, 2)])
    lab.drop("site-a", "2.ndjson", [phq(1, 3, revision=2, op="correct", reason_code="data_entry_error")])
    lab.night()
    assert scores(lab) == [(1, 27.0)]
    assert lab.rows(STATES) == []


def test_the_same_content_twice_is_no_conflict(lab: Lab) -> None:
    event = phq(1, 1)
    other_order = {key: event[key] for key in reversed(event)}
    lab.drop("site-a", "1.ndjson", [client(), session(1), event])
    lab.drop("site-a", "2.ndjson", [other_order])
    (_, second) = lab.receive()
    lab.build()
    assert (second.receipt.accepted, second.receipt.duplicate) == (0, 1)
    assert scores(lab) == [(1, 9.0)]


def test_the_same_event_id_at_two_sites_is_two_facts(lab: Lab) -> None:
    lab.drop("site-a", "1.ndjson", [client(), session(1), phq(1, 1)])
    lab.drop("site-b", "1.ndjson", [client(), session(1), phq(1, 2)])
    lab.night()
    found = lab.rows("select site_id, score from marts.outcome_score order by all")
    assert found == [("site-a", 9.0), ("site-b", 18.0)]


def test_a_fact_waits_for_its_client_and_session_and_is_then_used_without_being_sent_again(lab: Lab) -> None:
    lab.drop("site-a", "1.ndjson", [phq(1, 1)])
    lab.night()
    assert lab.rows(STATES) == [("FACT_PENDING_CLIENT", 1, 1)]
    lab.drop("site-a", "2.ndjson", [client()])
    lab.night()
    assert lab.rows(STATES) == [("FACT_PENDING_SESSION", 1, 2)]
    assert scores(lab) == []
    lab.drop("site-a", "3.ndjson", [session(1)])
    lab.night()
    assert lab.rows(STATES) == []
    assert scores(lab) == [(1, 9.0)]


def test_intake_belongs_to_no_session(lab: Lab) -> None:
    lab.drop(
        "site-a",
        "1.ndjson",
        [client(), phq(0, 2) | {"payload": phq(0, 2)["payload"] | {"occasion": "intake"}}],
    )
    lab.night()
    assert scores(lab) == [(0, 18.0)]


def test_sessions_held_missed_cancelled_and_contradictory(lab: Lab) -> None:
    lab.drop(
        "site-a",
        "1.ndjson",
        [
            client(),
            session(1),
            session(2, kind="missed", study_day=None, payload={"by": "client", "reason": "forgot"}),
            session(3, kind="cancelled"),
            session(4, kind="scheduled"),
            session(4),
            session(5),
            session(5, kind="missed"),
            session(6, kind="scheduled"),
        ],
    )
    lab.night()
    assert lab.rows(
        "select session_number, status, attended_seq, is_contradictory, absence_reason from marts.session order by 1"
    ) == [
        (1, "held", 1, False, None),
        (2, "missed", None, False, "forgot"),
        (3, "cancelled", None, False, None),
        (4, "held", 2, False, None),
        (5, "held", 3, True, None),
        (6, "scheduled", None, False, None),
    ]


def test_a_form_filled_in_twice_for_a_session_counts_once_the_first_recorded(lab: Lab) -> None:
    early = rating(1, 2, recorded_day=7) | {"event_id": "z"}
    late = rating(1, 5, recorded_day=9) | {"event_id": "a"}
    lab.drop("site-a", "1.ndjson", [client(), session(1), late, early])
    lab.night()
    assert lab.rows(
        "select score, n_ratings, event_id from marts.alliance_session where scale = 'total'"
    ) == [(24.0, 2, "z")]


def test_nothing_of_a_client_who_withdrew_is_used_until_the_withdrawal_is_retracted(lab: Lab) -> None:
    withdrawal = {
        "event_id": "w",
        "event_type": "consent.withdrawn",
        "client_id": "c1",
        "payload": {"mode": "exclude"},
    }
    other = [client("c2"), session(1, "c2"), phq(1, 2, "c2")]
    lab.drop("site-a", "1.ndjson", [client(), session(1), phq(1, 1), *other])
    lab.drop("site-a", "2.ndjson", [withdrawal])
    lab.night()
    assert scores(lab) == [(1, 18.0)]
    assert lab.rows("select distinct client_id from marts.session") == [("c2",)]
    assert lab.rows(
        "select outcome, n_violated from quality.finding where code = 'FACT_WITHDRAWN' and n_violated > 0"
    ) == [("pass", 4)]
    lab.drop(
        "site-a",
        "3.ndjson",
        [withdrawal | {"revision": 2, "op": "retract", "reason_code": "data_entry_error"}],
    )
    lab.night()
    assert scores(lab) == [(1, 9.0), (1, 18.0)]
