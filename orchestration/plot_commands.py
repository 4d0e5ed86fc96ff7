"""`dyadlog plot`: light, like the command line itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from dyadlog.orchestration.steward_commands import HERE, StudyOption

plot = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Draw a dyad or the study, for the study team.",
    epilog="Example:  dyadlog plot dyad site-01 c-17 -s my-study",
)

OutOption = Annotated[
    Optional[Path],  # noqa: UP045 - typer reads the annotation at run time
    typer.Option(
        "--out", "-o", metavar="FILE", help="File to write, .html or .svg; by default in pictures/."
    ),
]
AsOfOption = Annotated[
    Optional[str],  # noqa: UP045
    typer.Option("--as-of", metavar="WHEN", help="A commit's number, or a day (YYYY-MM-DD, UTC)."),
]


@plot.command(epilog="Example:  dyadlog plot dyad site-01 c-17 -s my-study -o c-17.svg")
def dyad(
    site: Annotated[str, typer.Argument(metavar="SITE", help="The site.")],
    client: Annotated[str, typer.Argument(metavar="CLIENT", help="The client's pseudonym there.")],
    study: StudyOption = HERE,
    out: OutOption = None,
    as_of: AsOfOption = None,
) -> None:
    """Draw one client's treatment, session by session.

    Alliance from both chairs, ruptures by every rule, outcome, missed sessions, ending.
    """
    from dyadlog.orchestration.plot import plot_dyad
    from dyadlog.schemas.study import read_study

    print(plot_dyad(read_study(study), site, client, out, as_of))


@plot.command("study", epilog="Example:  dyadlog plot study -s my-study")
def whole(study: StudyOption = HERE, out: OutOption = None, as_of: AsOfOption = None) -> None:
    """Draw the study.

    Courses of the alliance, agreement of both raters, ruptures by rule, outcome by site.
    """
    from dyadlog.orchestration.plot import plot_study
    from dyadlog.schemas.study import read_study

    print(plot_study(read_study(study), out, as_of))
