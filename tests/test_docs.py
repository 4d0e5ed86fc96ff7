"""The pages of the methods are those that the models, contracts and presets make."""

from __future__ import annotations

from pathlib import Path

import pytest

from dyadlog.assets.quality import registry
from dyadlog.assets.warehouse.models import models
from dyadlog.assets.warehouse.pages import pages
from dyadlog.schemas.codes import codes
from dyadlog.schemas.protocol import Thresholds

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", list(pages()))
def test_a_page_is_up_to_date(name: str) -> None:
    assert (ROOT / "docs/methods" / name).read_text("utf-8") == pages()[name], "run `make docs`"


def test_the_page_of_the_checks_is_up_to_date() -> None:
    assert (ROOT / "docs/checks.md").read_text("utf-8") == registry.page(), "run `make docs`"
    assert len(codes()) <= 66, "more checks than anybody reads: about 60"


def test_every_figure_that_decides_is_explained() -> None:
    told = {figure.name: figure.means for check in registry.checks(Thresholds()) for figure in check.figures}
    assert set(told) >= {"completeness_warn", "completeness_min_expected", "quiet_days"}
    assert all(means.endswith(".") for means in told.values())
    assert all(one.told.rule.endswith(".") for one in registry.checks(Thresholds()) if one.told.rule)


def test_there_is_no_page_without_a_method() -> None:
    assert {path.name for path in (ROOT / "docs/methods").glob("*.md")} == set(pages())


@pytest.mark.parametrize("name", list(pages()))
def test_tests_that_a_page_names_exist(name: str) -> None:
    last = pages()[name].strip().splitlines()[-1]
    assert all((ROOT / path.strip("` ")).is_file() for path in last.split(","))


def test_every_model_of_a_method_names_its_source() -> None:
    for page in pages().values():
        for line in page.splitlines():
            if line.startswith("## `marts."):
                assert "-- source:" in models()[line[4:-1]].sql, line
