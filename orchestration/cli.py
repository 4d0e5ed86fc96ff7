"""The command line. Heavy libraries are imported by the command that needs them, not before."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Optional

import typer

from dyadlog.orchestration import quality_commands, steward_commands
from dyadlog.orchestration.plot_commands import plot
from dyadlog.orchestration.steward_commands import HERE, StudyOption
from dyadlog.schemas.errors import LogDamagedError, StudyError, UserError

# Exit codes: 0 all well, 1 something needs a human, 2 a mistake in the command or in study.yaml.
NEEDS_A_HUMAN = 1
MISTAKE = 2

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Event-sourced research data platform for multi-site psychotherapy process studies.",
    epilog="Start with:  dyadlog init study --example quickstart; dyadlog night -s study",
)

AS_OF = typer.Option("--as-of", metavar="WHEN", help="A commit's number, or a day (YYYY-MM-DD, UTC).")
AsOfOption = Annotated[Optional[str], AS_OF]  # noqa: UP045 - typer reads the annotation at run time


def main() -> None:
    """Entry point."""
    run_app(app)


def run_app(commands: typer.Typer) -> None:
    """Run a command line: errors that people can mend are shown without a traceback."""
    try:
        commands(standalone_mode=True)
    except StudyError as error:
        _complain(*error.problems)
        sys.exit(MISTAKE)
    except UserError as error:
        _complain(str(error))
        sys.exit(MISTAKE)
    except LogDamagedError as error:
        _complain(
            f"The event log is damaged: {error}. Nothing was changed; restore the named file from a backup."
        )
        sys.exit(NEEDS_A_HUMAN)
    except OSError as error:
        _complain(f"{error.filename or 'the operating system'}: {error.strerror or type(error).__name__}")
        sys.exit(NEEDS_A_HUMAN)


def _complain(*sentences: str) -> None:
    for sentence in sentences:
        print(f"error: {sentence}", file=sys.stderr)


@app.command(epilog="Example:  dyadlog init my-study --example cbasp_trial --data ../shared/data/cbasp_trial")
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder for the study.")],
    example: Annotated[
        Optional[str],  # noqa: UP045 - typer reads the annotation at run time
        typer.Option(help="Start from an example: quickstart, cbasp_trial or ctn0094."),
    ] = None,
    data: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option(help="Folder with the example's data, where it is not shipped."),
    ] = None,
) -> None:
    """Make a new study folder."""
    from dyadlog.orchestration.examples import init_study

    for sentence in init_study(folder, example, data):
        print(sentence)


@app.command(epilog="Example:  dyadlog simulate box --sites 8 --clients 400 --nights 30 --seed 7")
def simulate(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder for the study.")],
    preset: Annotated[str, typer.Option(help="Size: default, typical, ccmh-year or quickstart.")] = "default",
    sites: Annotated[Optional[int], typer.Option(min=1, max=999, help="Number of sites.")] = None,  # noqa: UP045
    clients: Annotated[Optional[int], typer.Option(min=1, help="Clients of all sites together.")] = None,  # noqa: UP045
    nights: Annotated[Optional[int], typer.Option(min=1, max=366, help="Deliveries of each site.")] = None,  # noqa: UP045
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 1,
    faults: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(metavar="LEVEL", help="Plant faults, with a key: low, realistic, nasty or showcase."),
    ] = None,
    run: Annotated[
        bool, typer.Option("--night", help="Run a night on it at once: marts and reports.")
    ] = False,
) -> None:
    """Make a simulated study: sites, deliveries, and the truth."""
    from dyadlog.orchestration.simulate import simulate_study

    simulate_study(folder, preset, sites, clients, nights, seed, faults, at_once=run)
    if run:
        night(folder)


@app.command(epilog="Example:  dyadlog simulate box --faults realistic   then  dyadlog score box")
def score(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A simulated study with faults.")],
) -> None:
    """See which faults of a simulated study are found.

    Runs its nights and compares with the key to the planted faults.
    """
    from dyadlog.orchestration.score import score_study

    if not score_study(folder):
        raise typer.Exit(NEEDS_A_HUMAN)


@app.command(epilog="Example:  dyadlog night -s my-study")
def night(study: StudyOption = HERE) -> None:
    """Take deliveries in, rebuild the marts, write the reports."""
    from dyadlog.orchestration.night import NightFailedError, yesterday
    from dyadlog.orchestration.night import night as run
    from dyadlog.orchestration.screen import Screen
    from dyadlog.schemas.study import read_study

    protocol = read_study(study)
    with Screen(protocol) as screen:
        try:
            worked = run(protocol, screen)
        except NightFailedError as error:
            screen.failed(str(error), yesterday(protocol))
            raise typer.Exit(NEEDS_A_HUMAN) from None
        screen.summary(worked=worked)


app.command("check", epilog=quality_commands.CHECK_EXAMPLE)(quality_commands.check)
app.command("check-file", epilog=quality_commands.CHECK_FILE_EXAMPLE)(quality_commands.check_file)


@app.command(
    epilog='Example:  dyadlog sql -s my-study "select status, count(*) from marts.session group by all"'
)
def sql(
    query: Annotated[str, typer.Argument(metavar="SELECT", help="One SQL statement on the published marts.")],
    study: StudyOption = HERE,
    csv: Annotated[
        bool, typer.Option("--csv", help="Write comma-separated text instead of a table.")
    ] = False,
    as_of: AsOfOption = None,
) -> None:
    """Ask the published marts, read-only, without access to files."""
    from dyadlog.orchestration.query import ask
    from dyadlog.schemas.study import read_study

    ask(read_study(study), query, as_csv=csv, as_of=as_of)


@app.command(epilog="Example:  dyadlog ask 9 -s my-study")
def ask(
    number: Annotated[
        Optional[int],  # noqa: UP045
        typer.Argument(metavar="NUMBER", help="A question; all of them are listed by default."),
    ] = None,
    study: StudyOption = HERE,
    csv: Annotated[
        bool, typer.Option("--csv", help="Write comma-separated text instead of a table.")
    ] = False,
    as_of: AsOfOption = None,
) -> None:
    """Ask one of the 32 questions of the cookbook, or list them."""
    from dyadlog.orchestration.questions import ask_question, list_questions
    from dyadlog.schemas.study import read_study

    if number is None:
        list_questions()
        return
    ask_question(number, lambda: read_study(study), as_csv=csv, as_of=as_of)


@app.command(epilog="Example:  dyadlog build -s my-study --as-of 2026-03-31")
def build(as_of: Annotated[str, AS_OF], study: StudyOption = HERE) -> None:
    """Build the marts of an earlier commit or day.

    What was known then, by today's code and rules.
    """
    from dyadlog.orchestration.query import marts_as_of
    from dyadlog.schemas.study import read_study

    print(marts_as_of(read_study(study), as_of))


@app.command(epilog="Example:  dyadlog history site-01 w-17 -s my-study")
def history(
    site: Annotated[str, typer.Argument(metavar="SITE", help="The site.")],
    event_id: Annotated[str, typer.Argument(metavar="EVENT_ID", help="The site's id of the fact.")],
    study: StudyOption = HERE,
) -> None:
    """Show every revision of one fact, with delivery and line."""
    from dyadlog.orchestration.screen import show_history
    from dyadlog.schemas.study import read_study

    show_history(read_study(study), site, event_id)


@app.command(
    epilog="Example:  dyadlog explain outcome_client site_id=north client_id=n01 rule_id=first_last change -s my-study"
)
def explain(
    mart: Annotated[str, typer.Argument(metavar="MART", help="A mart, as in marts.outcome_client.")],
    words: Annotated[
        list[str],
        typer.Argument(metavar="KEY... COLUMN", help="The row as NAME=VALUE ..., then the column."),
    ],
    study: StudyOption = HERE,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for machines.")] = False,
    as_of: AsOfOption = None,
) -> None:
    """Show what a number is made of, down to lines of deliveries."""
    from dyadlog.orchestration.explain import show_explanation
    from dyadlog.schemas.study import read_study

    show_explanation(read_study(study), mart, words, as_json=as_json, as_of=as_of)


app.add_typer(plot, name="plot")
app.command("release-held", epilog=steward_commands.RELEASE_EXAMPLE)(steward_commands.release_held)
app.command("void", epilog=steward_commands.VOID_EXAMPLE)(steward_commands.void)
app.command("erase", epilog=steward_commands.ERASE_EXAMPLE)(steward_commands.erase)
app.command("compact", epilog=steward_commands.COMPACT_EXAMPLE)(steward_commands.compact)
app.add_typer(quality_commands.rules, name="rules", epilog=quality_commands.PREVIEW_EXAMPLE)
app.command("expectations", epilog=quality_commands.EXPECTATIONS_EXAMPLE)(quality_commands.expectations)


@app.command(epilog="Example:  dyadlog status -s my-study || echo 'look at the last night'")
def status(study: StudyOption = HERE) -> None:
    """Say how the last night went, and what needs a human.

    Exit code 1 if it failed or the last good one is too old.
    """
    from dyadlog.orchestration.status import show_status
    from dyadlog.schemas.study import read_study

    if not show_status(read_study(study)):
        raise typer.Exit(NEEDS_A_HUMAN)


@app.command(epilog="Example:  dyadlog verify -s my-study --receipt 42:9f86d081884c7d65")
def verify(
    study: StudyOption = HERE,
    since: Annotated[int, typer.Option(min=0, help="Check only what came after this commit.")] = 0,
    receipt: Annotated[
        Optional[str],  # noqa: UP045
        typer.Option(help="Commit and head as a site's report prints them: is that commit still here?"),
    ] = None,
) -> None:
    """Prove that the event log is whole.

    Signed head, chain, segments, row counts, accounts, sealed lines.
    """
    from dyadlog.assets.event_log.verify import verify as prove
    from dyadlog.assets.event_log.verify import verify_receipt
    from dyadlog.assets.intake.receive import open_log, open_quarantine, open_witness
    from dyadlog.schemas.study import read_study

    protocol = read_study(study)
    log = open_log(protocol)
    if since > log.head().seq:
        raise UserError(f"--since {since}: the newest commit is {log.head().seq}")
    checked = prove(log, since=since, witness=open_witness(protocol), quarantine=open_quarantine(protocol))
    if receipt:
        print(f"The receipt is good: commit {verify_receipt(log, receipt)} is in the log")
    print(f"The log is whole: {checked} commits, head {log.head().sha256}")


@app.command(
    "restore-check", epilog="Example:  dyadlog restore-check backups/my-study -s my-study   (README: Backup)"
)
def restore_check(
    copy: Annotated[Path, typer.Argument(metavar="DIR", help="A copy of the study folder.")],
    study: StudyOption = HERE,
) -> None:
    """Prove that a copy of the study folder could take its place."""
    from dyadlog.assets.intake.receive import open_log
    from dyadlog.assets.intake.restore import check_copy
    from dyadlog.schemas.study import read_study

    protocol = read_study(study)
    found = check_copy(protocol, read_study(copy), open_log(protocol))
    print(f"The copy is whole: {found.commits} commits; the study has {found.newer} newer ones")
    if found.erasures:
        print(
            f"It must not take the study's place: it holds who was erased by commit {', '.join(map(str, found.erasures))}. "
            "Make a new copy and remove this one."
        )
        raise typer.Exit(NEEDS_A_HUMAN)


@app.command(epilog="Example:  dyadlog catalogue session.held")
def catalogue(
    event_type: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(metavar="EVENT_TYPE", help="A kind of event; all kinds by default."),
    ] = None,
) -> None:
    """Show what a site can say: kinds of event and their fields."""
    from dyadlog.orchestration.screen import show_catalogue

    show_catalogue(event_type)


@app.command(epilog="Example:  dyadlog instruments oq-45")
def instruments(
    name: Annotated[
        Optional[str],  # noqa: UP045
        typer.Argument(metavar="NAME", help="An instrument; all of them by default."),
    ] = None,
    study: Annotated[
        Optional[Path],  # noqa: UP045
        typer.Option("--study", "-s", metavar="DIR", help="A study folder: its own instruments too."),
    ] = None,
) -> None:
    """Show the registry of instruments and norms.

    Items, keys, scores, rules for missing answers, norms, and how each is known.
    """
    from dyadlog.orchestration.registry import show_instruments
    from dyadlog.schemas.instruments import shipped_instruments
    from dyadlog.schemas.norms import shipped_norms
    from dyadlog.schemas.study import read_study

    if study is None:
        show_instruments(shipped_instruments(), shipped_norms(), name)
        return
    protocol = read_study(study)
    show_instruments(protocol.instruments, protocol.norms, name)


@app.command(epilog="Example:  dyadlog freeze jt_c baseline-2026 -s my-study")
def freeze(
    rule: Annotated[
        str, typer.Argument(metavar="RULE", help="A rule that judges by the study's own sample.")
    ],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the new norm set.")],
    study: StudyOption = HERE,
) -> None:
    """Keep means and SDs, so that later deliveries move no client."""
    from dyadlog.assets.warehouse.freeze import freeze as keep
    from dyadlog.schemas.study import read_study

    protocol = read_study(study)
    for path in keep(protocol, rule, name):
        print(f"{path}: add it to `norms` in study.yaml and say `reference: {name}` in the rule")


@app.command(epilog="Example:  dyadlog serve -s my-study   then open http://127.0.0.1:3000")
def serve(
    study: StudyOption = HERE,
    port: Annotated[int, typer.Option(help="Port on this machine.")] = 3000,
) -> None:
    """Open Dagster's web pages, on this machine only."""
    from importlib.util import find_spec

    from dyadlog.orchestration.night import dagster_home
    from dyadlog.schemas.study import read_study

    protocol = read_study(study)
    if find_spec("dagster_webserver") is None:
        raise UserError("The web pages need one more package: pip install 'dyadlog[ui]'")
    folder = str(protocol.folder.resolve())
    os.environ.update(DAGSTER_HOME=str(dagster_home(protocol)), DYADLOG_STUDY=folder)
    command = ["-m", "dagster", "dev", "-m", "dyadlog.orchestration.definitions"]
    os.execv(sys.executable, [sys.executable, *command, "--host", "127.0.0.1", "--port", str(port)])  # noqa: S606


if __name__ == "__main__":
    main()
