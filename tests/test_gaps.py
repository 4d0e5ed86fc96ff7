"""Forms that the protocol has, and why the others are not there; what a site has to look at, by event id and by line."""

from __future__ import annotations

import pytest

from tests.conftest import STUDY, Lab, client, phq, rating, session

MEASURES = """\
  - {id: phq_intake, instrument: phq-9, version: "1", rater: client, occasion: intake, role: outcome}
  - {id: phq_end, instrument: phq-9, version: "1", rater: client, occasion: end, role: outcome}
"""


def declined(number: int, client_id: str = "c1") -> dict:
    form = rating(number, [], client_id)
    form["payload"]["missing"] = {str(item): "declined" for item in range(1, 13)}
    return form


@pytest.fixture(scope="module")
def gaps(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Client c1 with a session of every fate, c2 who withdrew, c3 who ended; built once, only read."""
    study = STUDY.replace("thresholds:", f"{MEASURES}thresholds:")
    lab = Lab(tmp_path_factory.mktemp("gaps") / "study", study)
    ended = {"event_type": "treatment.ended", "client_id": "c3", "payload": {"initiator": "client"}}
    away = {"event_type": "consent.withdrawn", "client_id": "c2", "payload": {"mode": "exclude"}}
    lab.drop(
        "site-a",
        "facts.ndjson",
        [
            client(),
            *(session(n) for n in (1, 2, 3, 4)),
            session(5, kind="missed"),
            session(6, kind="cancelled"),
            session(7, kind="scheduled"),
            rating(1, 3),
            declined(2),
            rating(3, 3),
            rating(3, 4),  # the same event id with another content
            phq(1, 1, total=9),
            phq(2, 1, total=4),
            client("c2"),
            session(1, "c2"),
            rating(1, 3, "c2"),
            {"event_id": "w", **away},
            client("c3"),
            {"event_id": "end-c3", **ended},
            session(9, "nobody"),
        ],
    )
    lab.drop("site-a", "lines.ndjson", [phq(3, 9), {"event_id": "x"}, phq(4, 9)])
    lab.night()
    return lab


def test_every_form_of_the_protocol_has_a_reason(gaps: Lab) -> None:
    names = (
        "expected",
        "received",
        "declined",
        "held_back",
        "not_sent",
        "missed_session",
        "withdrawn",
        "not_due",
    )
    found = {
        (measure, number): {name: n for name, n in zip(names, figures, strict=True) if n}
        for measure, number, *figures in gaps.rows(
            f"select measure_id, session_number, {', '.join(names)} from quality.completeness where site_id = 'site-a'"
        )
    }
    missed = {"missed_session": 1}
    assert found == {
        ("wai_client", 1): {"expected": 1, "received": 1, "withdrawn": 1},
        ("wai_client", 2): {"expected": 1, "declined": 1},
        ("wai_client", 3): {"expected": 1, "held_back": 1},
        ("wai_client", 4): {"expected": 1, "not_sent": 1},
        ("wai_client", 5): missed,
        ("wai_client", 6): missed,
        ("wai_client", 7): {"not_due": 1},
        ("phq", 1): {"expected": 1, "received": 1, "withdrawn": 1},
        ("phq", 2): {"expected": 1, "received": 1},
        ("phq", 3): {"expected": 1, "not_sent": 1},
        ("phq", 4): {"expected": 1, "not_sent": 1},
        ("phq", 5): missed,
        ("phq", 6): missed,
        ("phq", 7): {"not_due": 1},
        ("phq_intake", None): {"expected": 2, "not_sent": 2, "withdrawn": 1},
        ("phq_end", None): {"expected": 1, "not_sent": 1, "not_due": 1, "withdrawn": 1},
    }


def test_reasons_add_up(gaps: Lab) -> None:
    assert gaps.rows(
        "select count(*) from quality.completeness where expected <> received + declined + held_back + not_sent"
    ) == [(0,)]


def test_what_to_look_at_is_named_by_event_and_by_line(gaps: Lab) -> None:
    found = gaps.rows(
        "select code, subject, event_id, file_name, line_number from quality.correction where site_id = 'site-a' order by all"
    )
    assert found == [
        ("ANSWERS_STRAIGHT_LINED", "", "phq-9-client-pre_session-c1-1", None, None),
        ("ANSWERS_STRAIGHT_LINED", "", "phq-9-client-pre_session-c1-2", None, None),
        ("ANSWERS_STRAIGHT_LINED", "", "wai-sr-client-post_session-c1-1", None, None),
        ("ANSWER_OUT_OF_RANGE", "", None, "lines.ndjson", 1),
        ("ANSWER_OUT_OF_RANGE", "", None, "lines.ndjson", 3),
        ("DESIGN_INCOMPLETE", "phq", "held-c1-3", None, None),
        ("DESIGN_INCOMPLETE", "phq", "held-c1-4", None, None),
        ("DESIGN_INCOMPLETE", "phq_end", "end-c3", None, None),
        ("DESIGN_INCOMPLETE", "phq_intake", "enrol-c1", None, None),
        ("DESIGN_INCOMPLETE", "phq_intake", "enrol-c3", None, None),
        ("DESIGN_INCOMPLETE", "wai_client", "held-c1-4", None, None),
        ("FACT_CONFLICT", "", "wai-sr-client-post_session-c1-3", None, None),
        ("FACT_PENDING_CLIENT", "", "held-nobody-9", None, None),
        ("FIELD_MISSING", "", None, "lines.ndjson", 2),
        ("TOTAL_DISAGREES", "", "phq-9-client-pre_session-c1-2", None, None),
    ]
