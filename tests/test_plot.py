"""Pictures: what they show is what the marts say, they need nothing beside them, and they stay with the study team."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import duckdb
import pytest

from dyadlog.assets.pictures.course import Course, courses
from dyadlog.assets.pictures.dyad import Look, dyad_picture, own_band
from dyadlog.assets.pictures.study import study_pictures
from dyadlog.assets.simulation.score import run_nights
from dyadlog.assets.simulation.simulate import Plan, simulate
from dyadlog.assets.warehouse.build import build_all
from dyadlog.assets.warehouse.published import current
from dyadlog.orchestration.questions import questions
from dyadlog.schemas.simulation import Parameters
from tests.browser import CHROMIUM, browser
from tests.conftest import Lab, client, rating, session

LOOK = Look(1.0, 5.0, 4)


def opened(marts: Path | None, copy: Path) -> duckdb.DuckDBPyConnection:
    """A copy of the marts: in one process DuckDB opens a file only one way, and the command opens it locked."""
    assert marts
    return duckdb.connect(str(shutil.copyfile(marts, copy)), read_only=True)


class Box:
    """A small simulated study after its nights."""

    def __init__(self, folder: Path) -> None:
        simulate(folder, Parameters(), Plan(11, 3, 60, 2, None))
        study, log = run_nights(folder)
        build_all(study, log)
        self.folder = study.folder
        self.duck = opened(current(study), folder / "copy.duckdb")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.duck.execute(sql).fetchall()

    def course(self, where: str) -> Course:
        """The first course with most ruptures of those that fit."""
        ((site, name),) = self.rows(
            "select site_id, client_id from marts.dropout left join marts.rupture_event using (site_id, client_id) "
            f"where {where} group by all order by count(*) desc, site_id, client_id limit 1"
        )
        (found,) = courses(self.duck, site, name)
        return found


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made = Box(tmp_path_factory.mktemp("pictures"))
    yield made
    made.duck.close()


def svg_of(course: Course) -> str:
    found = dyad_picture(course, LOOK).svg
    assert found
    return found


def marks(course: Course) -> int:
    return svg_of(course).count("<use ")


# --- a dyad ------------------------------------------------------------------------------------


def test_a_dyad_shows_what_the_marts_say(box: Box) -> None:
    course = box.course("unilateral")
    of = f"where site_id = '{course.site_id}' and client_id = '{course.client_id}'"
    picture = dyad_picture(course, LOOK)
    table = {row[0]: row for row in picture.rows}
    assert [(int(row[0]), row[2].split()[0]) for row in picture.rows if row[0]] == box.rows(
        f"select session_number, status from marts.session {of} order by 1"
    )
    for rater, column in (("client", 3), ("therapist", 4)):
        rated = box.rows(
            f"select session_number, common_mean from marts.alliance_session {of} and rater = '{rater}' and scale = 'total'"
        )
        shown = {number: float(row[column].split()[0]) for number, row in table.items() if row[column]}
        assert {str(n): pytest.approx(value, abs=0.005) for n, value in rated} == shown
    found = box.rows(
        f"select session_number, rule_id || ' · ' || source || ' (' || status from marts.rupture_event {of}"
    )
    assert found
    for number, words in found:
        assert words in table[str(number)][6]
    assert sum(row[6].count(" · ") for row in picture.rows) == len(found)
    for rule, source in {(rupture.rule_id, rupture.source) for rupture in course.ruptures}:
        assert f"{rule} · {source}" in svg_of(course)
    missed = sum(s.status == "missed" for s in course.sessions)
    assert f"{missed} missed" in picture.caption
    assert "ended by the client, not planned" in picture.caption
    assert "SIMULATED DATA" in svg_of(course)


def test_the_band_is_the_clients_own_spread(box: Box) -> None:
    course = box.course("last_held_session >= 8")
    ((mean, sd, n),) = box.rows(
        "select mean / 12, sd / 12, n_ratings from marts.alliance_dyad where rater = 'client' and scale = 'total' "
        f"and site_id = '{course.site_id}' and client_id = '{course.client_id}'"
    )
    assert own_band(course, LOOK) == pytest.approx((mean - sd, mean + sd))
    assert own_band(course, replace(LOOK, band_from=n + 1)) is None
    few = dyad_picture(course, replace(LOOK, band_from=n + 1))
    assert "No band" in few.caption
    assert few.svg
    assert "1 SD" not in few.svg
    assert "1 SD" in svg_of(course)


def test_every_fact_has_its_mark(box: Box) -> None:
    course = box.course("last_held_session >= 8")
    whole = marks(course)
    repaired = next(r for r in course.ruptures if r.repaired_in is not None)
    open_ = replace(repaired, status="unrepaired", repaired_in=None)
    swapped = tuple(open_ if r is repaired else r for r in course.ruptures)
    assert whole - marks(replace(course, ruptures=swapped)) == 1  # the sign of the repair
    assert whole - marks(replace(course, ratings=course.ratings[:-1])) == 1
    assert whole - marks(replace(course, scores=course.scores[:-1])) == 1
    gone = replace(course, sessions=course.sessions[:-1])
    assert whole - marks(gone) == 1
    assert course.ending
    going_on = replace(course, ending=replace(course.ending, censored=True))
    assert ">end</text>" in svg_of(course).replace(">end </text>", ">end</text>")
    assert "no end is reported" in dyad_picture(going_on, LOOK).caption
    assert len(svg_of(going_on)) < len(svg_of(course))


def test_a_course_without_this_or_that_is_drawn(box: Box) -> None:
    course = box.course("last_held_session >= 8")
    none = replace(course, ratings=(), ruptures=(), scores=(), ending=None)
    drawn = svg_of(none)
    assert "no rating of the alliance" in drawn
    assert "no rule found one" in drawn
    empty = dyad_picture(replace(none, sessions=()), LOOK)
    assert empty.svg is None
    assert empty.caption.startswith("No session")


# --- the study ---------------------------------------------------------------------------------


def test_the_study_shows_what_the_marts_say_and_names_no_client(box: Box) -> None:
    pictures = {picture.name: picture for picture in study_pictures(box.duck)}
    assert set(pictures) == {"trajectories", "congruence", "ruptures", "outcome", "outcome1"}
    asked = box.duck.execute(questions()[9].sql).fetchall()
    assert {(row[0], row[1], row[2], row[7]) for row in pictures["ruptures"].rows} == {
        (basis, rule, source, f"{per_ten:.2f}") for basis, rule, source, _, _, per_ten, _ in asked
    }
    (whole,) = [row for row in pictures["congruence"].rows if row[0] == "all sites"]
    first = box.duck.execute(questions()[5].sql).fetchone()
    assert first
    assert whole == (first[0], str(first[1]), f"{first[4]:.2f}", str(first[3]), f"{first[5]:.2f}")
    for rater, number, n, mean, *_ in pictures["trajectories"].rows:
        ((count, average),) = box.rows(
            f"select count(*), avg(common_mean) from marts.alliance_session where scale = 'total' and rater = '{rater}' and session_number = {number}"
        )
        assert (n, mean) == (str(count), f"{average:.2f}")
        assert count >= 5
    for name in ("outcome", "outcome1"):
        for site, pairs, effect, *_ in pictures[name].rows[:-1]:
            assert (f"{site} (n = {pairs})") in (pictures[name].svg or "")
            instrument = pictures[name].title.split(": ")[1].split(",")[0]
            found = box.rows(
                f"select distinct n_pairs, smcr from marts.site_outcome where site_id = '{site}' and instrument = '{instrument}'"
            )
            assert (int(pairs), effect) in {(n, f"{d:.2f}" if d is not None else "") for n, d in found}
        assert pictures[name].rows[-1][0] == "pooled"
    said = "".join(f"{p.title}{p.svg}{p.caption}{p.rows}" for p in pictures.values())
    assert not [name for (name,) in box.rows("select client_id from marts.client") if name in said]
    assert all("SIMULATED DATA" in (picture.svg or "") for picture in pictures.values())


# --- files ---------------------------------------------------------------------------------------


def test_files_need_nothing_beside_them_and_are_always_the_same(
    box: Box, dyadlog: Any, tmp_path: Path
) -> None:
    course = box.course("unilateral")
    who = (course.site_id, course.client_id)
    texts = []
    for words, default in (
        (("dyad", *who), f"{who[0]}/{who[1]}.html"),
        (("study",), "study.html"),
    ):
        done = dyadlog("plot", *words, "-s", box.folder)
        assert (done.code, done.err) == (0, "")
        page = Path(done.out.strip())
        assert page == box.folder / "pictures" / default
        text = page.read_text()
        assert not re.search(
            r"<script|https?://|javascript:|\son\w+=|<a (?!class=.skip)|<link(?! rel=.icon)", text
        )
        ids = re.findall(r'\bid="([^"]+)"', text)
        assert len(ids) == len(set(ids))
        assert "SIMULATED DATA" in text
        drawn = tmp_path / "drawn.svg"
        assert dyadlog("plot", *words, "-s", box.folder, "-o", drawn).code == 0
        tree = ElementTree.parse(drawn)
        assert tree.getroot().tag.endswith("svg")
        assert "SIMULATED DATA" in drawn.read_text()
        assert "http" not in re.sub(r'xmlns(:xlink)?="[^"]+"', "", drawn.read_text())
        assert set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', drawn.read_text()))
        texts += [text, drawn.read_text()]
        dyadlog("plot", *words, "-s", box.folder)
        dyadlog("plot", *words, "-s", box.folder, "-o", drawn)
        assert texts[-2:] == [page.read_text(), drawn.read_text()]
    assert course.client_id not in texts[2] + texts[3]


def test_one_sentence_for_each_mistake(box: Box, dyadlog: Any, tmp_path: Path) -> None:
    course = box.course("unilateral")
    who = ("dyad", course.site_id, course.client_id)
    for words, said in (
        (("dyad", course.site_id, "nobody"), f"{course.site_id}: the marts hold nothing of this client"),
        (("dyad", "elsewhere", "nobody"), "elsewhere: no site of this study"),
        ((*who, "-o", tmp_path / "x.png"), "is written as .html or .svg"),
        (
            (*who, "-o", box.folder / "reports" / course.site_id / "x.html"),
            "in the study folder pictures lie in pictures/",
        ),
        (("study", "-o", box.folder / "landing/x.svg"), "in the study folder pictures lie in pictures/"),
    ):
        done = dyadlog("plot", *words, "-s", box.folder)
        assert (done.code, done.out, done.err.count("\n")) == (2, "", 1), words
        assert said in done.err
    (tmp_path / "new").mkdir()
    nothing = Lab(tmp_path / "new")
    done = dyadlog("plot", "study", "-s", nothing.folder)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "no marts yet" in done.err


def test_a_sentence_in_place_of_an_empty_chart_and_earlier_marts(
    lab: Lab, dyadlog: Any, tmp_path: Path
) -> None:
    lab.drop("site-a", "1.ndjson", [client("c1")])
    lab.night()
    lab.drop("site-a", "2.ndjson", [e for n in range(1, 6) for e in (session(n), rating(n, 3))])
    lab.night()
    with opened(current(lab.study), tmp_path / "copy.duckdb") as duck:
        pictures = study_pictures(duck)
        (course,) = courses(duck, "site-a", "c1")
    assert [picture.svg for picture in pictures] == [None] * 4
    assert all(picture.caption.endswith(".") for picture in pictures)
    assert "SIMULATED" not in svg_of(course)
    out = tmp_path / "c1.html"
    for earlier, said in (
        (("--as-of", "1"), "The client is enrolled; no session, rating or score is known."),
        ((), "<svg "),
    ):
        done = dyadlog("plot", "dyad", "site-a", "c1", "-s", lab.folder, "-o", out, *earlier)
        assert (done.code, done.err) == (0, "")
        assert said in out.read_text()
        assert ("<svg " in out.read_text()) is not bool(earlier)
    assert dyadlog("plot", "study", "-s", lab.folder, "-o", tmp_path / "s.svg").code == 0
    assert "nobody reported one" in (tmp_path / "s.svg").read_text()


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium here (Debian: apt install chromium)")
def test_a_browser_shows_them_in_light_dark_and_on_paper(box: Box, dyadlog: Any, tmp_path: Path) -> None:
    course = box.course("unilateral")
    page, svg = tmp_path / "dyad.html", tmp_path / "study.svg"
    dyadlog("plot", "dyad", course.site_id, course.client_id, "-s", box.folder, "-o", page)
    dyadlog("plot", "study", "-s", box.folder, "-o", svg)
    shots = []
    with browser(tmp_path / "home") as tab:
        for source in (page, svg):
            for dark in (False, True):
                tab.show(source, dark=dark)
                assert (tab.requests, tab.complaints) == ([source.as_uri()], [])
                target = tmp_path / f"{source.stem}-{dark}.png"
                tab.picture(target)
                assert target.stat().st_size > 40_000
                shots.append(target.read_bytes())
        assert len(set(shots)) == 4
        tab.show(page)
        assert len(re.findall(rb"/Type\s*/Page\b", tab.paper())) == 1
