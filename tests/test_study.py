"""Mistakes in study.yaml and mappings: one sentence each, with file, line, key, found and expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from dyadlog.schemas.errors import StudyError
from dyadlog.schemas.study import read_study
from tests.conftest import STUDY


def problems(folder: Path, text: str) -> list[str]:
    (folder / "study.yaml").write_text(text)
    with pytest.raises(StudyError) as error:
        read_study(folder)
    return error.value.problems


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            ("study: lab", "study: 3"),
            "study.yaml:1: key `study`: found 3, expected text (put it in quotation marks)",
        ),
        (
            ("study: lab", "study: a b"),
            'study.yaml:1: key `study`: found \'a b\', expected a name of letters, digits, ".", "_" and "-", at most 64',
        ),
        (
            ("title: Laboratory", "titel: x"),
            "study.yaml:2: key `titel` is not a known key; check the spelling or remove it",
        ),
        (("title: Laboratory\n", ""), "study.yaml:1: key `title` is missing; expected a value here"),
        (
            ("{id: site-c}", "{id: site-a}"),
            "study.yaml:3: key `sites[2].id`: found 'site-a' a second time, expected each id once",
        ),
        (
            ("instrument: wai-sr", "instrument: wai"),
            "study.yaml:5: key `measures[0].instrument`: found 'wai', expected one of arm-12, bdi-ii, bsi-53, calpas",
        ),
        (
            ("version: client-1-5", "version: therapist-1-5"),
            "study.yaml:5: key `measures[0].rater`: found 'client', expected one of therapist",
        ),
        (
            ('version: "1"', "version: 1"),
            "study.yaml:6: key `measures[1].version`: found 1, expected text (put it in quotation marks)",
        ),
        (
            ("rupture_min_ratings: 3", "rupture_min_ratings: 1"),
            "study.yaml:7: key `thresholds.rupture_min_ratings`: found 1, expected input should be greater than",
        ),
        (
            ("{id: site-a}", "{id: site-a, mappings: [nowhere.yaml]}"),
            "study.yaml:3: key `sites[0].mappings[0]`: found 'nowhere.yaml', but there is no such file beside study.yaml",
        ),
        (
            ("{id: site-a}", "{id: site-a, mappings: [../../etc/passwd]}"),
            "study.yaml:3: key `sites[0].mappings[0]`: found '../../etc/passwd', expected a file inside the study folder",
        ),
        (
            ("title: Laboratory", "title: a\ntitle: b"),
            "study.yaml:3: key `title` is given twice; keep one of them",
        ),
        (("title: Laboratory", "title: [a"), "study.yaml:3: not valid YAML:"),
        (
            ("title: Laboratory", "title: a\ntime_basis: absolute"),
            "a `legal_basis` beside `time_basis: absolute`",
        ),
    ],
)
def test_a_mistake_gets_one_clear_sentence(tmp_path: Path, change: tuple[str, str], sentence: str) -> None:
    assert change[0] in STUDY
    found = problems(tmp_path, STUDY.replace(*change))
    assert any(sentence in one for one in found), found
    assert all("\n" not in one for one in found)


def test_several_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = STUDY.replace("title: Laboratory", "titel: x").replace("wai-sr", "wai")
    assert len(problems(tmp_path, text)) >= 2


MAPPING = """\
files: "*.csv"
separator: ";"
events:
  - event_type: session.held
    event_id: {text: "{a}"}
    envelope: {client_id: {column: a}, session_number: {column: b}}
"""


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            ("session.held", "session.hold"),
            "m.yaml:4: key `events[0].event_type`: found 'session.hold', expected a kind",
        ),
        (("client_id", "patient"), "m.yaml:6: key `events[0].envelope.patient`: not a field of the envelope"),
        (('separator: ";"', "separator: ':'"), "m.yaml:2: key `separator`: found ':', expected"),
        (("{column: b}", "{}"), "exactly one of `const`, `column`, `text` and `first_of`"),
    ],
)
def test_a_mistake_in_a_mapping_is_told_the_same_way(
    tmp_path: Path, change: tuple[str, str], sentence: str
) -> None:
    (tmp_path / "m.yaml").write_text(MAPPING.replace(*change))
    found = problems(tmp_path, STUDY.replace("{id: site-a}", "{id: site-a, mappings: [m.yaml]}"))
    assert any(sentence in one for one in found), found


def test_a_study_can_bring_its_own_instrument(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        "instrument: mood\nname: Mood\nsource: own\nlicence: none\ndomain: outcome\ndirection: higher_is_better\n"
        "versions:\n  a: {raters: [client], items: [joy, calm], min: 0, max: 4, max_missing: {total: 0, subscale: 0}}\n"
    )
    (tmp_path / "study.yaml").write_text(STUDY + "instruments: [own.yaml]\n")
    form = read_study(tmp_path).form("mood", "a")
    assert form is not None
    assert form.items == ("joy", "calm")


@pytest.mark.parametrize("items", ["[joy, Joy]", '["a\'b"]', "[]"])
def test_item_names_that_would_mislead_are_refused(tmp_path: Path, items: str) -> None:
    (tmp_path / "own.yaml").write_text(
        "instrument: mood\nname: Mood\nsource: own\nlicence: none\ndomain: outcome\ndirection: higher_is_better\n"
        f"versions:\n  a: {{raters: [client], items: {items}, min: 0, max: 4, max_missing: {{total: 0, subscale: 0}}}}\n"
    )
    assert "own.yaml:8: key `versions.a" in problems(tmp_path, STUDY + "instruments: [own.yaml]\n")[0]


def test_the_rules_digest_changes_with_any_rule(tmp_path: Path) -> None:
    (tmp_path / "m.yaml").write_text(MAPPING)
    (tmp_path / "study.yaml").write_text(STUDY.replace("{id: site-a}", "{id: site-a, mappings: [m.yaml]}"))
    before = read_study(tmp_path).rules_digest
    (tmp_path / "m.yaml").write_text(MAPPING.replace("{a}", "x{a}"))
    assert read_study(tmp_path).rules_digest != before
