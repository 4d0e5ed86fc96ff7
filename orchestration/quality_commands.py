"""Commands about quality for sites and for the study's data manager: light, like the command line itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dyadlog.orchestration.steward_commands import HERE, StudyOption

EXPECTATIONS_EXAMPLE = "Example:  dyadlog expectations site-01 -s my-study -o site-01-suite"


def expectations(
    site: Annotated[str, typer.Argument(metavar="SITE", help="The site.")],
    target: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR", help="Where to write suite.json and slice.parquet."),
    ],
    study: StudyOption = HERE,
) -> None:
    """Export a site's suite for Great Expectations.

    With the site's slice of the marts, so that the site can run it by itself (docs/expectations.md).
    """
    from dyadlog.orchestration.suites import export_expectations
    from dyadlog.schemas.study import read_study

    for path in export_expectations(read_study(study), site, target):
        print(path)
