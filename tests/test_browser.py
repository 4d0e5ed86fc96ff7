"""What a real browser makes of a page: two pages on paper, light and dark. Screens are kept if $DYADLOG_SCREENS names a folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import Lab
from tests.test_report import busy, reports  # noqa: F401 - the fixture

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here (Debian: apt install chromium)")


def chromium(home: Path, *words: str) -> None:
    assert CHROMIUM
    given = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={home}"]
    subprocess.run([CHROMIUM, *given, *words], check=True, capture_output=True, timeout=120)


def test_a_page_prints_on_two_pages(busy: Lab, tmp_path: Path) -> None:  # noqa: F811
    for site, page in reports(busy)[1].items():
        if site in busy.study.site_ids:
            target = tmp_path / f"{site}.pdf"
            chromium(tmp_path / "home", "--no-pdf-header-footer", f"--print-to-pdf={target}", page.as_uri())
            assert len(re.findall(rb"/Type\s*/Page\b", target.read_bytes())) <= 2, site


@pytest.mark.parametrize(
    ("which", "name", "scheme"), [("site-a", "light", 1), ("site-a", "dark", 0), ("study", "dark", 0)]
)
def test_a_page_shows_in_light_and_dark(
    busy: Lab,  # noqa: F811
    tmp_path: Path,
    which: str,
    name: str,
    scheme: int,
) -> None:
    page = reports(busy)[1][which]
    target = Path(os.environ.get("DYADLOG_SCREENS", tmp_path)) / f"{which}-{name}.png"
    scheme_flag = f"--blink-settings=preferredColorScheme={scheme}"
    chromium(
        tmp_path / "home", scheme_flag, "--window-size=1180,5000", f"--screenshot={target}", page.as_uri()
    )
    assert target.stat().st_size > 50_000
