"""Commands by which the study's data manager puts deliveries right: light, like the command line itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

RELEASE_EXAMPLE = (
    "Example:  dyadlog release-held site-01 -s my-study --by 'A. Bee' --why 'mapping of visits corrected'"
)
VOID_EXAMPLE = "Example:  dyadlog void site-01 9f86d081884c7d65 -s my-study --by 'A. Bee' --why 'export of another study'"

StudyOption = Annotated[Path, typer.Option("--study", "-s", metavar="DIR", help="The study folder.")]
HERE = Path()
ByOption = Annotated[str, typer.Option("--by", metavar="WHO", help="Who has it done; kept in the log.")]
WhyOption = Annotated[str, typer.Option("--why", metavar="REASON", help="Why; kept in the log for ever.")]


def release_held(
    by: ByOption,
    why: WhyOption,
    site: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(metavar="SITE", help="The site; all sites by default."),
    ] = None,
    study: StudyOption = HERE,
) -> None:
    """Let held-back lines in that pass today's rules."""
    from dyadlog.orchestration.steward import release_lines
    from dyadlog.schemas.study import read_study

    release_lines(read_study(study), site, by, why)


def void(
    site: Annotated[str, typer.Argument(metavar="SITE", help="The site.")],
    delivery: Annotated[
        str,
        typer.Argument(metavar="DELIVERY", help="Its name in quality.receipt, or the number of its commit."),
    ],
    by: ByOption,
    why: WhyOption,
    study: StudyOption = HERE,
) -> None:
    """Let a wrong delivery count no longer."""
    from dyadlog.orchestration.steward import void_delivery
    from dyadlog.schemas.study import read_study

    void_delivery(read_study(study), site, delivery, by, why)
