"""Commands about quality for sites and for the study's data manager: light, like the command line itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from dyadlog.orchestration.steward_commands import HERE, StudyOption

CHECK_EXAMPLE = "Example:  dyadlog check my-export.csv -s study.yaml --site site-01"
CHECK_FILE_EXAMPLE = "Example:  dyadlog check-file site-01 -s my-study -o dyadlog-check.py"
PREVIEW_EXAMPLE = "Example:  dyadlog rules preview --against 42 -s my-study"
EXPECTATIONS_EXAMPLE = "Example:  dyadlog expectations site-01 -s my-study -o site-01-suite"


def check(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files as they would be delivered.")],
    study: Annotated[
        Path, typer.Option("--study", "-s", metavar="STUDY_YAML", help="study.yaml or its folder.")
    ] = HERE,
    site: Annotated[
        Optional[str],  # noqa: UP045 - typer reads the annotation at run time
        typer.Option(
            help="The site; by default the name of the file's folder, or the only site of the study."
        ),
    ] = None,
    report: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(metavar="DIR", help="Write the centre's page of these files, and where to look."),
    ] = None,
) -> None:
    """Check files before sending them.

    The same checks, codes and words as at the centre; nothing is sent, and nothing of the study is needed but its rules.
    """
    from dyadlog.orchestration.check import check_files
    from dyadlog.schemas.study import read_study

    if not check_files(read_study(study), files, site, report):
        raise typer.Exit(1)


def check_file(
    site: Annotated[str, typer.Argument(metavar="SITE", help="The site.")],
    target: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write.")],
    study: StudyOption = HERE,
) -> None:
    """Write the check of a site as one file, for uv or pipx.

    A site runs it with `uv run` or `pipx run`, without installing anything; it holds the rules of the study and no data.
    """
    from dyadlog.orchestration.check_file import write_check_file
    from dyadlog.schemas.study import read_study

    write_check_file(read_study(study), site, target)
    print(target)


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


rules = typer.Typer(
    no_args_is_help=True, pretty_exceptions_enable=False, help="Try out a change of the rules."
)


@rules.command(epilog=PREVIEW_EXAMPLE)
def preview(
    against: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(
            metavar="WHEN", help="A commit's number, or a day (YYYY-MM-DD, UTC); by default the newest."
        ),
    ] = None,
    study: StudyOption = HERE,
) -> None:
    """Show which findings would appear or vanish.

    All deliveries are judged once more by today's rules and held against what the sites were told on the newest night up
    to that commit. The study stays as it is. Exit code 1 if anything would be different.
    """
    from dyadlog.orchestration.preview import preview_rules
    from dyadlog.schemas.study import read_study

    if not preview_rules(read_study(study), against):
        raise typer.Exit(1)
