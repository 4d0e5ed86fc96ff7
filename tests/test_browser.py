"""What a real browser makes of the pages: every part, no request, no complaint, keyboard, contrast, two sheets of paper.

Pictures and PDFs are kept in build/screens.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dyadlog.assets.quality.report import write_check
from dyadlog.assets.warehouse.published import current
from tests.browser import CHROMIUM, Browser, browser
from tests.conftest import Lab
from tests.test_report import busy, reports  # noqa: F401 - the fixture

ROOT = Path(__file__).parents[1]
SCREENS = ROOT / "build" / "screens"
AXE = ROOT / "build" / "axe" / "node_modules" / "axe-core" / "axe.min.js"

PARTS = (
    *("verdict", "receipt", "todo", "calendar", "changes", "checks", "completeness", "process", "peers"),
    *("timeliness", "applied", "privacy", "drift"),
)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here (Debian: apt install chromium)")
needs_axe = pytest.mark.skipif(
    not AXE.exists(),
    reason="axe-core is not here (`make build/axe/.ready` fetches it; Debian: apt install npm)",
)


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("chromium")) as one:
        yield one


@pytest.fixture(scope="module")
def pages(busy: Lab) -> dict[str, Path]:  # noqa: F811
    """A busy site, one that never delivered, the study, the night sheet, a site's nights, the checks, a site's own check."""
    made = reports(busy)[1]
    folder = busy.folder / "reports"
    build = current(busy.study)
    assert build
    return {
        "site": made["site-a"],
        "silent-site": made["site-c"],
        "study": made["study"],
        "night": made[""],
        "nights": folder / "site-a" / "index.html",
        "checks": folder / "site-a" / "checks.html",
        "before-sending": write_check(busy.study, build, "site-a", busy.folder / "check"),
    }


def test_every_part_is_there_and_nothing_is_asked_of_anybody(tab: Browser, pages: dict[str, Path]) -> None:
    for name, page in pages.items():
        tab.show(page)
        assert tab.complaints == [], name
        asked = [url for url in tab.requests if not url.startswith("data:")]
        assert asked == [page.as_uri()], name
        tab.picture(SCREENS / f"{name}-light.png")
    tab.show(pages["site"])
    seen = (
        "id => { const e = document.getElementById(id); return !!e && e.getBoundingClientRect().height > 0 }"
    )
    assert [part for part in PARTS if not tab.ask(f"({seen})({json.dumps(part)})")] == []


def test_pages_are_as_wide_as_the_screen(tab: Browser, pages: dict[str, Path]) -> None:
    for name, page in pages.items():
        for width in (1180, 360):
            tab.show(page, width=width)
            # A scroll bar of ours is inside the page, never the page's own.
            assert tab.ask("document.documentElement.scrollWidth") <= width, (name, width)
        tab.picture(SCREENS / f"{name}-narrow.png")


def test_a_page_prints_on_two_sheets(tab: Browser, pages: dict[str, Path]) -> None:
    for name in ("site", "silent-site", "night"):
        tab.show(pages[name])
        paper = tab.paper()
        (SCREENS / f"{name}.pdf").parent.mkdir(parents=True, exist_ok=True)
        (SCREENS / f"{name}.pdf").write_bytes(paper)
        assert len(re.findall(rb"/Type\s*/Page\b", paper)) <= 2, name


def test_the_keyboard_reaches_everything_in_order(tab: Browser, pages: dict[str, Path]) -> None:
    stops = "[...document.querySelectorAll('a[href], summary, [tabindex=\"0\"]')]"
    visible = f"{stops}.filter(e => e.checkVisibility())"
    for name, page in pages.items():
        tab.show(page)
        wanted = tab.ask(f"{visible}.length")
        assert wanted >= 2
        order = []
        for _ in range(wanted):
            tab.press("Tab", 9)
            order.append(tab.ask(f"{visible}.indexOf(document.activeElement)"))
            outline = tab.ask("getComputedStyle(document.activeElement).outlineStyle")
            assert outline != "none", (name, order)
        assert order == list(range(wanted)), name
        assert tab.ask(f"{visible}[0].textContent").startswith("Skip")


@needs_axe
@pytest.mark.parametrize(("scheme", "width"), [("light", 1180), ("dark", 1180), ("light", 360)])
def test_axe_finds_nothing_serious(tab: Browser, pages: dict[str, Path], scheme: str, width: int) -> None:
    found = []
    for name, page in pages.items():
        tab.show(page, dark=scheme == "dark", width=width, bypass=True)
        tab.ask("document.querySelectorAll('details').forEach(one => { one.open = true })")
        tab.ask(AXE.read_text("utf-8") + "; undefined")
        told = tab.ask("axe.run().then(found => JSON.stringify(found.violations))")
        for one in json.loads(told):
            if one["impact"] in ("serious", "critical"):
                where = [node["target"] for node in one["nodes"]][:3]
                found.append((name, one["id"], one["help"], len(one["nodes"]), where))
        if scheme == "dark":
            tab.picture(SCREENS / f"{name}-dark.png")
    assert found == []


@needs_axe
def test_axe_would_find_something(tab: Browser, pages: dict[str, Path], tmp_path: Path) -> None:
    """A page that is spoilt: grey on grey, and a table that no key reaches."""
    text = pages["site"].read_text("utf-8")
    spoilt = tmp_path / "spoilt.html"
    spoilt.write_text(
        text.replace("<main", '<main style="color: #999; background: #aaa"').replace(' lang="en"', "")
    )
    shutil.copyfile(pages["site"].with_name("report.json"), tmp_path / "report.json")
    tab.show(spoilt, bypass=True)
    tab.ask(AXE.read_text("utf-8") + "; undefined")
    told = json.loads(tab.ask("axe.run().then(found => JSON.stringify(found.violations))"))
    assert {"color-contrast", "html-has-lang"} <= {one["id"] for one in told}
