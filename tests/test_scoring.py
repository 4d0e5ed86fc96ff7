"""Scores against an oracle of its own: keys typed in from the specification, arithmetic in fractions.

The table below repeats the published keys by hand, so that a slip in a data file cannot hide; the oracle shares no
code with the models. Short forms are tried with every response pattern, missing answers included, long ones by sample.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from dyadlog.schemas.instruments import shipped_instruments
from tests.conftest import Lab, client, rating, session


@dataclass
class Key:
    """One form: number of items, range, reversed items, scales, aggregation, missing answers allowed."""

    items: int | list[str]
    low: int
    high: int
    reverse: str = ""
    scales: dict[str, str] = field(default_factory=dict)
    how: str = "sum"
    total_missing: int = 0
    scale_missing: int | dict[str, int] = 0
    fills: bool = False
    rater: str = "client"
    has_total: bool = True

    @property
    def names(self) -> list[str]:
        return self.items if isinstance(self.items, list) else [str(n) for n in range(1, self.items + 1)]


WAI_SR = {"goal": "4 6 8 11", "task": "1 2 10 12", "bond": "3 5 7 9"}
CORE = {
    "wellbeing": "4 14 17 31",
    "problems": "2 5 8 11 13 15 18 20 23 27 28 30",
    "functioning": "1 3 7 10 12 19 21 25 26 29 32 33",
    "risk": "6 9 16 22 24 34",
}
CORE["non_risk"] = " ".join(str(n) for n in range(1, 35) if str(n) not in CORE["risk"].split())
OQ = {
    "symptom_distress": "2 3 5 6 8 9 10 11 13 15 22 23 24 25 27 29 31 33 34 35 36 40 41 42 45",
    "interpersonal_relations": "1 7 16 17 18 19 20 26 30 37 43",
    "social_role": "4 12 14 21 28 32 38 39 44",
}
BSI = {
    "somatization": "2 7 23 29 30 33 37",
    "obsessive_compulsive": "5 15 26 27 32 36",
    "interpersonal_sensitivity": "20 21 22 42",
    "depression": "9 16 17 18 35 50",
    "anxiety": "1 12 19 38 45 49",
    "hostility": "6 13 40 41 46",
    "phobic_anxiety": "8 28 31 43 47",
    "paranoid_ideation": "4 10 24 48 51",
    "psychoticism": "3 14 34 44 53",
}
WAI_36 = {
    "task": "2 4 7 11 13 15 16 18 24 31 33 35",
    "bond": "1 5 8 17 19 20 21 23 26 28 29 36",
    "goal": "3 6 9 10 12 14 22 25 27 30 32 34",
}
CORE_LIMITS = {"wellbeing": 0, "problems": 1, "functioning": 1, "risk": 0, "non_risk": 2}

KEYS = {
    ("wai-sr", "client-1-5"): Key(12, 1, 5, "", WAI_SR, "sum", 2, 1),
    ("wai-sr", "client-1-7"): Key(12, 1, 7, "", WAI_SR, "sum", 2, 1),
    ("wai-sr", "therapist-1-5"): Key(12, 1, 5, "", WAI_SR, "sum", 2, 1, rater="therapist"),
    ("wai-sr", "therapist-1-7"): Key(12, 1, 7, "", WAI_SR, "sum", 2, 1, rater="therapist"),
    ("wai-36", "1"): Key(36, 1, 7, "1 3 7 9 10 11 12 15 20 27 29 31 33 34", WAI_36, "sum", 3, 1),
    ("wai-s", "1"): Key(
        12, 1, 7, "4 10", {"task": "1 2 8 12", "bond": "3 5 7 9", "goal": "4 6 10 11"}, "sum", 2, 1
    ),
    ("sai", "0-5"): Key(6, 0, 5, how="mean", total_missing=1),
    ("sai", "1-7"): Key(6, 1, 7, how="mean", total_missing=1),
    ("srs", "3"): Key(4, 0, 10),
    ("calpas", "patient"): Key(24, 1, 7, how="mean", total_missing=2),
    ("haq-ii", "2"): Key(19, 1, 6, "4 8 11 16 19", total_missing=1),
    ("arm-12", "1"): Key(12, 1, 7, how="mean", total_missing=1),
    ("psq-rupture", "1"): Key(
        ["intensity", "resolution"],
        1,
        5,
        "",
        {"intensity": "intensity", "resolution": "resolution"},
        has_total=False,
    ),
    ("oq-45", "2"): Key(45, 0, 4, "1 12 13 20 21 24 31 37 43", OQ, "sum", 9, 5, fills=True),
    ("core-om", "1"): Key(34, 0, 4, "3 4 7 12 19 21 31 32", CORE, "mean_x10", 3, CORE_LIMITS),
    ("core-10", "1"): Key(10, 0, 4, "2 3", total_missing=1),
    ("phq-9", "1"): Key(9, 0, 3, total_missing=2),
    ("gad-7", "1"): Key(7, 0, 3, total_missing=2),
    ("bdi-ii", "2"): Key(21, 0, 3, total_missing=2),
    ("ors", "2"): Key(4, 0, 10),
    ("bsi-53", "1"): Key(53, 0, 4, "", BSI, "mean", 10, 1),
    ("scl-90-r", "1"): Key(90, 0, 4, how="mean", total_missing=18),
    ("iip-32", "barkham-1996"): Key(32, 0, 4, how="mean", total_missing=3),
    ("iip-32", "circumplex"): Key(32, 0, 4, how="mean", total_missing=3),
    ("wsas", "1"): Key(5, 0, 8),
}

Answers = list[int | None]
Scored = dict[str, tuple[Fraction | None, int]]


def half_up(value: Fraction) -> int:
    return int(value + Fraction(1, 2)) if value >= 0 else -int(-value + Fraction(1, 2))


def oracle(key: Key, answers: Answers) -> Scored:
    """Score and number of missing answers by scale."""
    reverse = key.reverse.split()
    keyed = {
        name: key.low + key.high - answer if name in reverse else answer
        for name, answer in zip(key.names, answers, strict=True)
        if answer is not None
    }
    scales = {name: members.split() for name, members in key.scales.items()}
    found: Scored = {}
    filled: dict[str, int | None] = {}
    for scale, members in scales.items():
        limit = key.scale_missing if isinstance(key.scale_missing, int) else key.scale_missing[scale]
        given = [keyed[item] for item in members if item in keyed]
        missing = len(members) - len(given)
        usable = given and missing <= limit
        if key.fills:
            filled[scale] = (
                sum(given) + missing * half_up(Fraction(sum(given), len(given))) if usable else None
            )
            found[scale] = (None if filled[scale] is None else Fraction(filled[scale]), missing)
        else:
            found[scale] = (score(key.how, given, len(members)) if usable else None, missing)
    if key.has_total:
        given = list(keyed.values())
        missing = len(answers) - len(given)
        if not given or missing > key.total_missing:
            value = None
        elif key.fills:
            value = None if None in filled.values() else Fraction(sum(v for v in filled.values() if v))
        else:
            value = score(key.how, given, len(answers))
        found["total"] = (value, missing)
    return found


def score(how: str, given: list[int], items: int) -> Fraction:
    mean = Fraction(sum(given), len(given))
    return {"sum": mean * items, "mean": mean, "mean_x10": mean * 10}[how]


def deliver(lab: Lab, forms: list[tuple[str, str, Key, Answers]]) -> list[Scored]:
    """Every form from a client of its own, through a night; what the mart says, in the same order."""
    events: list[dict[str, Any]] = []
    for number, (instrument, version, key, answers) in enumerate(forms):
        name = f"c{number}"
        form = rating(
            None,
            [],
            name,
            instrument=instrument,
            version=version,
            rater=key.rater,
            occasion="intake",
        )
        form["payload"]["items"] = dict(zip(key.names, answers, strict=True))
        events += [client(name), form]
    lab.drop("site-a", "forms.ndjson", events)
    lab.night()
    found: list[Scored] = [{} for _ in forms]
    rows = lab.rows("select client_id, scale, score, n_missing from marts.instrument_score")
    for name, scale, value, missing in rows:
        found[int(name[1:])][scale] = (value, missing)
    return found


def agree(found: Scored, expected: Scored) -> bool:
    return found.keys() == expected.keys() and all(
        found[scale][1] == missing
        and (found[scale][0] is None) == (value is None)
        and (value is None or abs(found[scale][0] - value) <= 1e-9)
        for scale, (value, missing) in expected.items()
    )


def test_the_table_names_every_shipped_form_and_nothing_else() -> None:
    shipped = {(name, version) for name, i in shipped_instruments().items() for version in i.versions}
    assert shipped == set(KEYS)


@pytest.mark.parametrize(("scales", "covered"), [(OQ, 45), (WAI_36, 36), (WAI_SR, 12), (BSI, 49)])
def test_scales_of_the_table_share_no_item(scales: dict[str, str], covered: int) -> None:
    items = [item for members in scales.values() for item in members.split()]
    assert len(items) == len(set(items)) == covered


def test_all_shipped_forms_score_as_the_oracle_says(lab: Lab) -> None:
    dice = random.Random(45)
    forms: list[tuple[str, str, Key, Answers]] = []
    for (instrument, version), key in KEYS.items():
        n = len(key.names)
        patterns: list[Answers] = [[key.low] * n, [key.high] * n, [None] * n]
        for nth in range(45):
            answers: Answers = [dice.randint(key.low, key.high) for _ in range(n)]
            for place in dice.sample(range(n), k=min(n, nth % (key.total_missing + 3))):
                answers[place] = None
            patterns.append(answers)
        forms += [(instrument, version, key, answers) for answers in patterns]
    found = deliver(lab, forms)
    wrong = [
        (instrument, version, answers)
        for (instrument, version, key, answers), scored in zip(forms, found, strict=True)
        if not agree(scored, oracle(key, answers))
    ]
    assert wrong == []


SHORT = """\
instrument: short-{how}
name: Short form
domain: outcome
source: made for this test
licence: none
direction: lower_is_better
versions:
  "1":
    raters: [client]
    items: 5
    min: 0
    max: 2
    reversed: [2, 5]
    score: {score}
    missing_rule: {rule}
    max_missing: {{total: 3, subscale: 2}}
    subscales: {{one: [1, 2, 3], two: [4, 5]}}
"""


def test_every_response_pattern_of_a_short_form_under_every_rule(tmp_path: Path) -> None:
    rules = {
        "sum": ("sum", "prorate"),
        "mean": ("mean", "prorate"),
        "mean_x10": ("mean_x10", "prorate"),
        "filled": ("sum", "subscale_mean_rounded"),
    }
    names = ", ".join(f"{how}.yaml" for how in rules)
    lab = Lab(
        tmp_path / "study", f"study: lab\ntitle: Short\nsites: [{{id: site-a}}]\ninstruments: [{names}]\n"
    )
    forms: list[tuple[str, str, Key, Answers]] = []
    for how, (aggregate, rule) in rules.items():
        (lab.folder / f"{how}.yaml").write_text(SHORT.format(how=how, score=aggregate, rule=rule))
        scales = {"one": "1 2 3", "two": "4 5"}
        key = Key(5, 0, 2, "2 5", scales, aggregate, 3, 2, fills=how == "filled")
        patterns = itertools.product([0, 1, 2, None], repeat=5)
        forms += [(f"short-{how}", "1", key, list(pattern)) for pattern in patterns]
    found = deliver(lab, forms)
    assert len(forms) == 4 * 4**5
    assert [f for f, scored in zip(forms, found, strict=True) if not agree(scored, oracle(f[2], f[3]))] == []


# instrument, version, every raw answer, total: what follows from the published keys (reversed items and their number)
SENTINELS = [
    ("oq-45", "2", 0, 36.0),
    ("oq-45", "2", 4, 144.0),
    ("oq-45", "2", 2, 90.0),
    ("core-om", "1", 0, 320 / 34),
    ("core-10", "1", 0, 8.0),
    ("wai-sr", "client-1-5", 5, 60.0),
    ("wai-36", "1", 1, 36 + 14 * 6.0),
]


def test_sentinels(lab: Lab) -> None:
    """From the delivery to the mart, and in the oracle too."""
    keys = [KEYS[instrument, version] for instrument, version, *_ in SENTINELS]
    forms: list[tuple[str, str, Key, Answers]] = [
        (instrument, version, key, [answer] * len(key.names))
        for (instrument, version, answer, _), key in zip(SENTINELS, keys, strict=True)
    ]
    expected = pytest.approx([total for *_, total in SENTINELS], abs=1e-12)
    assert [scored["total"][0] for scored in deliver(lab, forms)] == expected
    assert [float(oracle(key, answers)["total"][0] or 0) for *_, key, answers in forms] == expected


# The published rule: a missing answer is the mean of the other answers of its subscale, rounded to the nearest integer.
SOCIAL_ROLE = [4, 12, 14, 21, 28, 32, 38, 39, 44]


@pytest.mark.parametrize(
    ("others", "missing", "expected"),
    [
        ([1] * 8, [4], 9),  # mean 1
        ([1, 1, 1, 1, 1, 1, 1, 2], [4], 9 + 1),  # mean 9/8 -> 1
        ([1, 1, 1, 1, 2, 2, 2, 2], [4], 12 + 2),  # mean 1.5 -> 2: a half goes up
        ([0, 0, 0, 0, 1, 1, 1, 1], [4], 4 + 1),  # mean 0.5 -> 1
        ([0, 0, 0, 0, 0, 1, 1, 1], [4], 3 + 0),  # mean 3/8 -> 0
        (
            [3, 3, 3, 4],
            [4, 14, 28, 32, 38],
            13 + 5 * 3,
        ),  # mean 3.25 -> 3, five times: the most that is allowed
        ([3, 3, 4], [4, 14, 28, 32, 38, 39], None),  # six of nine missing
    ],
)
def test_the_missing_item_rule_of_the_oq45(
    lab: Lab, others: list[int], missing: list[int], expected: int | None
) -> None:
    """Keyed answers of social role; items 12 and 21 are reversed and never missing here."""
    items: dict[str, int | None] = {str(n): 0 for n in range(1, 46)}
    present = [item for item in SOCIAL_ROLE if item not in missing]
    for item, keyed in zip(present, others, strict=True):
        items[str(item)] = 4 - keyed if item in (12, 21) else keyed
    for item in missing:
        items[str(item)] = None
    event = rating(1, [], instrument="oq-45", version="2", occasion="pre_session")
    event["payload"]["items"] = items
    lab.drop("site-a", "1.ndjson", [client(), session(1), event])
    lab.night()
    found = dict(lab.rows("select scale, score from marts.instrument_score"))
    assert found["social_role"] == expected
    # Seven reversed items lie in the other two scales: 28 points for answers of zero.
    assert found["total"] == (None if expected is None else expected + 28)


@pytest.mark.parametrize(
    ("instrument", "claimed", "agrees"),
    [
        ("phq-9", 9.0, True),
        ("phq-9", 9.4, False),
        ("core-om", 10.6, True),  # 36 / 34 x 10 = 10.588
        ("core-om", 10.5, False),
        ("bsi-53", 1.0, True),
        ("bsi-53", 1.01, False),
    ],
)
def test_a_claimed_total_is_compared_as_it_is_printed(
    lab: Lab, instrument: str, claimed: float, agrees: bool
) -> None:
    key = KEYS[instrument, "1"]
    answers: list[int | None] = [1] * len(key.names)
    if instrument == "core-om":
        answers = [3 if str(n) in key.reverse.split() else 1 for n in range(1, 35)]
        answers[0] = 3
    form = {"instrument": instrument, "version": "1", "occasion": "pre_session"}
    lab.drop("site-a", "1.ndjson", [client(), session(1), rating(1, answers, total=claimed, **form)])
    lab.night()
    assert lab.rows("select claim_agrees from marts.instrument_score where scale = 'total'") == [(agrees,)]


def test_runs_copies_and_timing(lab: Lab) -> None:
    one = [5, 5, 5, 5, 1, 1, None, 1, 2, 3, 3, 3]
    events = [client(), *(session(n) for n in range(1, 5))]
    events += [rating(1, one, study_day=7), rating(2, one, study_day=16), rating(3, 5, study_day=20)]
    fourth = rating(4, [5] * 11 + [4], study_day=31)
    fourth["payload"]["seconds"] = 24
    lab.drop("site-a", "1.ndjson", [*events, fourth])
    lab.night()
    assert lab.rows(
        "select session_number, longest_run, round(mean_run, 6), is_long_run, copies_previous, seconds_per_item, "
        "days_from_session, timing from marts.response_quality order by 1"
    ) == [
        (1, 4, round(12 / 6, 6), False, None, None, 0, "on_time"),
        (2, 4, round(12 / 6, 6), False, True, None, 2, "on_time"),
        (3, 12, 12.0, True, False, None, -1, "early"),
        (4, 11, 6.0, False, False, 2.0, 3, "late"),
    ]
