"""Checks of persons and of the process: each in a case in which it fires and in one, as like it as can be, in which it does not."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from dyadlog.assets.quality.report import gather, night_of, write_site_reports
from dyadlog.schemas.identifiers import identifiers, looks_like_a_person
from tests.codings import code, coded
from tests.conftest import Lab, client, phq, rating, session

Events = list[dict[str, Any]]
# Twelve answers of which no two rows are the same, never all alike.
ANSWERS = {n: [1 + (n + k * (1 + n % 3)) % 5 for k in range(12)] for n in range(1, 9)}


def course(name: str, answers: dict[int, list[int]]) -> Events:
    """A client with the same form after every session."""
    told: Events = [client(name)]
    for n, given in answers.items():
        told += [session(n, name), rating(n, list(given), name)]
    return told


def codings(pairs: list[tuple[bool, bool]]) -> Events:
    """Sessions of one client, coded by two coders who see a code or do not."""
    told: Events = [client("k")]
    for n, seen in enumerate(pairs, 1):
        told.append(session(n, "k"))
        for actor, role, sees in zip(("k1", "k2"), ("primary", "reliability"), seen, strict=True):
            more = {"name": "k", "actor": actor}
            told.append(coded(n, role=role, **more))
            if sees:
                # somebody has to see something, or the code would be there for one coder only
                told.append(code(n, "withdrawal", role=role, nth=int(actor[1]), **more))
    return told


AGREEING = [(n % 2 == 0, n % 2 == 0) for n in range(30)]
DISAGREEING = [(n % 2 == 0, n % 4 < 2) for n in range(30)]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Everything that should be said at site-a, and its like that should not at site-b."""
    lab = Lab(tmp_path_factory.mktemp("doubts") / "study")
    other = {n: given[::-1] for n, given in ANSWERS.items()}
    leap = {1: [1] * 11 + [2], 2: [5] * 11 + [4], 3: [3] * 11 + [4]}
    step = {1: [1] * 11 + [2], 2: [4] * 11 + [3], 3: [3] * 11 + [4], 5: [1] * 11 + [2]}
    lab.drop(
        "site-a",
        "1.ndjson",
        [
            *course("a", ANSWERS),
            *course("twin", ANSWERS),
            *course("leap", leap),
            *codings(DISAGREEING),
            client("Anna.Meier"),
            {**session(9, "a"), "therapist_id": "1962-03-14"},
        ],
    )
    lab.drop(
        "site-b",
        "1.ndjson",
        [
            *course("a", ANSWERS),
            # two forms alike are chance; many alike, but other sessions or answers, are others
            *course("b", {n: (ANSWERS if n < 3 else other)[n] for n in ANSWERS}),
            *course("later", {n + 1: given for n, given in ANSWERS.items()}),
            *course("steps", step),
            *codings(AGREEING),
            client("anna17"),
            {**session(9, "a"), "therapist_id": "t-1962"},
        ],
    )
    lab.drop("site-c", "1.ndjson", [client(), session(1), phq(1, 1)])
    lab.night()
    return lab


def told(lab: Lab, named: str) -> dict[tuple[str, str], tuple[str, int, int]]:
    rows = lab.rows(
        "select site_id, subject, outcome, n_violated, n_denominator from quality.finding "
        f"where code = '{named}' order by all"
    )
    return {(site, subject): (outcome, n, of) for site, subject, outcome, n, of in rows}


def flags(lab: Lab, named: str) -> list[tuple[str, str]]:
    found = lab.rows(f"select site_id, subject from quality.flag where code = '{named}' order by all")
    return [(site, subject) for site, subject in found]


def test_a_person_under_two_ids(lab: Lab) -> None:
    assert flags(lab, "CLIENT_TWICE") == [("site-a", "twin")]
    assert told(lab, "CLIENT_TWICE") == {
        ("site-a", ""): ("warn", 1, 3),
        ("site-b", ""): ("pass", 0, 4),
        ("site-c", ""): ("not_applicable", 0, 0),
    }


def test_a_score_that_leaps(lab: Lab) -> None:
    assert flags(lab, "SCORE_JUMPS") == [("site-a", "wai-sr-client-post_session-leap-2")]
    found = told(lab, "SCORE_JUMPS")
    assert found["site-a", ""] == ("warn", 1, 7 + 7 + 2)
    # not over three quarters of the range, and not from session 3 to session 5
    assert found["site-b", ""] == ("pass", 0, 7 + 7 + 7 + 2)
    assert found["site-c", ""] == ("not_applicable", 0, 0)


def test_coders_who_do_not_agree(lab: Lab) -> None:
    found = flags(lab, "CODER_DISAGREES")
    assert {site for site, _ in found} == {"site-a"}
    assert all(subject.endswith("k1 k2") for _, subject in found)
    outcomes = {site: outcome for (site, _), (outcome, _, _) in told(lab, "CODER_DISAGREES").items()}
    assert outcomes == {"site-a": "warn", "site-b": "pass", "site-c": "not_applicable"}


def test_an_id_that_reveals_is_said_and_never_shown(lab: Lab) -> None:
    assert told(lab, "ID_REVEALS") == {
        ("site-a", "client_id"): ("warn", 1, 165),
        ("site-a", "therapist_id"): ("warn", 1, 165),
    }
    build = lab.build()
    pages = write_site_reports(gather(lab.study, build.path, night_of(build.path)))
    for page in pages:
        for path in page.parent.iterdir():
            text = path.read_text("utf-8")
            assert "Meier" not in text.replace("enrol-Anna.Meier", "")
            assert "1962" not in text
    with pages[0].with_name("corrections.csv").open() as file:
        asked = [row["event_id"] for row in csv.DictReader(file) if row["code"] == "ID_REVEALS"]
    assert asked == ["enrol-Anna.Meier", "held-a-9"]
    (commit,) = lab.rows("select lines, held_back from quality.receipt where site_id = 'site-a'")
    assert commit == (165, 0), "a look is no proof: nothing is held back"


LOOKS = {
    "a date (year first)": ["1962-03-14", "20260301"],
    "a date (day first)": ["14.03.1962"],
    "a date (month first)": ["03-14-1962"],
    "first and family name": ["Anna.Meier", "Anna_Meier"],
    "a name with a year of birth": ["Meier1962", "Meier-1962"],
    "initials with a date of birth": ["AM620314"],
    "a telephone number": ["0171-2345678"],
    "a social security number (US)": ["078-05-1120"],
    "an NHS number": ["943-476-5919"],
    "a hospital number": ["MRN-004711", "12345678"],
    "an e-mail address without its sign": ["anna.meier.clinic.org"],
}


def test_every_look_is_known_by_an_example_and_plain_pseudonyms_by_none() -> None:
    import polars as pl

    assert [one.looks for one in identifiers()] == list(LOOKS)
    examples = [example for given in LOOKS.values() for example in given]
    assert pl.Series(examples).str.contains(looks_like_a_person()).all()
    plain = ["c1", "c-0017", "client-17", "site-01-c-0117", "N-01", "T07", "th_3", "coder-1", "101", "123456"]
    plain += ["a3f9c2d4e5", "S1-2023", "kx7-q2m", "0003_112", Path("x").name]
    assert not pl.Series(plain).str.contains(looks_like_a_person()).any()
