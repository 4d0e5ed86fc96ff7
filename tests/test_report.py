"""The page of a site and the night sheet: complete, honest, closed to the outside, always the same bytes."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import duckdb
import jsonschema
import pytest

from dyadlog.assets.quality import study as study_pages
from dyadlog.assets.quality import twin
from dyadlog.assets.quality.page import nights_page, study_nights_page
from dyadlog.assets.quality.report import (
    NightId,
    NightNotes,
    Took,
    gather,
    night_of,
    sheet_of,
    write_night_sheet,
    write_site_reports,
    write_study_page,
)
from dyadlog.assets.quality.study import PastNight, study_report
from dyadlog.assets.warehouse.published import current
from dyadlog.assets.warehouse.silence import silence
from dyadlog.orchestration.plot import plot_study
from dyadlog.schemas.codes import codes
from tests.conftest import Lab, client, phq, rating, session

MEGABYTE = 1_000_000
SIMULATED = """\
study: lab
title: Laboratory
simulated: true
sites: [{id: site-a, name: Clinic <North>}, {id: site-b}, {id: site-c}]
measures:
  - {id: wai_client, instrument: wai-sr, version: client-1-5, rater: client, occasion: post_session, role: alliance}
  - {id: phq, instrument: phq-9, version: "1", rater: client, occasion: pre_session, role: outcome}
  - {id: phq_intake, instrument: phq-9, version: "1", rater: client, occasion: intake, role: outcome}
  - {id: phq_later, instrument: phq-9, version: "1", rater: client, occasion: follow_up, role: outcome}
"""


class Page(HTMLParser):
    """What a browser would find in a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text = path.read_text("utf-8")
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self._style = False
        self.feed(self.text)
        self.words = " ".join(self.words.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._style = tag == "style"

    def handle_data(self, data: str) -> None:
        if not self._style:
            self.words += f"{data} "

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def reports(lab: Lab, **notes: Any) -> tuple[NightId, dict[str, Path]]:
    """Write all pages from the published file, return them by name."""
    build = current(lab.study) or lab.build().path
    night = night_of(build)
    gathered, said = gather(lab.study, build, night), NightNotes(**notes)
    pages = dict(zip(lab.study.site_ids, write_site_reports(gathered), strict=True))
    pages["study"] = write_study_page(gathered, said)
    return night, pages | {"": write_night_sheet(gathered, said)}


def told(page: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((page.parent / "report.json").read_bytes())
    return found


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """Site a delivers over three weeks with faults, site b one clean file, site c never. Built once; only read."""
    lab = Lab(tmp_path_factory.mktemp("busy") / "study", SIMULATED)
    for week in range(3):
        events = [event for n in (3 * week + 1, 3 * week + 2) for event in (session(n), rating(n, 3))]
        lab.drop("site-a", f"alpha-week-{week}.ndjson", [client(), *events] if not week else events)
        lab.receive()
        lab.clock += timedelta(days=7)
    lab.drop(
        "site-a",
        "alpha-faults.ndjson",
        [session(20), rating(20, 9), phq(21, 1), {"event_id": "x"}, rating(20, 2, total=77), session(1)],
    )
    lab.drop("site-a", "alpha-again.ndjson", (lab.folder / "landing/site-a/alpha-week-0.ndjson").read_bytes())
    lab.drop("site-a", "alpha-list.docx", b"PK")
    lab.drop(
        "site-b", "beta-only.ndjson", [client("b1"), session(1, "b1"), rating(1, 4, "b1"), phq(1, 1, "b1")]
    )
    lab.receive()
    return lab


def test_page_of_a_site_has_every_part(busy: Lab) -> None:
    night, pages = reports(busy)
    page = Page(pages["site-a"])
    assert night.name == "2026-04-04-000007"
    assert pages["site-a"] == busy.folder / "reports/site-a" / night.name / "index.html"
    assert "Accepted, with 2 lines held back; 1 file could not be read." in page.words
    assert "SIMULATED DATA" in page.words
    assert "Clinic <North>" in page.words
    for part in (
        "verdict",
        "receipt",
        "todo",
        "changes",
        "completeness",
        "calendar",
        "process",
        "peers",
        "timeliness",
        "applied",
        "privacy",
        "drift",
        "checks",
        "earlier",
    ):
        assert any(attributes.get("id") == part for attributes in page.all("h2")), part
    assert "11 sent = 3 accepted + 6 already had + 2 held back ✓ balances" in page.words
    assert "All deliveries so far 24 sent = 16 accepted" in page.words
    assert "Tonight, the first delivery 4 sent" in Page(pages["site-b"]).words
    for name in ("alpha-faults.ndjson", "alpha-again.ndjson", "alpha-list.docx", "alpha-week-1.ndjson"):
        assert name in page.words
    assert night.commit_sha256[:16] in page.words
    assert "your receipt: keep this line" in page.words
    assert page.all("svg"), "three weeks of deliveries are worth a chart"


def test_parts_stand_in_the_order_of_what_to_do(busy: Lab) -> None:
    _, pages = reports(busy)
    page = Page(pages["site-a"])
    parts = [
        "verdict",
        "receipt",
        "todo",
        "calendar",
        "changes",
        "checks",
        "completeness",
        "process",
        "peers",
    ]
    parts += ["timeliness", "applied", "privacy", "drift", "earlier"]
    assert [attributes["id"] for attributes in page.all("h2")] == parts
    assert "“Chance”" not in page.words  # two other sites are too few to show
    assert "with fewer than 5 of them" in page.words
    assert {one["band"] for one in told(pages["site-a"])["shares"]} == {None}


def test_to_do_is_worst_first_with_counts_and_fixes(busy: Lab) -> None:
    _, pages = reports(busy)
    found = told(pages["site-a"])
    todo = {card["code"]: card for card in found["todo"]}
    assert [card["outcome"] for card in found["todo"]] == sorted(
        (card["outcome"] for card in found["todo"]), key=("fail", "warn", "crashed").index
    )
    assert found["todo"][0]["code"] == "FILE_TYPE_UNKNOWN"
    card = todo["ANSWER_OUT_OF_RANGE"]
    assert card["fix"] == codes()["ANSWER_OUT_OF_RANGE"].fix
    # One line breaks twelve items: how many lines break any of them cannot be told from counts per item.
    assert (card["n"], card["exact"], card["fields_total"]) == (1, False, 12)
    assert card["words"].startswith("or more of ")
    assert card["since"] == "New tonight."
    assert todo["TOTAL_DISAGREES"]["words"] == "of 1 total sent"
    assert todo["FACT_PENDING_SESSION"]["n"] == 1
    words = Page(pages["site-a"]).words
    assert not [card["code"] for card in found["todo"] if "`" not in card["fix"] and card["fix"] not in words]


def test_nothing_is_said_of_nothing(busy: Lab) -> None:
    _, pages = reports(busy)
    silent, page = told(pages["site-c"]), Page(pages["site-c"])
    assert silent["verdict"]["level"] == "never_delivered"
    assert "this site has never delivered" in page.words
    assert [card["code"] for card in silent["todo"]] == ["SITE_SILENT"]
    assert "%" not in page.words
    assert "✓" not in page.words
    assert all(row["outcomes"]["pass"] == 0 for row in silent["checks"])
    assert all(row["expected"] == 0 and "due" in row["verdict"] for row in silent["completeness"]["rows"])
    assert "nothing can be said about completeness" in page.words


def test_completeness_counts_and_shades_in_words(busy: Lab) -> None:
    _, pages = reports(busy)
    matrix = told(pages["site-a"])["completeness"]
    rows = {row["measure_id"]: row for row in matrix["rows"]}
    assert (rows["wai_client"]["received"], rows["wai_client"]["expected"]) == (7, 7)
    assert rows["wai_client"]["verdict"] == "complete"
    assert (rows["phq"]["received"], rows["phq"]["expected"]) == (0, 7)
    assert rows["phq"]["verdict"] == "7 missing; too few due to judge"
    assert {cell["state"] for cell in rows["phq"]["cells"]} == {"none", "not_due"}
    assert rows["phq_later"]["verdict"].startswith("not judged")
    assert len(matrix["bands"]) <= 14
    assert "7 of 15 expected forms are in use; 8 forms are missing." in Page(pages["site-a"]).words


def test_kahn_cells_add_up(busy: Lab) -> None:
    _, pages = reports(busy)
    for site in busy.study.site_ids:
        rows = told(pages[site])["checks"]
        assert [row["category"] for row in rows] == ["conformance", "completeness", "plausibility"]
        assert all(sum(row["outcomes"].values()) == row["checks"] for row in rows)


@pytest.mark.parametrize(
    ("site", "others"), [("site-a", ("site-b", "site-c", "beta")), ("site-b", ("site-a", "alpha"))]
)
def test_a_site_sees_nothing_of_another(busy: Lab, site: str, others: tuple[str, ...]) -> None:
    reports(busy)
    for path in (busy.folder / "reports" / site).rglob("*"):
        if path.is_file():
            assert not [name for name in others if name in path.read_text("utf-8")], path.name


def test_no_participant_and_no_event_is_named(lab: Lab) -> None:
    held = {**session(2, "Qx77client"), "event_id": "Qx77 held"}
    lab.drop(
        "site-a",
        "m.ndjson",
        [client("Qx77client"), {**session(1, "Qx77client"), "event_id": "Qx77event"}, held],
    )
    lab.night()
    reports(lab)
    for path in (lab.folder / "reports").rglob("*"):
        if path.is_file() and path.name != "corrections.csv":
            assert b"Qx77" not in path.read_bytes(), path.name
    # The one table that names facts, for the site's own staff: its own event ids, and lines; nobody's pseudonym.
    (table,) = (lab.folder / "reports/site-a").rglob("corrections.csv")
    rows = list(csv.DictReader(table.read_text("utf-8").splitlines()))
    assert [(row["code"], row["event_id"], row["file"], row["line"]) for row in rows] == [
        ("DESIGN_INCOMPLETE", "Qx77event", "", ""),
        ("DESIGN_INCOMPLETE", "Qx77event", "", ""),
        ("VALUE_NOT_ID", "", "m.ndjson", "3"),
    ]
    assert "Qx77client" not in table.read_text("utf-8")
    (empty,) = (lab.folder / "reports/site-b").rglob("corrections.csv")
    assert len(empty.read_text("utf-8").splitlines()) == 1


def test_pages_stand_alone(busy: Lab) -> None:
    reports(busy, strangers=["<script>alert(1)</script>", "bad\udcff\u202ename"])
    pages = list((busy.folder / "reports").rglob("*.html"))
    # three sites, three lists of nights, three of the checks, the study, its list of nights, the night sheet
    assert len(pages) == 12
    for path in pages:
        page = Page(path)
        assert path.stat().st_size < MEGABYTE
        assert not re.search(r"https?:|//\w|@import|url\((?!#)", page.text), path
        assert not page.all("script")
        assert page.all("html")[0]["lang"] == "en"
        assert len(page.all("main")) == len(page.all("h1")) == 1
        assert len(page.all("caption")) == len(page.all("table"))
        assert all("scope" in attributes for attributes in page.all("th"))
        for link in page.all("a"):
            where, _, part = (link["href"] or "").partition("#")
            assert not where or (path.parent / where).is_file(), (path, where)
            there = (path.parent / where).read_text("utf-8") if where else page.text
            assert not part or f'id="{part}"' in there, link


def test_json_keeps_to_its_published_schema(busy: Lab) -> None:
    reports(busy, unfinished=[("site-b", "x.part")], steps=[Took("build", 1.5, 200.0)])
    folder = Path(twin.__file__).parent
    for name in twin.PUBLISHED:
        assert (folder / name).read_text("utf-8") == twin.schema(name), (
            "run python -m dyadlog.assets.quality.twin"
        )
    site = json.loads((folder / "report.schema.json").read_bytes())
    for path in (busy.folder / "reports").rglob("report.json"):
        jsonschema.validate(json.loads(path.read_bytes()), site)
    for name, schema in (("night.json", "night"), ("study/2026-04-04-000007/study.json", "study")):
        told = json.loads((busy.folder / "reports" / name).read_bytes())
        jsonschema.validate(told, json.loads((folder / f"{schema}.schema.json").read_bytes()))


def test_same_marts_same_bytes(busy: Lab) -> None:
    def written() -> dict[str, bytes]:
        reports(busy, steps=[Took("build", 1.5, 200.0)])
        return {
            str(path): path.read_bytes() for path in (busy.folder / "reports").rglob("*") if path.is_file()
        }

    first = written()
    assert written() == first
    assert not [name for name in first if name.endswith(".new")]


def test_night_sheet_has_a_line_per_site_and_what_needs_a_human(busy: Lab) -> None:
    night, pages = reports(
        busy,
        unfinished=[("site-b", "copying.ndjson.part")],
        strangers=["site-x"],
        steps=[Took("build marts", 2.5, 200.0)],
        missed=[date(2026, 4, 3)],
        hooks=["A message could not be sent."],
    )
    words = Page(pages[""]).words
    assert "2 of 3 sites delivered and 1 has never delivered." in words
    for part in (
        "has never delivered",
        "copying.ndjson.part",
        "site-x",
        "build marts 2.50 200",
        "1 night did not run: 3 Apr 2026",
        "A message could not be sent.",
    ):
        assert part in words, part
    sheet = json.loads((busy.folder / "reports/night.json").read_bytes())
    assert [line["site_id"] for line in sheet["lines"]] == ["site-a", "site-b", "site-c"]
    assert [need["kind"] for need in sheet["needs"]] == [
        "missed_night",
        "hook_failed",
        "unreadable",
        "never_delivered",
        "unfinished",
        "stranger",
    ]
    assert ("site-a", "1 file could not be read tonight.") in [
        (n["site_id"], n["text"]) for n in sheet["needs"]
    ]
    assert night.name in Page(busy.folder / "reports/site-a/index.html").words


def study_json(lab: Lab, night: NightId) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        (lab.folder / "reports/study" / night.name / "study.json").read_bytes()
    )
    return found


def test_study_page_puts_the_sites_side_by_side(busy: Lab) -> None:
    night, pages = reports(busy)
    found, page = study_json(busy, night), Page(pages["study"])
    assert [row["site_id"] for row in found["sites"]] == busy.study.site_ids
    own = [told(pages[site]) for site in busy.study.site_ids]
    for row, report in zip(found["sites"], own, strict=True):
        assert (row["checks"], row["total"]) == (report["checks"], report["total"])
        assert row["open"]["tonight"] == report["changes"]["findings_total"]  # the first night tells all
    for place, kind in enumerate(found["checks"]):
        assert kind["checks"] == sum(report["checks"][place]["checks"] for report in own)
        assert sum(kind["outcomes"].values()) == kind["checks"]
    for name in ("sent", "accepted", "already_had", "held_back", "files"):
        assert found["total"][name] == sum(report["total"][name] for report in own)
    assert "28 sent = 20 accepted + 6 already had + 2 held back ✓ balances" in page.words
    assert "SIMULATED DATA" in page.words
    assert "site-c no readable delivery so far" in page.words


def test_study_page_never_mixes_outcomes(busy: Lab) -> None:
    night, _ = reports(busy)
    found = study_json(busy, night)
    codes_found = {one["code"]: one for one in found["codes"]}
    assert all(sum(one["sites"].values()) == 3 for one in found["codes"])
    assert codes_found["SITE_SILENT"]["named"] == ["site-c"]
    # Site c has no line: nothing could break there, and nothing passed.
    out_of_range = codes_found["ANSWER_OUT_OF_RANGE"]
    assert out_of_range["sites"] == {"fail": 1, "pass": 1, "not_applicable": 1, "warn": 0, "crashed": 0}
    silent = found["sites"][2]
    assert {row["outcomes"]["pass"] for row in silent["checks"]} == {0}
    assert silent["timeliness"]["days_median"] is None
    assert [point["place"] for point in found["funnels"][0]["points"]] == ["inside", "too_few", "nothing"]


def test_study_page_links_pictures_only_if_they_are_there(busy: Lab) -> None:
    link = 'href="../../../pictures/study.html"'
    assert link not in reports(busy)[1]["study"].read_text()
    drawn = plot_study(busy.study, None, None)
    page = reports(busy)[1]["study"]
    assert link in page.read_text()
    assert (page.parent / "../../../pictures/study.html").resolve() == drawn.resolve()
    drawn.unlink()


@pytest.mark.parametrize(
    ("n", "of", "where"),
    [(0, 0, "nothing"), (9, 19, "too_few"), (10, 100, "inside"), (20, 100, "high"), (2, 300, "low")],
)
def test_places_in_the_funnel(n: int, of: int, where: str) -> None:
    """Of 1,000 one in ten; one standard error is 0.03 at 100 and 0.017 at 300, limits are 3.09 of them."""
    assert study_pages.where_stands(n, of, 100, 1000, 20) == where


@pytest.mark.parametrize(
    ("days", "as_of", "found"),
    [
        ((), 9, (None, None, False)),
        ((1,), None, (None, None, False)),
        ((1,), 8, (7, None, False)),  # its habit is not known: seven days are allowed
        ((1,), 9, (8, None, True)),
        ((1, 2), 9, (7, None, False)),
        ((1, 2, 3), 5, (2, 1.0, False)),
        ((1, 2, 3), 6, (3, 1.0, True)),
        ((1, 8, 15), 29, (14, 7.0, False)),  # twice its week
        ((1, 8, 15), 30, (15, 7.0, True)),
        ((15, 1, 8, 8, 1), 30, (15, 7.0, True)),  # any order, several files on a day
        ((1, 2, 20), 25, (5, 9.5, False)),
    ],
)
def test_how_long_a_site_may_be_silent(
    days: tuple[int, ...], as_of: int | None, found: tuple[int | None, float | None, bool]
) -> None:
    stamps = [f"2026-03-{day:02}T02:00:00+00:00" for day in days]
    assert silence(stamps, as_of and f"2026-03-{as_of:02}T01:00:00+00:00", 7) == found


def test_a_site_that_breaks_its_habit_is_late(lab: Lab) -> None:
    for week in range(4):
        lab.drop("site-a", f"{week}.ndjson", [client(f"c{week}")])
        lab.receive()
        lab.clock += timedelta(days=7)
    lab.clock += timedelta(days=14)
    lab.drop("site-b", "b.ndjson", [client()])
    lab.night()
    _, pages = reports(lab)
    assert told(pages["site-a"])["verdict"]["level"] == "late"
    (card,) = [card for card in told(pages["site-a"])["todo"] if card["code"] == "SITE_LATE"]
    assert (card["outcome"], card["figure"], card["words"]) == ("warn", "1", "of 1 delivery that is due")
    assert lab.rows("select site_id, outcome from quality.finding where code = 'SITE_LATE' order by all") == [
        ("site-a", "warn"),
        ("site-b", "pass"),
        ("site-c", "not_applicable"),
    ]
    assert (
        "site-a last delivery on 4 April 2026, 21 days ago; until then about every 7 days"
        in Page(pages["study"]).words
    )
    assert "last delivery on 4 April 2026, 21 days ago" in Page(pages[""]).words


def test_nights_are_listed_newest_first(lab: Lab) -> None:
    names = []
    for week in range(3):
        lab.drop("site-a", f"{week}.ndjson", [client(f"c{week}")])
        lab.night()
        names.append(reports(lab)[0].name)
        lab.clock += timedelta(days=7)
    (lab.folder / "reports/site-a" / names[0] / "findings.json").write_text("{")
    reports(lab)
    for where in ("site-a", "study"):
        page = Page(lab.folder / "reports" / where / "index.html")
        listed = [a["href"] for a in page.all("a") if (a["href"] or "").startswith("2026")]
        assert list(dict.fromkeys(listed)) == [f"{name}/index.html" for name in reversed(names)], where
    words = Page(lab.folder / "reports/site-a/index.html").words
    assert words.count("no summary") == 1
    assert words.count("✓ accepted Accepted in full. 1 1 0 0") == 2


def test_ten_years_of_nights_stay_one_small_page(busy: Lab) -> None:
    night, _ = reports(busy)
    gathered = gather(busy.study, current(busy.study) or Path(), night)
    made = gathered.sites[0]
    nights = {f"2026-01-01-{nth:06}": made.record.said for nth in range(1, 3651)}
    sites = nights_page(made.report, nights)
    past = PastNight("", 1, "12 of 12 sites delivered.", 12, 1000, 10, 100, 2)
    report = study_report(busy.study, sheet_of(gathered, NightNotes()), gathered.sites)
    everything = study_nights_page(report, [replace(past, night=f"2026-01-01-{n:06}") for n in range(3650)])
    for page in (sites, everything):
        assert len(page.encode()) < MEGABYTE
        assert page.count('/index.html">2026-01-01-') == 3650


def test_study_without_any_delivery(lab: Lab) -> None:
    night, pages = reports(lab)
    assert night.name == "no-delivery-000000"
    assert "this site has never delivered" in Page(pages["site-b"]).words
    assert "No site has delivered anything yet." in Page(pages[""]).words
    assert told(pages["site-a"])["origin"]["as_of"] is None
    assert "SIMULATED" not in Page(pages["site-a"]).words


def test_unread_files_are_no_balance(lab: Lab) -> None:
    lab.drop("site-a", "list.xlsx", b"PK")
    lab.night()
    page = Page(reports(lab)[1]["site-a"])
    assert "Not accepted: 1 file could not be read." in page.words
    assert "No file could be read, so there is nothing to balance." in page.words
    assert "✓ balances" not in page.words


def test_a_receipt_that_does_not_balance_gets_no_tick(lab: Lab) -> None:
    lab.drop("site-a", "a.ndjson", [client()])
    build = lab.night().path
    with duckdb.connect(str(build)) as duck:
        duck.execute("update quality.receipt set held_back = 5")
    night = night_of(build)
    page = Page(write_site_reports(gather(lab.study, build, night, sites=["site-a"]))[0])
    assert "✗ does not balance" in page.words
    assert "✓ balances" not in page.words
    sheet = Page(write_night_sheet(gather(lab.study, build, night), NightNotes()))
    assert "does not balance" in sheet.words


def test_a_page_stays_small_whatever_comes(lab: Lab) -> None:
    lab.drop("site-a", "a.ndjson", [client()])
    build = lab.night().path
    with duckdb.connect(str(build)) as duck:
        duck.execute(
            "insert into quality.finding select 'site-a', code, 'field-' || repeat('x', 40) || n, 'line', 'conformance', "
            "'error', 'fail', n, 20000, '2026-03-14T02:00:00+00:00', '2026-03-14T02:00:00+00:00' "
            "from range(16667) r(n), (values ('FIELD_UNKNOWN'), ('VALUE_NOT_ID'), ('ITEM_UNKNOWN')) c(code)"
        )
        duck.execute(
            "insert into quality.receipt select 'site-a', 1 + n, 'delivery', 'd', repeat('f', 200) || n, 1, 's', 'v', "
            "'2026-03-14T02:00:00+00:00', 1, 1, 1, 0, 0, 0, null from range(1, 3000) r(n)"
        )
        duck.execute(
            "insert into quality.completeness select 'site-a', 'wai_client', n, 10, n % 11, 0, 0, 10 - n % 11, 0, 0, 0 "
            "from range(0, 9999) r(n)"
        )
    night, pages = reports(lab)
    page = pages["site-a"]
    assert page.stat().st_size < MEGABYTE
    assert (page.parent / "report.json").stat().st_size < MEGABYTE
    words = Page(page).words
    assert "and 16,661 more" in words
    assert "20 of 3,000, those with trouble first" in words
    assert len(told(page)["completeness"]["bands"]) <= 12
    # More than 50,000 findings: the study page counts them and names none.
    assert pages["study"].stat().st_size < MEGABYTE
    first, *others = study_json(lab, night)["sites"]
    assert first["open"]["tonight"] > 50_000
    assert [row["open"]["tonight"] for row in others] == [1, 1]
    assert "field-x" not in pages["study"].read_text() + (lab.folder / "reports/index.html").read_text()


def test_of_nothing_and_of_little_no_share_is_said(lab: Lab) -> None:
    """A site that never delivered, one whose only file is empty, one with three sessions."""
    lab.drop("site-b", "empty.ndjson", b"")
    lab.drop("site-c", "few.ndjson", [client(), *(session(n) for n in (1, 2, 3)), rating(1, 3)])
    lab.night()
    night, pages = reports(lab)
    for site in ("site-a", "site-b"):
        page = Page(pages[site])
        assert not re.search(r"(?<![\d.,])(0|100) %", page.words), site
        assert all(row["outcomes"]["pass"] == 0 for row in told(pages[site])["checks"] if site == "site-a")
        assert {share["place"] for share in told(pages[site])["shares"]} == {"nothing"}
        assert "nothing can be said about completeness" in page.words
    few = Page(pages["site-c"])
    assert not re.search(r"(?<![\d.,])(0|100) %", few.words)
    assert "1 of 6 expected forms are in use" in few.words
    assert "too few due to judge" in few.words
    assert {share["place"] for share in told(pages["site-c"])["shares"]} == {"too_few"}
    everything = Page(pages["study"]).words
    assert not re.search(r"(?<![\d.,])(0|100) %", everything)
    assert "Not drawn: lines held back (none of 5 lines)" in everything
    assert {one["site_id"]: one["total"]["sent"] for one in study_json(lab, night)["sites"]} == {
        "site-a": 0,
        "site-b": 0,
        "site-c": 5,
    }


def test_expectations_show_as_words_and_a_crash_is_no_finding_about_the_site(lab: Lab) -> None:
    lab.drop("site-a", "a.ndjson", [client(), session(1)])
    build = lab.night().path
    with duckdb.connect(str(build)) as duck:
        duck.execute(
            "insert into quality.finding values "
            "('site-a', 'EXPECTATION_FAILED', 'session.filled', 'mart', 'plausibility', 'warn', 'fail', 1, 4, null, null), "
            "('site-a', 'EXPECTATION_FAILED', 'session.status.listed', 'mart', 'plausibility', 'warn', 'pass', 0, 4, null, null), "
            "('site-a', 'CHECK_CRASHED', 'other', 'mart', 'conformance', 'warn', 'crashed', 0, 0, null, null)"
        )
    night = night_of(build)
    (page,) = write_site_reports(gather(lab.study, build, night, sites=["site-a"]))
    todo = {card["code"]: card for card in told(page)["todo"]}
    assert (todo["EXPECTATION_FAILED"]["n"], todo["EXPECTATION_FAILED"]["words"]) == (1, "of 3 expectations")
    assert "A row of marts.session is empty in a column that must be filled. 1 of 4 rows" in Page(page).words
    assert todo["CHECK_CRASHED"]["outcome"] == "crashed"
    assert told(page)["checks"][0]["outcomes"]["crashed"] == 1
    sheet = Page(write_night_sheet(gather(lab.study, build, night), NightNotes()))
    assert "for which a check could not be run" in sheet.words


def test_wrong_night_and_wrong_site_are_refused(lab: Lab) -> None:
    build = lab.build().path
    with pytest.raises(ValueError, match="holds night no-delivery-000000"):
        gather(lab.study, build, NightId("2026-01-01-000001", 1, "0" * 64))
    with pytest.raises(ValueError, match="no sites of the study: site-z"):
        gather(lab.study, build, night_of(build), sites=["site-z"])
