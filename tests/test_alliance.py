"""Alliance on small tables: one metric for both raters, early ratings, shapes, establishment, work, direct reports, codes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dyadlog.schemas.errors import StudyError
from tests.codings import code, passage
from tests.conftest import Lab, client, rating, session

STUDY = """\
study: lab
title: Laboratory
sites: [{id: site-a}, {id: site-b}]
instruments: [short-therapist.yaml]
alliance:
  pairs:
    - {client: {instrument: wai-sr, version: client-1-5}, therapist: {instrument: short-therapist, version: "1"}}
  work: {codes: [task_started]}
thresholds: {rupture_min_ratings: 3}
"""
# Ten items, 1 to 7: another number of items and another range than the clients' form of twelve items, 1 to 5.
SHORT = """\
instrument: short-therapist
name: Ten items of therapists
domain: alliance
source: test
licence: none
direction: higher_is_better
versions:
  "1": {raters: [therapist], items: 10, min: 1, max: 7, max_missing: {total: 1, subscale: 0}}
"""


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    (tmp_path / "study").mkdir()
    (tmp_path / "study/short-therapist.yaml").write_text(SHORT)
    return Lab(tmp_path / "study", STUDY)


def wai(number: int, answers: Any, client_id: str = "c1", **more: Any) -> dict[str, Any]:
    return rating(number, answers, client_id, **more)


def short(number: int, answers: Any, client_id: str = "c1", **more: Any) -> dict[str, Any]:
    form = {"instrument": "short-therapist", "version": "1", "rater": "therapist", "items": 10}
    return rating(number, answers, client_id, **{**form, **more})


def course(name: str, answers: str, first: int = 1) -> list[dict[str, Any]]:
    """A client with a rating of equal answers per session; a dot is a session without a rating."""
    events = [client(name)]
    for number, answer in enumerate(answers, first):
        events.append(session(number, name))
        if answer != ".":
            events.append(wai(number, int(answer), name))
    return events


def test_both_raters_on_one_metric_before_any_difference(lab: Lab) -> None:
    """Client's item means 3, 4, 5 of 1-5; therapist's 4, 5.5, 7 of 1-7: the same places on both scales, then one apart."""
    events = [client(), *(session(n) for n in (1, 2, 3, 4))]
    events += [wai(1, 3), wai(2, 4), wai(3, 5), wai(4, 2)]
    half = [5, 6] * 5
    events += [short(1, 4), short(2, half), short(3, 7), short(4, 4)]
    lab.drop("site-a", "1.ndjson", events)
    lab.night()
    assert lab.rows(
        "select rater, session_number, score, item_mean, common_mean from marts.alliance_session "
        "where scale = 'total' order by rater, session_number"
    ) == [
        ("client", 1, 36.0, 3.0, 3.0),
        ("client", 2, 48.0, 4.0, 4.0),
        ("client", 3, 60.0, 5.0, 5.0),
        ("client", 4, 24.0, 2.0, 2.0),
        ("therapist", 1, 40.0, 4.0, 3.0),
        ("therapist", 2, 55.0, 5.5, 4.0),
        ("therapist", 3, 70.0, 7.0, 5.0),
        ("therapist", 4, 40.0, 4.0, 3.0),
    ]
    ((n, mean, size, share, bias, r),) = lab.rows(
        "select n_pairs, mean_difference, mean_abs_difference, share_within, directional_bias, r "
        "from marts.alliance_congruence where scale = 'total'"
    )
    assert (n, mean, size, share, bias) == (4, 0.25, 0.25, 0.75, 0.25)
    assert r == pytest.approx(0.9438798)  # of (3, 4, 5, 2) with (3, 4, 5, 3)


def test_two_forms_are_compared_only_if_the_study_says_so(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study/short-therapist.yaml").write_text(SHORT)
    text = STUDY.replace("  pairs:\n", "").replace(STUDY.splitlines()[6] + "\n", "")
    lab = Lab(tmp_path / "study", text)
    lab.drop("site-a", "1.ndjson", [client(), session(1), wai(1, 3), short(1, 4)])
    lab.night()
    assert lab.rows("select * from marts.alliance_congruence") == []


def test_means_of_levels_stay_at_the_own_site(lab: Lab) -> None:
    """Two therapists, one with two clients: clients weigh alike whatever their number of ratings; another site is of no account."""

    def of(name: str, therapist: str, answers: str) -> list[dict[str, Any]]:
        return [event | {"therapist_id": therapist} for event in course(name, answers)]

    lab.drop("site-a", "1.ndjson", [*of("c1", "t1", "5555"), *of("c2", "t1", "3"), *of("c3", "t2", "2")])
    lab.drop("site-b", "1.ndjson", of("c9", "t1", "1"))
    lab.night()
    assert lab.rows(
        "select distinct client_id, client_mean, n_client, therapist_mean, n_therapist, client_deviation, site_mean, n_site, "
        "therapist_deviation from marts.alliance_session where scale = 'total' order by site_id, client_id"
    ) == [
        ("c1", 60.0, 4, 48.0, 2, 12.0, 36.0, 2, 12.0),
        ("c2", 36.0, 1, 48.0, 2, -12.0, 36.0, 2, 12.0),
        ("c3", 24.0, 1, 24.0, 1, 0.0, 36.0, 2, -12.0),
        ("c9", 12.0, 1, 12.0, 1, 0.0, 12.0, 1, 0.0),
    ]


def test_lag_counts_session_numbers_and_format_is_that_of_the_session(lab: Lab) -> None:
    events = course("c1", "34.5")
    events[1]["payload"] = {"format": "phone"}
    lab.drop("site-a", "1.ndjson", events)
    lab.night()
    assert lab.rows(
        "select session_number, format, score_lag1, within_lag1, detrended from marts.alliance_session "
        "where scale = 'total' order by 1"
    ) == [
        (1, "phone", None, None, pytest.approx(-12 / 7, abs=1e-9)),
        (2, None, 36.0, -12.0, pytest.approx(18 / 7, abs=1e-9)),
        (4, None, None, None, pytest.approx(-6 / 7, abs=1e-9)),
    ]


def dyads(lab: Lab, columns: str) -> dict[str, tuple[Any, ...]]:
    rows = lab.rows(
        f"select client_id, {columns} from marts.alliance_dyad where scale = 'total' and rater = 'client'"
    )
    return {row[0]: row[1:] for row in rows}


def test_early_ratings_under_their_names_and_never_one_for_another(lab: Lab) -> None:
    events = [*course("c1", "12345"), *course("c2", ".2..5"), *course("c3", "...44")]
    lab.drop("site-a", "1.ndjson", events)
    lab.night()
    columns = "early_s1, early_s2, early_s3, early_s1_2, n_s1_2, early_s1_3, n_s1_3, early_s3_5, n_s3_5, early_first, early_first_session"
    assert dyads(lab, columns) == {
        "c1": (12.0, 24.0, 36.0, 18.0, 2, 24.0, 3, 48.0, 3, 12.0, 1),
        "c2": (None, 24.0, None, 24.0, 1, 24.0, 1, 60.0, 1, 24.0, 2),
        "c3": (None, None, None, None, 0, None, 0, 48.0, 2, None, None),
    }


# answers per session -> shape, established by session 5, last rating in 3-5, first session at or above the middle (3)
COURSES = [
    ("44444", "stable", "established", 4.0, 1),
    ("22333", "rising", "established", 3.0, 3),  # exactly at the threshold
    ("54332", "falling", "not_established", 2.0, 1),
    ("43444", "v", "established", 4.0, 1),  # a rupture that is repaired
    ("42234", "u", "established", 4.0, 1),
    ("5.444", "falling", "established", 4.0, 1),
    ("4....4", None, "unknown", None, 1),  # one rating up to session 5
    ("44...44", "stable", "unknown", None, 1),  # none in sessions 3 to 5
    ("55533344", "u", "not_established", 3.0, 1),  # high enough, but a rupture is not repaired
    ("55554", "falling", "established", 4.0, 1),  # ratings stop after a rupture: censored, not unrepaired
]


def test_shape_and_establishment_of_courses(lab: Lab) -> None:
    lab.drop(
        "site-a", "1.ndjson", [e for n, (answers, *_) in enumerate(COURSES) for e in course(f"c{n}", answers)]
    )
    lab.night()
    found = dyads(lab, "shape, established, last_early, first_established_session")
    said = {answers: found[f"c{n}"] for n, (answers, *_) in enumerate(COURSES)}
    assert said == {answers: tuple(expected) for answers, *expected in COURSES}
    ((rule, value, unless),) = lab.rows(
        "select distinct rule_id, threshold, unless_rule from marts.alliance_dyad"
    )
    assert (rule, value, unless) == ("established_by_5", 3.0, "drop_own_sd_k1")


def test_a_study_sets_its_own_threshold(tmp_path: Path) -> None:
    text = "study: lab\ntitle: Laboratory\nsites: [{id: site-a}]\nalliance: {established: {id: high, threshold: 4.5}}\n"
    lab = Lab(tmp_path / "study", text)
    lab.drop("site-a", "1.ndjson", course("c1", "44444"))
    lab.night()
    assert lab.rows(
        "select established, rule_id, threshold from marts.alliance_dyad where scale = 'total'"
    ) == [("not_established", "high", 4.5)]


def test_first_session_of_work_is_a_task_code_or_a_named_one(lab: Lab) -> None:
    events = [*course("c1", "23344"), *course("c2", "44444")]
    events += [code(4, "task"), code(1, "withdrawal", nth=2)]
    events += [passage("recall.moment", 1, "c2", perspective="client", code="task_started")]
    lab.drop("site-a", "1.ndjson", events)
    lab.night()
    columns = "first_established_session, first_work_session, established_after_work"
    assert dyads(lab, columns) == {"c1": (2, 4, -2), "c2": (1, 1, 0)}


def test_mistakes_in_the_rules_are_named(tmp_path: Path) -> None:
    text = (
        STUDY
        + """ruptures:
  - {id: mine, preset: drop_own_sd_k1}
  - {id: mine, preset: chart_k1}
"""
    )
    text = text.replace("instrument: short-therapist, version", "instrument: none, version")
    (tmp_path / "study").mkdir()
    (tmp_path / "study/short-therapist.yaml").write_text(SHORT)
    with pytest.raises(StudyError) as told:
        _ = Lab(tmp_path / "study", text).study
    assert told.value.problems == [
        "study.yaml:12: key `ruptures[1].id`: found 'mine' a second time, expected each id once",
        "study.yaml:5: key `alliance.established.unless`: found 'drop_own_sd_k1', expected the id of a rule for ruptures",
        "study.yaml:7: key `alliance.pairs[0].therapist`: no form none 1 that a therapist fills in is known",
    ]
