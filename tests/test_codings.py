"""Codings, interviews and rituals on small tables: one study, one build."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dyadlog.schemas.errors import StudyError
from tests.conftest import Lab, client, session

PROTOCOL: dict[str, Any] = {
    "study": "codings",
    "title": "Codings",
    "sites": [{"id": "site-a"}, {"id": "site-b"}],
    "interviews": {"sessions": [3, 5], "sites": ["site-a"]},
    "thresholds": {"coder_band_sessions": 2},
}


def event(kind: str, name: str, number: int, client_id: str = "c1", **payload: Any) -> dict[str, Any]:
    envelope = {key: payload.pop(key) for key in ("actor_id", "recorded_day") if key in payload}
    about = {"client_id": client_id, "session_number": number, "payload": payload}
    return {"event_id": f"{kind}-{client_id}-{number}-{name}", "event_type": kind, **about, **envelope}


def coded(
    coder: str, number: int, codes: str = "", role: str = "primary", **more: Any
) -> list[dict[str, Any]]:
    """A pass and its codes: w withdrawal, c confrontation."""
    said = {"scheme": "3rs", "coding_role": role, "actor_id": coder, "recorded_day": number}
    passed = event("coding.pass", f"{coder}-{role}", number, **said, coded_minutes=50, **more)
    names = {"w": ("minimal_response", "withdrawal"), "c": ("defends_self", "confrontation")}
    return [passed] + [
        event(
            "coding.segment",
            f"{coder}-{role}-{nth}",
            number,
            **said,
            code=names[code][0],
            family=names[code][1],
            start_second=100 * nth,
            end_second=100 * nth + 20,
        )
        for nth, code in enumerate(codes)
    ]


def interview(client_id: str, number: int, perspective: str, status: str, name: str = "") -> dict[str, Any]:
    about = {"perspective": perspective, "status": status, "actor_id": "i1"}
    return event("recall.interview", perspective + name, number, client_id, **about)


EVENTS = [
    *(client(name) for name in ("c1", "c2", "c3")),
    *(session(number) for number in range(1, 7)),
    *(session(number, "c2") for number in range(1, 4)),
    *(session(number, "c3") for number in range(1, 6)),
    # double-coded: 1 to 4; the consensus of session 1 and the third coder of session 6 alone play no part
    *coded("k1", 1, "ww"),
    *coded("k2", 1, "w", "reliability", extent_resolved=2),
    *coded("k9", 1, "wwwwc", "consensus", extent_resolved=5),
    *coded("k1", 2, "", extent_resolved=3),
    *coded("k2", 2, "w", "reliability", extent_resolved=3),
    *coded("k1", 3, "wwwcc"),
    *coded("k2", 3, "wwc", "reliability"),
    *coded("k1", 4, "w"),
    *coded("k1", 4, "www", "reliability"),
    *coded("k2", 4, "w", "reliability"),
    *coded("k3", 6, "cc"),
    # interviews
    interview("c1", 3, "client", "planned", "-plan"),
    interview("c1", 3, "client", "done"),
    interview("c1", 3, "therapist", "declined"),
    interview("c1", 5, "client", "done"),
    interview("c1", 2, "client", "done"),
    interview("c2", 3, "client", "lost"),
    event("recall.moment", "m1", 3, perspective="client", code="shame", coder_id="k1", start_second=10, end_second=30),
    event("recall.moment", "m2", 3, perspective="client", code="shame", coder_id="k1", start_second=40, end_second=45.5),
    event("recall.moment", "m3", 5, perspective="client", code="contact", coder_id="k1"),
    # the rest
    event("countertransference.rated", "ct", 2, scheme="ct", code="over_involved", intensity=40),
    event("ritual.observed", "open", 2, phase="opening", code="tea"),
    event("ritual.observed", "open2", 2, phase="opening"),
    event("ritual.observed", "close", 5, phase="closing"),
]  # fmt: skip


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    made = Lab(tmp_path_factory.mktemp("codings") / "study", json.dumps(PROTOCOL))
    made.drop("site-a", "1.ndjson", EVENTS)
    # the other site plans no interviews, and its coder never meets another one
    made.drop("site-b", "1.ndjson", [client(), session(3), *coded("k1", 3, "w")])
    made.night()
    return made


def test_codes_stand_with_coder_and_role(lab: Lab) -> None:
    assert lab.rows(
        "select coder_id, coding_role, code, family, start_second, seconds, n_alike from marts.coding_segment "
        "where site_id = 'site-a' and session_number = 1 order by all"
    ) == [
        ("k1", "primary", "minimal_response", "withdrawal", 0.0, 20.0, 1),
        ("k1", "primary", "minimal_response", "withdrawal", 100.0, 20.0, 1),
        ("k2", "reliability", "minimal_response", "withdrawal", 0.0, 20.0, 1),
        ("k9", "consensus", "defends_self", "confrontation", 400.0, 20.0, 1),
        *(("k9", "consensus", "minimal_response", "withdrawal", 100.0 * n, 20.0, 1) for n in range(4)),
    ]


def agreement(lab: Lab, code: str, measure: str, rule: str) -> list[tuple[Any, ...]]:
    return lab.rows(
        "select coder_id, other_coder_id, value, n_units, n_coders, mean_value from marts.coder_agreement "
        f"where code = '{code}' and measure = '{measure}' and rule_id = '{rule}' order by coder_id nulls first"
    )


def test_agreement_is_about_double_coded_sessions_only(lab: Lab) -> None:
    # withdrawal: k1 2 0 3 1 (its primary reading of session 4), k2 1 1 2 1
    one, pair = agreement(lab, "withdrawal", "count", "icc_3_1")
    assert one[:2] == (None, None)
    assert pair[:2] == ("k1", "k2")
    assert one[2:] == pair[2:]
    assert one[3:] == (4, 2, 11 / 8)
    rows = [(2, 1), (0, 1), (3, 2), (1, 1)]
    means = [(a + b) / 2 for a, b in rows]
    grand, levels = sum(means) / 4, [6 / 4, 5 / 4]
    between = 2 * sum((m - grand) ** 2 for m in means) / 3
    rest = sum((x - m - c + grand) ** 2 for row, m in zip(rows, means, strict=True) for x, c in zip(row, levels, strict=True)) / 3  # fmt: skip
    assert one[2] == pytest.approx((between - rest) / (between + rest), abs=1e-9)
    assert agreement(lab, "withdrawal", "presence", "agreement")[0][2] == 0.75
    assert agreement(lab, "all", "count", "agreement")[0][2] == 0.25
    # both saw it in session 3 only: without a code the count is 0, not missing
    assert agreement(lab, "confrontation", "presence", "kappa")[0][2:4] == (1.0, 4)


def test_a_rating_is_compared_where_two_coders_gave_one(lab: Lab) -> None:
    assert agreement(lab, "extent_resolved", "rating", "agreement") == [
        (None, None, 1.0, 1, 2, 8 / 3),
        ("k1", "k2", 1.0, 1, 2, 3.0),
    ]


def test_who_is_never_double_coded_has_no_agreement(lab: Lab) -> None:
    assert lab.rows("select distinct site_id from marts.coder_agreement") == [("site-a",)]
    assert lab.rows("select * from marts.coder_agreement where coder_id in ('k3', 'k9')") == []


def test_drift_is_a_coder_beside_the_others_in_bands_of_sessions(lab: Lab) -> None:
    assert lab.rows(
        "select coder_id, band, rule_id, n_sessions, first_day, last_day, own_mean, others_mean, difference, low is null "
        "from marts.coder_drift where code = 'withdrawal' order by all"
    ) == [
        ("k1", 1, "bands_of_2", 2, 1, 2, 1.0, 1.0, 0.0, False),
        ("k1", 2, "bands_of_2", 2, 3, 4, 2.0, 1.5, 0.5, False),
        ("k2", 1, "bands_of_2", 2, 1, 2, 1.0, 1.0, 0.0, False),
        ("k2", 2, "bands_of_2", 2, 3, 4, 1.5, 2.0, -0.5, False),
    ]


def test_a_missing_interview_is_a_row_and_never_a_zero(lab: Lab) -> None:
    assert lab.rows(
        "select client_id, session_number, perspective, status, is_planned, session_status, interviewer_id, n_reports "
        "from marts.recall_interview order by 1, 2, 3"
    ) == [
        ("c1", 2, "client", "done", False, "held", "i1", 1),
        ("c1", 3, "client", "done", True, "held", "i1", 2),
        ("c1", 3, "therapist", "declined", True, "held", "i1", 1),
        ("c1", 5, "client", "done", True, "held", "i1", 1),
        ("c1", 5, "therapist", "missing", True, "held", None, 0),
        ("c2", 3, "client", "lost", True, "held", "i1", 1),
        ("c2", 3, "therapist", "missing", True, "held", None, 0),
        ("c2", 5, "client", "not_due", True, "not_reported", None, 0),
        ("c2", 5, "therapist", "not_due", True, "not_reported", None, 0),
    ]


def test_codes_of_an_interview_that_has_been_coded_are_counted_with_zeros(lab: Lab) -> None:
    assert lab.rows(
        "select session_number, perspective, interviewer_id, coder_id, code, n_passages, n_passages_in_all, seconds, "
        "first_start_second from marts.recall_code order by 1, 5"
    ) == [
        (3, "client", "i1", "k1", "contact", 0, 2, None, None),
        (3, "client", "i1", "k1", "shame", 2, 2, 25.5, 10.0),
        (5, "client", "i1", "k1", "contact", 1, 1, None, None),
        (5, "client", "i1", "k1", "shame", 0, 1, None, None),
    ]


def test_sessions_without_a_ritual_have_a_row_where_somebody_looked(lab: Lab) -> None:
    assert lab.rows(
        "select session_number, phase, is_observed, n_observed, code from marts.ritual where site_id = 'site-a' "
        "and session_number in (1, 2, 5) order by 1, 2 desc"
    ) == [
        (1, "opening", False, 0, None),
        (1, "closing", False, 0, None),
        (2, "opening", True, 2, "tea"),
        (2, "closing", False, 0, None),
        (5, "opening", False, 0, None),
        (5, "closing", True, 1, None),
    ]


def test_countertransference_is_as_rated(lab: Lab) -> None:
    assert lab.rows("select session_number, scheme, code, intensity, n_ratings from marts.countertransference") == [
        (2, "ct", "over_involved", 40.0, 1)
    ]  # fmt: skip


def test_interviews_can_be_planned_with_everybody_and_only_at_sites_of_the_study(tmp_path: Path) -> None:
    plan = {"sessions": [3], "perspectives": ["client"], "clients": "all"}
    made = Lab(tmp_path / "all", json.dumps(PROTOCOL | {"interviews": plan}))
    made.drop("site-a", "1.ndjson", EVENTS[: 3 + 6 + 3 + 5])
    made.night()
    assert made.rows("select client_id, status from marts.recall_interview order by all") == [
        (name, "missing") for name in ("c1", "c2", "c3")
    ]
    wrong = Lab(tmp_path / "wrong", json.dumps(PROTOCOL | {"interviews": plan | {"sites": ["site-x"]}}))
    with pytest.raises(StudyError, match=r"interviews.sites\[0\].*found 'site-x', expected one of site-a"):
        _ = wrong.study
