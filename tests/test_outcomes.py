"""Rules of change on small tables: what counts at the border, who can recover, what moves and what is frozen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dyadlog.assets.warehouse.freeze import freeze
from dyadlog.schemas.errors import StudyError, UserError
from dyadlog.schemas.study import read_study
from tests.conftest import Lab, client, rating
from tests.reference.case import Case

FORM = {"instrument": "measure", "version": "1"}
POINTS = {**FORM, "preset": "points", "points": 6, "cutoff_value": 10}


def judge(
    folder: Path, pairs: dict[str, tuple[float, float]], *rules: dict[str, Any], better: str = "lower"
) -> Lab:
    """Clients with a score at intake and one at the end."""
    case = Case(folder, {"measure": ("outcome", better)}, outcomes=list(rules))
    for name, (pre, post) in pairs.items():
        case.score("site-a", name, "measure", "intake", pre)
        case.score("site-a", name, "measure", "end", post)
    return case.night()


def categories(lab: Lab, rule: str) -> dict[str, str]:
    return dict(
        lab.rows(f"select client_id, category from marts.outcome_client where rule_id = '{rule}' order by 1")
    )


# Lower is better, clinical from 10 on, 6 points count.
BORDER = [
    (16, 10, "improved"),  # exactly 6 points; 10 is still clinical
    (16, 9, "recovered"),
    (15, 10, "unchanged"),
    (15, 9, "recovered"),  # exactly 6 points across the cut-off
    (10, 4, "recovered"),  # exactly at the cut-off before
    (9, 1, "improved"),  # began on the functional side: cannot recover
    (9, 15, "deteriorated"),
    (9, 14.9, "unchanged"),
]


def test_published_points_count_from_the_point_itself(tmp_path: Path) -> None:
    pairs = {f"c{n}": (pre, post) for n, (pre, post, _) in enumerate(BORDER)}
    lab = judge(tmp_path, pairs, POINTS | {"id": "points"})
    assert categories(lab, "points") == {f"c{n}": what for n, (_, _, what) in enumerate(BORDER)}


@pytest.mark.parametrize(
    ("pre", "post", "points", "what"),
    [
        (16, 10, "improved", "unchanged"),
        (16, 9.99, "recovered", "recovered"),
        (10, 16, "deteriorated", "unchanged"),
    ],
)
def test_points_are_inclusive_and_formulas_are_strict(
    tmp_path: Path, pre: float, post: float, points: str, what: str
) -> None:
    """The same 6 points: by the published rule a change of 6 counts, by the formula only more than 6.

    The index is made so that its reliable change is 6: critical value 3, error of the difference 2.
    """
    formula = {
        **FORM,
        "id": "formula",
        "preset": "jacobson_truax",
        "critical": 3,
        "reliability": 0.5,
        "functional_mean": 5,
        "functional_sd": 2,
        "cutoff": "published",
        "cutoff_value": 9.995,
        "reference": "frozen",
    }
    norms = """\
instrument: measure
norm_sets:
  frozen:
    versions: ["1"]
    population: made
    scales:
      total:
        clinical_mean: {value: 15, status: project, source: made}
        clinical_sd: {value: 2, status: project, source: made}
"""
    case = Case(
        tmp_path,
        {"measure": ("outcome", "lower")},
        outcomes=[POINTS | {"id": "points"}, formula],
        norms=["norms.yaml"],
    )
    (tmp_path / "study").mkdir()
    (tmp_path / "study/norms.yaml").write_text(norms)
    case.score("site-a", "c1", "measure", "intake", pre)
    case.score("site-a", "c1", "measure", "end", post)
    lab = case.night()
    assert lab.rows("select reliable_change from marts.outcome_reference where rule_id = 'formula'") == [
        (pytest.approx(6, abs=1e-12),)
    ]
    assert categories(lab, "points") == {"c1": points}
    assert categories(lab, "formula") == {"c1": what}


def test_direction_turns_everything(tmp_path: Path) -> None:
    pairs = {f"c{n}": (100 - pre, 100 - post) for n, (pre, post, _) in enumerate(BORDER)}
    lab = judge(tmp_path, pairs, POINTS | {"id": "points", "cutoff_value": 90}, better="higher")
    assert categories(lab, "points") == {f"c{n}": what for n, (_, _, what) in enumerate(BORDER)}
    assert lab.rows(
        "select improvement from marts.outcome_client where client_id = 'c0' and rule_id = 'points'"
    ) == [(6.0,)]


def test_points_of_time_are_named_and_a_missing_one_gives_no_category(tmp_path: Path) -> None:
    case = Case(
        tmp_path,
        {"measure": ("outcome", "lower")},
        outcomes=[
            POINTS | {"id": "whole"},
            POINTS | {"id": "intake_end", "pre": "intake", "post": "end"},
            POINTS | {"id": "first_8", "pre": 1, "post": 8},
        ],
    )
    course: list[tuple[str | int, float]] = [("intake", 20), (1, 18), (4, 12), (8, 9)]
    for when, value in course:
        case.score("site-a", "c1", "measure", when, value)
    case.score("site-a", "once", "measure", 1, 30)
    lab = case.night()
    assert lab.rows(
        "select client_id, rule_id, pre_score, post_score, change, category from marts.outcome_client "
        "where rule_id <> 'first_last' order by all"
    ) == [
        ("c1", "first_8", 18.0, 9.0, -9.0, "recovered"),
        ("c1", "intake_end", 20.0, None, None, None),
        ("c1", "whole", 20.0, 9.0, -11.0, "recovered"),
        ("once", "first_8", 30.0, None, None, None),
        ("once", "intake_end", None, None, None, None),
        ("once", "whole", 30.0, 30.0, None, None),
    ]


def test_percent_of_a_first_score_of_zero_is_unknown(tmp_path: Path) -> None:
    lab = judge(
        tmp_path,
        {"zero": (0, 5), "half": (20, 10), "less": (20, 10.2), "worse": (20, 30)},
        {**FORM, "id": "half", "preset": "percent"},
    )
    assert categories(lab, "half") == {
        "half": "improved",
        "less": "unchanged",
        "worse": "deteriorated",
        "zero": None,
    }


def test_without_words_in_the_protocol_published_points_are_used(lab: Lab) -> None:
    """PHQ-9 in study.yaml: 6 points and 10 by the IAPT norm set."""
    events = [client()]
    for occasion, answers in (("intake", [2] * 6 + [0] * 3), ("end", [1] * 6 + [0] * 3)):
        events.append(rating(None, answers, instrument="phq-9", version="1", occasion=occasion))
    lab.drop("site-a", "1.ndjson", events)
    lab.night()
    assert lab.rows(
        "select rule_id, norm_set, cutoff, reliable_change, category from marts.outcome_client order by 1"
    ) == [("first_last", None, None, None, None), ("points_iapt", "iapt", 10.0, 6.0, "recovered")]


IAPT_STUDY = """\
study: lab
title: Laboratory
sites: [{id: site-a}]
measures:
  - {id: phq, instrument: phq-9, version: "1", rater: client, occasion: intake, role: outcome, sessions: once}
  - {id: gad, instrument: gad-7, version: "1", rater: client, occasion: intake, role: outcome, sessions: once}
"""


@pytest.mark.parametrize(
    ("phq", "gad", "recovered", "improved", "both"),
    [
        ((12, 5), (9, 4), True, True, True),
        ((12, 9), (9, 7), True, False, False),  # below both cut-offs, no reliable change
        ((12, 6), (4, 4), True, True, True),  # a case by one form only
        ((12, 6), (4, 8), False, False, False),  # better in one, reliably worse and a case in the other
        ((9, 3), (7, 3), False, True, False),  # no case at the start
        ((20, 10), (9, 2), False, True, False),  # improved, still a case
    ],
)
def test_the_english_dialect_looks_at_both_forms(
    tmp_path: Path, phq: tuple[int, int], gad: tuple[int, int], recovered: bool, improved: bool, both: bool
) -> None:
    lab = Lab(tmp_path / "study", IAPT_STUDY)
    events = [client()]
    for instrument, items, scores in (("phq-9", 9, phq), ("gad-7", 7, gad)):
        for occasion, score in zip(("intake", "end"), scores, strict=True):
            answers: list[int | None] = [min(3, max(0, score - 3 * nth)) for nth in range(items)]
            events.append(rating(None, answers, instrument=instrument, version="1", occasion=occasion))
    lab.drop("site-a", "1.ndjson", events)
    lab.night()
    assert lab.rows(
        "select is_recovered, is_reliably_improved, is_reliably_recovered from marts.iapt_client"
    ) == [(recovered, improved, both)]


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"preset": "jt"}, "in `preset` one of points"),
        ({"preset": "jacobson_truax"}, "the rule needs `reliability`"),
        ({"preset": "points"}, "the rule needs `cutoff`"),
        ({"preset": "points", "norms": "nowhere"}, "measure 1 has no norm set 'nowhere'"),
        ({"preset": "points", "version": "9"}, "no form measure 9 is known"),
        ({"preset": "points", "pre": "before"}, "outcomes[0].pre"),
    ],
)
def test_mistakes_in_rules_are_named(tmp_path: Path, rule: dict[str, Any], told: str) -> None:
    with pytest.raises(StudyError) as caught:
        judge(tmp_path, {"c1": (1, 2)}, {**FORM, "id": "r", **rule})
    assert told in str(caught.value)


# --- freezing ------------------------------------------------------------------------------------

EARLY = {"a": (30, 20), "b": (28, 27), "c": (34, 18), "d": (31, 24), "e": (29, 28)}
JT = {
    **FORM,
    "id": "jt",
    "preset": "jacobson_truax",
    "reliability": 0.8,
    "functional_mean": 10,
    "functional_sd": 5,
    "pre": "intake",
    "post": "end",
}


def late(lab: Lab) -> None:
    """Clients who spread the sample: they come after the release."""
    events = []
    for number, (pre, post) in enumerate([(5, 5), (60, 58), (8, 9), (55, 50)]):
        name = f"late{number}"
        events.append(client(name))
        for occasion, value in (("intake", pre), ("end", post)):
            event = rating(None, [], name, instrument="measure", version="1", occasion=occasion)
            event["payload"]["items"] = {"score": value}
            events.append(event)
    lab.drop("site-b", "late.ndjson", events)
    lab.night()


def early(lab: Lab, rule: str) -> list[tuple[Any, ...]]:
    return lab.rows(
        "select client_id, change_index, cutoff, residual_gain, category from marts.outcome_client "
        f"where rule_id = '{rule}' and client_id in ('a', 'b', 'c', 'd', 'e') order by 1"
    )


def test_a_late_delivery_never_moves_clients_that_are_judged_by_frozen_figures(tmp_path: Path) -> None:
    lab = judge(tmp_path, EARLY, JT)
    study = json.loads((lab.folder / "study.yaml").read_text())
    study["sites"].append({"id": "site-b"})
    before = early(lab, "jt")
    (path,) = freeze(lab.study, "jt", "release-1")
    study["norms"] = [str(path.relative_to(lab.folder))]
    study["outcomes"].append({**JT, "id": "jt_frozen", "reference": "release-1"})
    (lab.folder / "study.yaml").write_text(json.dumps(study))
    lab.night()
    assert early(lab, "jt_frozen") == before
    late(lab)
    assert early(lab, "jt_frozen") == before
    # The rule that is not frozen does move them: the test can fail.
    assert [row[4] for row in early(lab, "jt")] != [row[4] for row in before]
    assert lab.rows(
        "select rule_id, reference, n_reference from marts.outcome_reference where method = 'jt' order by 1"
    ) == [("jt", "study", 9), ("jt_frozen", "release-1", None)]


def test_what_is_frozen_is_never_overwritten(tmp_path: Path) -> None:
    lab = judge(tmp_path, EARLY, JT)
    freeze(lab.study, "jt", "release-1")
    with pytest.raises(UserError, match="exists already"):
        freeze(lab.study, "jt", "release-1")
    with pytest.raises(UserError, match="No rule 'nothing'"):
        freeze(lab.study, "nothing", "release-2")


def test_an_empty_study_has_nothing_to_freeze(lab: Lab) -> None:
    with pytest.raises(UserError, match="dyadlog night"):
        freeze(read_study(lab.folder), "jt", "x")


def test_builds_with_one_and_several_threads_are_the_same_to_the_last_digit(tmp_path: Path) -> None:
    """Means, SDs and pooled effects over prorated scores: sums of fractions, whose order would show."""
    gains = {**FORM, "preset": "tang_derubeis", "id": "sudden", "kind": "gain", "cutoff": 1, "percent": None}
    case = Case(tmp_path, {"measure": ("outcome", "lower")}, outcomes=[JT], sudden_gains=[gains])
    for nth in range(60):
        site, name = f"site-{nth % 3}", f"c{nth}"
        case.score(site, name, "measure", "intake", 20 + nth / 7)
        for session in range(1, 8):
            case.score(site, name, "measure", session, 20 + nth / 11 - session * (nth % 5) / 3)
        case.score(site, name, "measure", "end", 12 + (nth * 37 % 23) / 9)
    lab = case.night()
    digests = {lab.build(threads=threads).digest for threads in (1, 2, 4)}
    assert len(digests) == 1
    assert lab.rows("select count(*) > 0 from marts.sudden_gain") == [(True,)]
