"""The command `rules preview`: what today's rules would have changed for the sites."""

from __future__ import annotations

from rich import box
from rich.table import Table

from dyadlog.assets.event_log.history import head_at
from dyadlog.assets.intake.receive import open_log
from dyadlog.assets.quality.preview import HOWS, Difference, Preview, preview
from dyadlog.assets.quality.record import Told
from dyadlog.assets.version import code_version
from dyadlog.orchestration.screen import console
from dyadlog.schemas.errors import UserError
from dyadlog.schemas.study import Study

_WORDS = {"appears": "appear", "vanishes": "vanish", "changes": "are of another size or outcome"}
_STYLES = {"appears": "yellow", "vanishes": "green", "changes": ""}


def preview_rules(study: Study, against: str | None) -> bool:
    """Show which findings today's rules would change.

    Args:
        study: the study, with the rules of today.
        against: a commit or a day; the newest by default.

    Returns:
        True if nothing would change.

    Raises:
        UserError: there was no such commit, or no site has a report up to it.
    """
    log = open_log(study)
    if not log.head().seq:
        raise UserError(f"{study.folder}: nothing was delivered yet, so there is nothing to compare with")
    found = preview(study, log, head_at(log, against) if against else log.head())
    _show(study, found)
    return not found.differences


def _show(study: Study, found: Preview) -> None:
    out = console()
    out.print(
        f"Night {found.night}: rules {found.rules_then[:12]}, Dyadlog {found.code_then}\n"
        f"Today:  rules {study.rules_digest[:12]}, Dyadlog {code_version()}"
    )
    if found.differences:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for name in ("", "site", "code", "about"):
            table.add_column(name, overflow="fold")
        for name in ("as told then", "by today's rules"):
            table.add_column(name, justify="right")
        for one in found.differences:
            table.add_row(*_row(one), style=_STYLES[one.how])
        out.print(table)
        counts = {how: sum(one.how == how for one in found.differences) for how in HOWS}
        out.print("Findings: " + ", ".join(f"{n:,} {_WORDS[how]}" for how, n in counts.items() if n) + ".")
    else:
        out.print("No finding would appear, vanish or change.")
    out.print(f"{found.deliveries:,} deliveries were judged again; nothing of the study was changed.")
    if found.as_logged:
        out.print(
            f"The files of {found.as_logged:,} of them are not in the landing folders any more: their lines count as they "
            "were judged when they came."
        )
    if found.strangers:
        out.print(f"Not compared, for want of a report of that night: {', '.join(found.strangers)}.")


def _row(one: Difference) -> tuple[str, ...]:
    return one.how, one.site_id, one.code, one.subject, _figure(one.then), _figure(one.now)


def _figure(told: Told | None) -> str:
    if told is None:
        return "-"
    if told.outcome in ("crashed", "not_applicable"):
        return told.outcome.replace("_", " ")
    return f"{told.outcome} {told.n:,}" + (f" of {told.of:,}" if told.of is not None else "")
