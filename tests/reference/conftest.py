"""The table of reference cases at the end of a run: case, what was compared, rows, largest difference."""

from __future__ import annotations

import pytest

from tests.reference.case import Compared


@pytest.fixture
def compared(record_property: object) -> Compared:
    return Compared(record_property)  # type: ignore[arg-type]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rows = [
        value
        for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed")
        if report.when == "call"
        for name, value in report.user_properties
        if name == "reference"
    ]
    if not rows:
        return
    terminalreporter.section("reference cases: values of independent software against the marts")
    for case, what, n, largest, note in sorted(map(tuple, rows)):
        terminalreporter.write_line(f"{case:<28} {what:<34} {n:>7}  {largest:8.1e}  {note}")
