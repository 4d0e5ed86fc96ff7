"""Drop-out by five definitions, survival, outcome of a site: small tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dyadlog.schemas.errors import StudyError
from tests.conftest import Lab, client, phq, rating, session
from tests.reference.case import Case

STUDY = """\
study: lab
title: Laboratory
sites: [{id: site-a}]
measures:
  - {id: phq, instrument: phq-9, version: "1", rater: client, occasion: pre_session, role: outcome}
dropout: {few_sessions: 3, protocol_sessions: 4, landmark: 2}
"""
DEFINITIONS = "missed_last, unilateral, not_improved, few_sessions, off_protocol"


def end(initiator: str = "client", reason: str = "unknown", planned: bool | None = None) -> dict[str, Any]:
    payload = {"initiator": initiator, "reason": reason} | ({} if planned is None else {"planned": planned})
    return {"event_id": "end", "event_type": "treatment.ended", "client_id": "c1", "payload": payload}


def course(text: str) -> list[dict[str, Any]]:
    """Sessions as letters: h held, m missed, c called off by the client, t by the therapist."""
    events = []
    for number, letter in enumerate(text, 1):
        match letter:
            case "h":
                events.append(session(number))
            case "m":
                events.append(session(number, kind="missed"))
            case _:
                by = {"c": "client", "t": "therapist"}[letter]
                events.append(session(number, kind="cancelled", payload={"by": by}))
    return events


# sessions, end, PHQ-9 answers at the first and last session -> the five definitions
COURSES = [
    ("hhhh", end(planned=True), (3, 0), (False, False, False, False, False)),
    ("hhhm", end(reason="no_contact"), (2, 2), (True, True, True, False, True)),
    ("hhc", end(planned=False), (2, 1), (True, True, False, True, True)),
    ("hht", end("therapist", planned=False), (2, 2), (False, False, True, True, True)),
    ("hhh", end(reason="goals_reached"), (3, 3), (False, False, True, False, True)),
    ("hhh", end(), (1, 1), (False, None, False, False, True)),  # never on the clinical side
    ("hhm", None, (2, 2), (None, None, None, None, None)),  # not over: nothing is said
    ("hhhhm", None, (2, 2), (None, None, None, False, False)),  # but enough sessions are enough
    ("", end(), None, None),  # an end without sessions is no course
]


@pytest.mark.parametrize(("sessions", "ended", "phqs", "expected"), COURSES)
def test_five_definitions(
    tmp_path: Path,
    sessions: str,
    ended: dict[str, Any] | None,
    phqs: tuple[int, int] | None,
    expected: tuple[bool | None, ...] | None,
) -> None:
    lab = Lab(tmp_path / "study", STUDY)
    events = [client(), *course(sessions), *([ended] if ended else [])]
    if phqs:
        events += [phq(1, phqs[0]), phq(sessions.rindex("h") + 1, phqs[1])]
    lab.drop("site-a", "1.ndjson", events)
    lab.night()
    assert lab.rows(f"select {DEFINITIONS} from marts.dropout") == ([expected] if expected else [])


def test_the_landmark_is_passed_by_a_session_beyond_it(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "study", STUDY)
    events = [client(), session(1), session(2), client("c2"), *(session(n, "c2") for n in (1, 2, 3))]
    lab.drop("site-a", "1.ndjson", events)
    lab.night()
    assert lab.rows("select client_id, is_censored, reached_landmark from marts.dropout order by 1") == [
        ("c1", True, False),
        ("c2", True, True),
    ]


def test_who_is_still_in_therapy_is_censored_and_no_completer(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "study", STUDY)
    events: list[dict[str, Any]] = []
    for name, last, over in (("c1", 2, True), ("c2", 2, False), ("c3", 4, True), ("c4", 5, False)):
        events += [client(name), *(session(n, name) for n in range(1, last + 1))]
        if over:
            events.append({**end(planned=False), "event_id": f"end-{name}", "client_id": name})
    lab.drop("site-a", "1.ndjson", events)
    lab.night()
    rows = lab.rows(
        "select session_number, n_risk, n_event, n_censored, survival from marts.survival "
        "where rule_id = 'unilateral' order by 1"
    )
    assert rows == [
        (2, 4, 1, 1, pytest.approx(3 / 4)),
        (4, 2, 1, 0, pytest.approx(3 / 8)),
        (5, 1, 0, 1, pytest.approx(3 / 8)),
    ]


def test_an_unknown_outcome_rule_is_named(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "study", STUDY.replace("few_sessions: 3", "outcome_rule: none, few_sessions: 3"))
    with pytest.raises(StudyError, match="expected the id of an outcome rule"):
        _ = lab.study


RULE = {
    "id": "points",
    "preset": "points",
    "instrument": "measure",
    "version": "1",
    "points": 6,
    "cutoff_value": 10,
}


def test_shares_of_a_site_with_wilson_intervals(tmp_path: Path) -> None:
    """Four on the clinical side, of whom two recover; Wilson's interval for 2 of 4, from its textbook form."""
    case = Case(tmp_path, {"measure": ("outcome", "lower")}, outcomes=[RULE])
    for nth, (pre, post) in enumerate([(20, 5), (20, 6), (20, 19), (20, 30), (5, 4), (30, None)]):
        case.score("site-a", f"c{nth}", "measure", "intake", pre)
        case.score("site-a", f"c{nth}", "measure", "end", post)
    lab = case.night()
    ((clients, pairs, clinical, recovered, worse, share, low, high),) = lab.rows(
        "select n_clients, n_pairs, n_clinical_pre, n_recovered, n_deteriorated, recovered_share, recovered_low, "
        "recovered_high from marts.site_outcome where rule_id = 'points'"
    )
    assert (clients, pairs, clinical, recovered, worse, share) == (6, 5, 4, 2, 1, 0.5)
    z, n, p = 1.959963984540054, 4, 0.5
    centre, half = p + z * z / (2 * n), z * (p * (1 - p) / n + z * z / (4 * n * n)) ** 0.5
    assert low == pytest.approx((centre - half) / (1 + z * z / n), abs=1e-12)
    assert high == pytest.approx((centre + half) / (1 + z * z / n), abs=1e-12)


def test_a_site_with_one_client_has_no_effect_and_not_zero(tmp_path: Path) -> None:
    case = Case(tmp_path, {"measure": ("outcome", "lower")}, outcomes=[RULE])
    for site, scores in (("one", [(20, 5)]), ("three", [(20, 5), (18, 9), (25, 15)])):
        for nth, (pre, post) in enumerate(scores):
            case.score(site, f"c{nth}", "measure", "intake", pre)
            case.score(site, f"c{nth}", "measure", "end", post)
    lab = case.night()
    assert lab.rows(
        "select n_pairs, pre_sd, d_pre, smcr, smcc from marts.site_outcome where site_id = 'one' and rule_id = 'points'"
    ) == [(1, None, None, None, None)]
    assert lab.rows(
        "select effect, method, n_sites from marts.pooled_outcome where rule_id = 'points' order by all"
    ) == [
        ("smcc", "dersimonian_laird", 1),
        ("smcc", "fixed", 1),
        ("smcc", "reml", 1),
        ("smcr", "dersimonian_laird", 1),
        ("smcr", "fixed", 1),
        ("smcr", "reml", 1),
    ]


def test_only_ratings_before_the_landmark_and_clients_beyond_it_count(tmp_path: Path) -> None:
    """Session 2 is the landmark: c3 never came to session 3, and what c1 says in session 3 comes too late."""
    lab = Lab(tmp_path / "study", STUDY)
    ratings = {"c1": {1: 2, 2: 3, 3: 5}, "c2": {2: 4}, "c3": {1: 1, 2: 1}, "c4": {1: 5}}
    events: list[dict[str, Any]] = []
    for name, last in (("c1", 3), ("c2", 5), ("c3", 2), ("c4", 4)):
        events += [client(name), *(session(n, name) for n in range(1, last + 1))]
        events += [rating(n, answer, name) for n, answer in ratings[name].items()]
        left = end(planned=name != "c1")
        events.append({**left, "event_id": f"end-{name}", "client_id": name})
    lab.drop("site-a", "1.ndjson", events)
    lab.night()
    assert lab.rows(
        "select n_dropped, n_stayed, mean_dropped, mean_stayed, auc from marts.early_alliance_dropout "
        "where rule_id = 'unilateral'"
    ) == [(1, 2, 30.0, 54.0, 0.0)]
