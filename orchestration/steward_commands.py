"""Commands by which the study's data manager puts deliveries right: light, like the command line itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Optional

import typer

from dyadlog.schemas.errors import UserError

RELEASE_EXAMPLE = (
    "Example:  dyadlog release-held site-01 -s my-study --by 'A. Bee' --why 'mapping of visits corrected'"
)
VOID_EXAMPLE = "Example:  dyadlog void site-01 9f86d081884c7d65 -s my-study --by 'A. Bee' --why 'export of another study'"

ERASE_EXAMPLE = "Example:  dyadlog erase site-01 c-17 -s my-study --by 'A. Bee' --why 'withdrawal of consent'"
COMPACT_EXAMPLE = "Example:  dyadlog compact -s my-study"

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


def erase(
    site: Annotated[Optional[str], typer.Argument(metavar="SITE", help="The site.")] = None,  # noqa: UP045
    client: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(metavar="CLIENT", help="The client's pseudonym there."),
    ] = None,
    by: ByOption = "",
    why: WhyOption = "",
    keep_landing: Annotated[
        bool, typer.Option("--keep-landing", help="Leave received files with the client's lines there.")
    ] = False,
    study: StudyOption = HERE,
) -> None:
    """Erase a client; alone: list who waits for it.

    Log, quarantine, marts, run history and received files; a certificate says what was done and what is left to do.
    """
    from dyadlog.orchestration.erase import erase as take_out
    from dyadlog.orchestration.erase import show_pending
    from dyadlog.schemas.study import read_study

    protocol = read_study(study)
    if site is None:
        if not show_pending(protocol):
            raise typer.Exit(1)
    elif client is None:
        raise UserError("name the site and the client: dyadlog erase SITE CLIENT --by WHO --why REASON")
    else:
        take_out(protocol, site, client, by, why, keep_landing=keep_landing)


def compact(study: StudyOption = HERE) -> None:
    """Merge small segments of the log into large ones.

    Nights do so by themselves when a site has many.
    """
    from dyadlog.orchestration.erase import compact as merge
    from dyadlog.schemas.study import read_study

    merge(read_study(study))
