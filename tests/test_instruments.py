"""The registry: what every instrument file and norm set must say, how a study adds its own, how it is shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dyadlog.schemas.errors import StudyError
from dyadlog.schemas.instruments import shipped_instruments
from dyadlog.schemas.norms import scale_norms, shipped_norms
from dyadlog.schemas.study import read_study

ASPECTS = {"items", "range", "keys", "score", "missing_rule"}
REQUIRED = [
    "wai-sr",
    "wai-36",
    "wai-s",
    "sai",
    "srs",
    "calpas",
    "haq-ii",
    "arm-12",
    "psq-rupture",
    "oq-45",
    "core-om",
    "core-10",
    "phq-9",
    "gad-7",
    "bdi-ii",
    "ors",
    "bsi-53",
    "scl-90-r",
    "iip-32",
    "wsas",
]


def test_the_instruments_that_were_asked_for_are_there() -> None:
    assert set(REQUIRED) <= set(shipped_instruments())
    assert {"barkham-1996", "circumplex"} == set(shipped_instruments()["iip-32"].versions)


@pytest.mark.parametrize("name", list(shipped_instruments()))
def test_every_statement_of_an_instrument_names_its_source_and_status(name: str) -> None:
    instrument = shipped_instruments()[name]
    needed = ASPECTS | ({"subscales"} if any(v.subscales for v in instrument.versions.values()) else set())
    assert set(instrument.evidence) == needed


@pytest.mark.parametrize("name", list(shipped_norms()))
def test_norm_sets_are_about_known_forms_and_lie_within_the_scale(name: str) -> None:
    for norm_set in shipped_norms()[name].values():
        for version in norm_set.versions:
            form = shipped_instruments()[name].versions[version]
            for scale, figures in norm_set.scales.items():
                least, greatest = form.span(scale)
                if figures.cutoff:
                    assert least < figures.cutoff.value < greatest
                if figures.reliable_change:
                    assert 0 < figures.reliable_change.value < greatest - least
                if figures.reliability:
                    assert 0 < figures.reliability.value < 1


# instrument, norm set, cut-off, clinical at it, reliable change: the figures of the specification, typed in by hand.
FIGURES = [
    ("oq-45", "2", "us-manual", 64, True, 14),
    ("core-om", "1", "uk-2002", 10, True, 5),
    ("core-10", "1", "uk-2013", 11, True, 6),
    ("core-10", "1", "stroke-inpatients", 12, True, 9),
    ("phq-9", "1", "iapt", 10, True, 6),
    ("gad-7", "1", "iapt", 8, True, 4),
    ("bdi-ii", "2", "manual", 14, True, 8.5),
    ("ors", "2", "adults", 25, True, 5),
    ("ors", "2", "adolescents", 28, True, 5),
    ("srs", "3", "manual", 36, False, None),
]


@pytest.mark.parametrize(("name", "version", "norms", "cutoff", "at_it", "change"), FIGURES)
def test_published_figures(
    name: str, version: str, norms: str, cutoff: float, at_it: bool, change: float | None
) -> None:
    figures = scale_norms(shipped_norms(), name, version, norms)
    assert figures is not None
    assert figures.cutoff is not None
    assert (figures.cutoff.value, figures.cutoff.is_clinical) == (cutoff, at_it)
    assert figures.value("reliable_change") == change


def test_no_wording_of_an_item_is_shipped() -> None:
    """Items are numbers or one word; nothing in a file is as long as a question of a questionnaire."""
    for instrument in shipped_instruments().values():
        for form in instrument.versions.values():
            assert all(re.fullmatch(r"\d+|[a-z_]+", item) for item in form.items)


OWN = """\
instrument: mood
name: Mood today
domain: outcome
source: own
licence: own
direction: higher_is_better
versions:
  "1": {raters: [client], items: 2, min: 0, max: 10, max_missing: {total: 0, subscale: 0}}
"""
OWN_NORMS = """\
instrument: mood
norm_sets:
  pilot:
    versions: ["1"]
    population: pilot
    scales:
      total:
        cutoff: {value: 9, status: project, source: pilot}
        reliable_change: {value: 3, status: project, source: pilot}
"""
STUDY = """\
study: lab
title: Lab
sites: [{id: site-a}]
instruments: [mood.yaml]
norms: [mood-norms.yaml]
measures:
  - {id: mood, instrument: mood, version: "1", rater: client, occasion: pre_session, role: outcome}
"""


def test_a_study_adds_its_own_instrument_and_norms(tmp_path: Path) -> None:
    for name, text in (("mood.yaml", OWN), ("mood-norms.yaml", OWN_NORMS), ("study.yaml", STUDY)):
        (tmp_path / name).write_text(text)
    study = read_study(tmp_path)
    (rule,) = study.outcome_rules
    assert (rule.id, rule.instrument, rule.method) == ("points_pilot", "mood", "points")
    before = study.rules_digest
    (tmp_path / "mood-norms.yaml").write_text(OWN_NORMS.replace("value: 9", "value: 8"))
    assert read_study(tmp_path).rules_digest != before


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("items: 2", "items: 2, reversed: [3]", "only items of the form in `reversed`, not 3"),
        ("items: 2", "items: 2, subscales: {total: [1]}", "a name other than `total`"),
        (
            "max_missing: {total: 0, subscale: 0}",
            "max_missing: {total: 0, subscale: {x: 1}}",
            "one for each subscale",
        ),
        (
            "items: 2",
            "items: 2, missing_rule: subscale_mean_rounded, subscales: {a: [1]}",
            "each item in exactly one subscale",
        ),
    ],
)
def test_mistakes_in_an_instrument_are_named(tmp_path: Path, old: str, new: str, told: str) -> None:
    (tmp_path / "mood.yaml").write_text(OWN.replace(old, new))
    (tmp_path / "mood-norms.yaml").write_text(OWN_NORMS)
    (tmp_path / "study.yaml").write_text(STUDY)
    with pytest.raises(StudyError, match=re.escape(told)):
        read_study(tmp_path)
