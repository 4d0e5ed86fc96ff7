"""Scores, alliance, outcome, ruptures and completeness on small tables."""

from __future__ import annotations

import statistics

import pytest

from tests.conftest import Lab, client, phq, rating, session

OQ = {"instrument": "oq-45", "version": "2", "occasion": "pre_session", "items": 45}
CORE10 = {"instrument": "core-10", "version": "1", "occasion": "pre_session", "items": 10}


def total(lab: Lab) -> list[tuple[object, ...]]:
    return lab.rows("select score, n_missing, rule_id from marts.instrument_score where scale = 'total'")


@pytest.mark.parametrize(
    ("form", "answer", "expected"),
    [
        (OQ, 0, 36.0),
        (OQ, 4, 144.0),
        (OQ, 2, 90.0),
        (CORE10, 0, 8.0),
        ({"items": 12}, 5, 60.0),
    ],
)
def test_sentinels_that_follow_from_the_published_keys(
    lab: Lab, form: dict, answer: int, expected: float
) -> None:
    lab.drop("site-a", "1.ndjson", [client(), session(1), rating(1, answer, **form)])
    lab.night()
    assert total(lab)[0][0] == expected


def test_a_missing_item_is_prorated_up_to_the_limit_of_the_form(lab: Lab) -> None:
    answers = [5, 4, 3, 2, 5, 4, 3, 2, 5, 4]
    lab.drop(
        "site-a",
        "1.ndjson",
        [
            client(),
            session(1),
            session(2),
            rating(1, [*answers, None, None]),
            rating(2, [*answers[:9], None, None, None]),
        ],
    )
    lab.night()
    assert lab.rows(
        "select session_number, score, n_missing from marts.alliance_session where scale = 'total' order by 1"
    ) == [(1, pytest.approx(37 * 12 / 10, abs=1e-12), 2), (2, None, 3)]


def test_oq45_missing_item_takes_the_rounded_mean_of_its_subscale(lab: Lab) -> None:
    # Symptom distress without item 2: the other 24 items sum to 3 * 24 minus two reversed (13, 24, 31: 4 - 3 = 1 each).
    answers: list[int | None] = [3] * 45
    answers[1] = None
    lab.drop("site-a", "1.ndjson", [client(), session(1), rating(1, answers, **OQ)])
    lab.night()
    symptom = [2, 3, 5, 6, 8, 9, 10, 11, 13, 15, 22, 23, 24, 25, 27, 29, 31, 33, 34, 35, 36, 40, 41, 42, 45]
    reverse = {1, 12, 13, 20, 21, 24, 31, 37, 43}
    keyed = {item: 1 if item in reverse else 3 for item in range(1, 46)}
    rest = [keyed[item] for item in symptom if item != 2]
    filled = sum(rest) + round(sum(rest) / len(rest))
    others = sum(keyed[item] for item in keyed if item not in symptom)
    found = dict(lab.rows("select scale, score from marts.instrument_score"))
    assert found["symptom_distress"] == filled
    assert found["total"] == filled + others


def test_a_claimed_total_is_compared_and_never_used(lab: Lab) -> None:
    lab.drop(
        "site-a", "1.ndjson", [client(), session(1), session(2), phq(1, 1, total=9), phq(2, 1, total=34)]
    )
    lab.night()
    assert lab.rows("select session_number, score, claim_agrees from marts.instrument_score order by 1") == [
        (1, 9.0, True),
        (2, 9.0, False),
    ]
    finding = "select n_violated, n_denominator, outcome from quality.finding where code = 'TOTAL_DISAGREES'"
    assert lab.rows(f"{finding} and site_id = 'site-a'") == [(1, 2, "warn")]


def test_subscales_stand_beside_the_total(lab: Lab) -> None:
    lab.drop("site-a", "1.ndjson", [client(), session(1), rating(1, [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2])])
    lab.night()
    assert lab.rows("select scale, score, item_mean from marts.alliance_session order by 1") == [
        ("bond", 3 + 5 + 2 + 4, 3.5),
        ("goal", 4 + 1 + 3 + 1, 2.25),
        ("task", 1 + 2 + 5 + 2, 2.5),
        ("total", 33.0, 2.75),
    ]


def test_first_last_and_change_of_a_client(lab: Lab) -> None:
    intake = phq(0, 3)
    intake["payload"]["occasion"] = "intake"
    intake["session_number"] = None
    lab.drop("site-a", "1.ndjson", [client(), session(1), session(2), phq(2, 1), phq(1, 2), intake])
    lab.night()
    assert lab.rows(
        "select n_scores, pre_score, pre_session_number, post_score, post_session_number, change, improvement "
        "from marts.outcome_client where rule_id = 'first_last'"
    ) == [(3, 27.0, None, 9.0, 2, -18.0, 18.0)]


def test_a_rupture_is_a_drop_of_at_least_k_standard_deviations_of_the_clients_own_ratings(lab: Lab) -> None:
    series = {1: 4, 2: 4, 3: 5, 5: 2, 6: 4}
    events = [client()] + [session(n) for n in series] + [rating(n, a) for n, a in series.items()]
    lab.drop("site-a", "1.ndjson", events)
    lab.night()
    sd = statistics.stdev(12 * a for a in series.values())
    ((number, before, gap, drop, own, rule, n),) = lab.rows(
        "select session_number, previous_session_number, session_gap, drop_size, spread, rule_id, n_ratings "
        "from marts.rupture_event where rule_id = 'drop_own_sd_k1'"
    )
    assert (number, before, gap, drop, rule, n) == (5, 3, 2, 36.0, "drop_own_sd_k1", 5)
    assert own == pytest.approx(sd, abs=1e-9)


def test_too_few_ratings_give_no_rupture(lab: Lab) -> None:
    events = [client(), session(1), session(2), rating(1, 5), rating(2, 1)]
    lab.drop("site-a", "1.ndjson", events)
    lab.night()
    assert lab.rows("select rule_id from marts.rupture_event") == [("sudden_drop",)]  # that needs no spread


def test_no_data_is_a_finding_and_never_a_percentage(lab: Lab) -> None:
    lab.drop("site-a", "1.ndjson", [client()])
    lab.night()
    silent = lab.rows(
        "select code, outcome from quality.finding where site_id = 'site-c' and outcome <> 'not_applicable'"
    )
    assert silent == [("SITE_SILENT", "warn")]


def test_every_number_is_the_same_whatever_the_scale_of_the_own_site(lab: Lab) -> None:
    """A `scope: site` model gives a site the same rows whether other sites are there or not."""
    events = [client(), *(session(n) for n in range(1, 9)), *(rating(n, 1 + n % 5) for n in range(1, 9))]
    lab.drop("site-a", "1.ndjson", events)
    alone = lab.night()
    mine = lab.rows("select * from marts.alliance_session order by all")
    lab.drop("site-b", "1.ndjson", events[::-1])
    both = lab.night()
    assert alone.digest != both.digest
    assert lab.rows("select * from marts.alliance_session where site_id = 'site-a' order by all") == mine
