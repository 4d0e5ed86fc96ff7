"""Ruptures by report, marker, code and by ratings before and after sessions; who agrees with whom: small tables."""

from __future__ import annotations

from typing import Any

from tests.codings import code, coded, passage
from tests.conftest import Lab, client, rating, session

EVENTS = (
    "select session_number, status, repair_session_number, n_followed from marts.rupture_event "
    "where rule_id = '{}' and source = '{}' order by session_number"
)


def events_of(lab: Lab, rule: str, source: str) -> list[tuple[Any, ...]]:
    return lab.rows(EVENTS.format(rule, source))


def psq(number: int, intensity: int, resolution: int | None, rater: str = "client") -> dict[str, Any]:
    form = {"instrument": "psq-rupture", "version": "1", "rater": rater}
    event = rating(number, [], **form)
    event["payload"]["items"] = {"intensity": intensity, "resolution": resolution}
    return event


def report(number: int, perspective: str, kind: str = "marked", **more: Any) -> dict[str, Any]:
    return passage(f"rupture.{kind}", number, nth=perspective, perspective=perspective, **more)  # type: ignore[arg-type]


def held(*numbers: int) -> list[dict[str, Any]]:
    return [client(), *(session(number) for number in numbers)]


def test_a_form_reports_a_rupture_above_one_and_its_resolution_now_or_later(lab: Lab) -> None:
    forms = [psq(1, 1, None), psq(2, 4, 2), psq(3, 1, None), psq(4, 1, 3), psq(5, 2, 5), psq(6, 3, 1)]
    lab.drop("site-a", "1.ndjson", [*held(1, 2, 3, 4, 5, 6), *forms])
    lab.night()
    assert events_of(lab, "reported_on_form", "client") == [
        (2, "repaired", 4, 3),
        (5, "repaired", 5, 1),
        (6, "censored", None, 0),
    ]
    assert lab.rows("select distinct basis, instrument, occasion, rule_status from marts.rupture_event") == [
        ("form", "psq-rupture", "post_session", "M")
    ]


def test_reports_by_event_count_held_sessions_and_recognition_takes_two(lab: Lab) -> None:
    said = [
        report(1, "client", intensity=3),
        report(2, "client", kind="resolved", extent=2),  # not far enough
        report(3, "client", intensity=2),
        report(3, "therapist"),
        report(5, "client", kind="resolved"),  # without an extent it counts
    ]
    lab.drop("site-a", "1.ndjson", [*held(1, 2, 3, 4, 5), *said])
    lab.drop("site-b", "1.ndjson", held(1))  # nobody reports there: nothing is known of its sessions
    lab.night()
    assert events_of(lab, "reported_by_event", "client") == [
        (1, "unrepaired", None, 3),
        (3, "repaired", 5, 2),
    ]
    assert events_of(lab, "reported_by_event", "therapist") == [(3, "censored", None, 2)]
    assert events_of(lab, "recognised_by_therapist", "dyad") == [(3, "repaired", 5, 2)]
    assert lab.rows(
        "select session_number, is_reported, is_recognised, rule_ids from marts.rupture_session "
        "where source = 'client' and basis = 'event' order by 1"
    ) == [
        (1, True, False, "reported_by_event"),
        (2, False, None, ""),
        (3, True, True, "reported_by_event"),
        (4, False, None, ""),
        (5, False, None, ""),
    ]
    assert lab.rows("select distinct site_id from marts.rupture_session") == [("site-a",)]


def test_markers_of_the_coding_that_counts(lab: Lab) -> None:
    """The consensus where there is one, else the primary coding; a marker of significance 1 is none."""
    codings = [
        *(coded(1, extent_resolved=2, coded_minutes=50), code(1, "withdrawal", significance=3)),
        code(1, "confrontation", significance=1, nth=2),
        *(coded(2, extent_resolved=4), coded(2, role="reliability", actor="coder-2")),
        *(code(2, "confrontation", nth=n, role="reliability", actor="coder-2") for n in (3, 4)),
        *(coded(3, extent_resolved=1), coded(3, role="consensus", extent_resolved=5, actor="team")),
        *(code(3, "withdrawal", nth=5), code(3, "confrontation", role="consensus", actor="team", nth=6)),
        *(passage("coding.pass", 4, nth=9, scheme="other", coding_role="primary"),),
    ]
    lab.drop("site-a", "1.ndjson", [*held(1, 2, 3, 4), *codings])
    lab.night()
    assert lab.rows(
        "select session_number, coding_role, n_coders, n_withdrawal, n_confrontation, intensity, extent_resolved, coded_minutes, "
        "rule_ids from marts.rupture_session where source = 'observer' order by 1"
    ) == [
        (1, "primary", 1, 1.0, 1.0, 3.0, 2.0, 50.0, "marker marker_withdrawal"),
        (2, "primary", 1, 0.0, 0.0, None, 4.0, None, ""),
        (3, "consensus", 1, 0.0, 1.0, None, 5.0, None, "marker marker_confrontation"),
    ]
    assert events_of(lab, "marker", "observer") == [(1, "repaired", 2, 2), (3, "repaired", 3, 0)]


def test_codes_of_recall_interviews_by_perspective(lab: Lab) -> None:
    def moment(number: int, perspective: str, name: str) -> dict[str, Any]:
        return passage(
            "recall.moment", number, nth=f"{perspective}-{name}", perspective=perspective, code=name
        )  # type: ignore[arg-type]

    def done(number: int, perspective: str, status: str = "done") -> dict[str, Any]:
        return passage("recall.interview", number, nth=perspective, perspective=perspective, status=status)  # type: ignore[arg-type]

    interviews = [
        *(done(3, "client"), moment(3, "client", "fear_shame"), moment(3, "client", "repair")),
        *(done(5, "client"), moment(5, "client", "withdrawal")),
        *(done(3, "therapist"), moment(3, "therapist", "agenda_differs"), done(5, "therapist")),
        *(done(4, "client", "lost"), moment(4, "client", "fear_shame")),  # a lost interview is none
    ]
    lab.drop("site-a", "1.ndjson", [*held(3, 4, 5), *interviews])
    lab.night()
    assert events_of(lab, "interview_code", "client") == [(3, "repaired", 3, 1), (5, "censored", None, 0)]
    assert events_of(lab, "interview_code", "therapist") == [(3, "unrepaired", None, 1)]


def test_ratings_before_and_after_sessions_show_where_the_alliance_falls(lab: Lab) -> None:
    def wai(number: int, answer: int, occasion: str) -> dict[str, Any]:
        return rating(number, answer, occasion=occasion)

    pairs = {1: (4, 5), 2: (2, 4), 3: (4, 2), 4: (2, 2), 5: (1, 4)}
    ratings = [
        wai(number, answer, occasion)
        for number, pair in pairs.items()
        for answer, occasion in zip(pair, ("pre_session", "post_session"), strict=True)
    ]
    lab.drop("site-a", "1.ndjson", [*held(*pairs), *ratings])
    lab.night()
    # after sessions: 60, 48, 24, 24, 48: an SD of 16.1; between sessions: -36, 0, 0, -12; within: 12, 24, -24, 0, 36
    assert events_of(lab, "fall_between_sessions", "client") == [(2, "repaired", 2, 3)]
    assert events_of(lab, "fall_within_session", "client") == [(3, "repaired", 5, 2)]
    assert lab.rows(
        "select session_number, occasion, within_change, between_change from marts.rupture_session "
        "where occasion = 'post_session' and session_number = 3 or occasion = 'pre_session' and session_number = 2 order by 1"
    ) == [(2, "pre_session", None, -36.0), (3, "post_session", -24.0, None)]


def test_agreement_of_rules_and_sources_over_sessions_that_both_could_judge(lab: Lab) -> None:
    """Client's ratings fall at 3 and 6; the client reports 3, the therapist 3 and 5; session 7 was held and not rated."""
    series = {1: 4, 2: 5, 3: 3, 4: 4, 5: 5, 6: 3}
    events = [*held(*range(1, 8)), *(rating(n, a) for n, a in series.items())]
    events += [report(3, "client"), report(3, "therapist"), report(5, "therapist")]
    lab.drop("site-a", "1.ndjson", events)
    lab.night()
    rows = lab.rows(
        "select rule_id, source, other_rule_id, other_source, n_sessions, n_both, n_first_only, n_other_only, n_neither, kappa "
        "from marts.rupture_agreement where rule_id in ('drop_own_sd_k1', 'reported_by_event') "
        "and other_rule_id in ('drop_own_sd_k1', 'reported_by_event') order by all"
    )
    found = {row[:4]: row[4:] for row in rows}
    drop, event = "drop_own_sd_k1", "reported_by_event"
    assert found[drop, "client", drop, "client"] == (5, 2, 0, 0, 3, 1.0)  # five ratings have one before them
    assert found[drop, "client", event, "client"][:5] == (5, 1, 1, 0, 3)
    assert abs(found[drop, "client", event, "client"][5] - (4 / 5 - 14 / 25) / (1 - 14 / 25)) < 1e-12
    assert found[event, "client", event, "therapist"][:5] == (7, 1, 0, 1, 5)
    assert (event, "therapist", event, "client") not in found
