"""Groups on small tables: mean change against the points that count, arms, bands of severity, rules on subscales."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dyadlog.assets.warehouse.freeze import freeze
from dyadlog.schemas.errors import StudyError
from dyadlog.schemas.norms import shipped_norms
from tests.conftest import Lab, client, rating
from tests.reference.case import Case


def about(value: float) -> Any:
    return pytest.approx(value, abs=1e-9)


FORM = {"instrument": "measure", "version": "1", "points": 5, "cutoff": None, "at_cutoff": "neither"}
# site, improvements of its clients, by the definition, by clinicalsignificance 3.0.0 (higher is better here)
CHANGES: list[tuple[str, list[float], str | None, str | None]] = [
    ("zero-inside", [-2, 0, 1, 2], "not_significant", None),
    ("zero-and-points-inside", [-1, 4, 4, 9], "not_significant", "maybe_relevant"),
    ("worse", [-6, -5, -5, -4], "worse", "below_points"),
    ("below", [1, 2, 2, 3], "below_points", "below_points"),
    ("maybe", [3, 4, 5, 6], "maybe_relevant", "maybe_relevant"),
    ("probably", [4, 5, 6, 7], "probably_relevant", "probably_relevant"),
    ("relevant", [9, 10, 10, 11], "relevant", "relevant"),
    ("alone", [9], None, None),
]


@pytest.fixture(scope="module")
def groups(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    rules = [
        FORM | {"id": "definition", "preset": "points"},
        FORM | {"id": "package", "preset": "clinicalsignificance_3_0_0_anchor"},
    ]
    case = Case(tmp_path_factory.mktemp("groups"), {"measure": ("outcome", "higher")}, outcomes=rules)
    for site, changes, *_ in CHANGES:
        for nth, change in enumerate(changes):
            name = f"{site}-{nth}"
            case.client(site, name, arm="waiting" if site in ("zero-inside", "worse") else "treated")
            case.score(site, name, "measure", "intake", 20)
            case.score(site, name, "measure", "end", 20 + change)
    return case.night()


def test_mean_change_of_a_group_against_the_points_that_count(groups: Lab) -> None:
    found = dict(
        groups.rows("select site_id, relevance from marts.site_outcome where rule_id = 'definition'")
    )
    assert found == {site: told for site, _, told, _ in CHANGES}
    found = dict(groups.rows("select site_id, relevance from marts.site_outcome where rule_id = 'package'"))
    assert found == {site: told for site, _, _, told in CHANGES}
    # a rule without points says nothing
    assert groups.rows("select distinct relevance from marts.site_outcome where rule_id = 'first_last'") == [
        (None,)
    ]


def test_the_interval_is_that_of_t(groups: Lab) -> None:
    """Mean 5.5, SD root of 5 / 3, n 4: t of three degrees of freedom is 3.182446."""
    ((low, high),) = groups.rows(
        "select improvement_low, improvement_high from marts.site_outcome "
        "where rule_id = 'definition' and site_id = 'probably'"
    )
    margin = 3.182446305284263 * (5 / 3) ** 0.5 / 2
    assert (low, high) == (about(5.5 - margin), about(5.5 + margin))


def test_arms_are_compared_once_and_turned_to_the_side_of_health(groups: Lab) -> None:
    assert groups.rows(
        "select arm, other_arm, n, n_other, mean, mean_other, difference, g > 0, low < g and g < high "
        "from marts.arm_contrast where rule_id = 'definition'"
    ) == [
        (
            "treated",
            "waiting",
            21,
            8,
            *map(about, (20 + 113 / 21, 20 - 19 / 8, 113 / 21 + 19 / 8)),
            True,
            True,
        )
    ]


# --- bands and subscales -------------------------------------------------------------------------

STUDY: dict[str, Any] = {
    "study": "lab",
    "title": "Laboratory",
    "sites": [{"id": "site-a"}],
    "outcomes": [
        {"id": "distress", "preset": "points", "instrument": "oq-45", "version": "2"}
        | {"scale": "symptom_distress", "norms": "us-manual"},
        {"id": "jt", "preset": "jacobson_truax", "instrument": "oq-45", "version": "2", "cutoff": "a"}
        | {"scale": "symptom_distress", "reliability": 0.9},
    ],
}
# instrument, version, answers, band
BANDS = [
    ("phq-9", "1", [0] * 9, "minimal"),
    ("phq-9", "1", [1] * 4 + [0] * 5, "minimal"),
    ("phq-9", "1", [1] * 5 + [0] * 4, "mild"),
    ("phq-9", "1", [1] * 4 + [0] * 4 + [None], "minimal"),  # prorated to 4.5
    ("phq-9", "1", [3] * 3 + [0] * 6, "mild"),
    ("phq-9", "1", [2] * 5 + [0] * 4, "moderate"),
    ("phq-9", "1", [3] * 5 + [0] * 4, "moderately_severe"),
    ("phq-9", "1", [3] * 6 + [2] + [0] * 2, "severe"),
    ("phq-9", "1", [None] * 3 + [3] * 6, None),  # no score, no band
    ("gad-7", "1", [1] * 4 + [0] * 3, "minimal"),
    ("gad-7", "1", [1] * 5 + [0] * 2, "mild"),
    ("gad-7", "1", [2] * 5 + [0] * 2, "moderate"),
    ("gad-7", "1", [3] * 5 + [0] * 2, "severe"),
    ("bdi-ii", "2", [1] * 13 + [0] * 8, "minimal"),
    ("bdi-ii", "2", [1] * 14 + [0] * 7, "mild"),
    ("bdi-ii", "2", [1] * 20 + [0], "moderate"),
    ("bdi-ii", "2", [1] * 20 + [3] * 0 + [1], "moderate"),
    ("bdi-ii", "2", [3] * 9 + [2] + [0] * 11, "severe"),
]
# raw answers of the OQ-45 before and after, what became of it in symptom distress (10 points count, 36 is clinical)
DISTRESS = [(2, 1, "recovered"), (3, 2, "improved"), (2, 2, "unchanged"), (2, 3, "deteriorated")]


@pytest.fixture(scope="module")
def scales(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    lab = Lab(tmp_path_factory.mktemp("scales") / "study", json.dumps(STUDY))
    events = []
    for nth, (instrument, version, answers, _) in enumerate(BANDS):
        events.append(client(f"band-{nth}"))
        events.append(
            rating(None, answers, f"band-{nth}", instrument=instrument, version=version, occasion="intake")
        )
    for nth, (pre, post, _) in enumerate(DISTRESS):
        events.append(client(f"distress-{nth}"))
        for occasion, answer in (("intake", pre), ("end", post)):
            events.append(
                rating(
                    None, [answer] * 45, f"distress-{nth}", instrument="oq-45", version="2", occasion=occasion
                )
            )
    lab.drop("site-a", "1.ndjson", events)
    lab.night()
    return lab


def test_scores_lie_in_the_bands_of_their_norm_set(scales: Lab) -> None:
    found = dict(scales.rows("select client_id, severity from marts.severity"))
    assert found == {f"band-{nth}": band for nth, (*_, band) in enumerate(BANDS) if band}
    assert scales.rows("select distinct instrument, norm_set from marts.severity order by 1") == [
        ("bdi-ii", "manual"),
        ("gad-7", "iapt"),
        ("phq-9", "iapt"),
    ]


def test_every_band_says_how_it_is_known() -> None:
    bands = [
        band
        for norm_sets in shipped_norms().values()
        for norm_set in norm_sets.values()
        for figures in norm_set.scales.values()
        for band in figures.bands
    ]
    assert bands
    assert all(band.status in ("V", "M") and band.source for band in bands)


def test_a_rule_may_judge_a_subscale(scales: Lab) -> None:
    """Beside the totals, with the cut-off and the reliable change of the subscale; the reversed items are in it."""
    assert scales.rows(
        "select client_id, category from marts.outcome_client where rule_id = 'distress' order by 1"
    ) == [(f"distress-{nth}", what) for nth, (*_, what) in enumerate(DISTRESS)]
    assert scales.rows(
        "select rule_id, scale, cutoff, reliable_change from marts.outcome_reference "
        "where instrument = 'oq-45' and rule_id <> 'jt' order by 1"
    ) == [("distress", "symptom_distress", 36.0, 10.0), ("first_last", "total", None, None)]
    assert scales.rows(
        "select scale, count(*) from marts.outcome_score where instrument = 'oq-45' group by all order by 1"
    ) == [("symptom_distress", 8), ("total", 8)]


def test_what_is_frozen_of_a_subscale_is_about_the_subscale(scales: Lab) -> None:
    (path,) = freeze(scales.study, "jt", "release-1")
    assert "      symptom_distress:\n        clinical_mean:" in path.read_text()


def test_a_scale_that_the_form_does_not_have_is_named(tmp_path: Path) -> None:
    study = STUDY | {"outcomes": [STUDY["outcomes"][0] | {"scale": "distress"}]}
    with pytest.raises(
        StudyError, match="found the scale 'distress', expected one of total, symptom_distress"
    ):
        Lab(tmp_path / "study", json.dumps(study)).night()
