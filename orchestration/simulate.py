"""The command `simulate`: a study in a box."""

from __future__ import annotations

from pathlib import Path

from rich import box
from rich.table import Table

from dyadlog.assets.quality.words import counted
from dyadlog.assets.simulation.calibration import SCATTER, table
from dyadlog.assets.simulation.network import Site
from dyadlog.assets.simulation.simulate import Plan, simulate
from dyadlog.orchestration.examples import new_folder
from dyadlog.orchestration.screen import console, moving_line
from dyadlog.schemas.errors import UserError
from dyadlog.schemas.faults import faults
from dyadlog.schemas.simulation import Parameters


def simulate_study(
    folder: Path,
    preset: str,
    sites: int | None,
    clients: int | None,
    nights: int | None,
    seed: int,
    level: str | None = None,
    *,
    at_once: bool = False,
) -> None:
    """Make a simulated study and show its calibration table.

    Args:
        folder: where; must not exist yet, or be empty.
        preset: a size and its parameters.
        sites: number of sites, instead of the preset's.
        clients: clients of all sites together, instead of the preset's.
        nights: deliveries per site, instead of the preset's.
        seed: the same seed gives the same study.
        level: how many faults are planted; none without.
        at_once: a night follows, so the next step need not be said.

    Raises:
        UserError: the folder is not empty or the numbers do not fit; nothing was written.
    """
    p = Parameters(preset)
    plan = Plan(seed, sites or p.preset.sites, clients or p.preset.clients, nights or p.preset.nights, level)
    if level:
        faults().rates(level)
    if plan.clients < plan.sites:
        raise UserError(
            f"--clients {plan.clients}: a study needs a client per site at least; ask for more clients"
        )
    with new_folder(folder), moving_line(unit="clients") as progress:
        task = progress.add_task("simulating", total=plan.clients)

        def told(site: Site) -> None:
            progress.update(task, advance=site.clients, description=f"simulated {site.site_id}")

        figures = simulate(folder, p, plan, told)
    files = sum(1 for _ in (folder / "landing").glob("*/*"))
    out = console()
    out.print(
        f"Made a simulated study in {folder}: {counted(plan.sites, 'site')}, {counted(plan.clients, 'client')}, "
        f"{counted(files, 'file')}. Nobody in it exists."
    )
    out.print(_calibration(table(figures, p.targets_of(plan.sites, plan.clients))))
    out.print(SCATTER)
    out.print(f"What is true: {folder / 'truth'}")
    if not at_once:
        next_step = f"dyadlog score {folder}" if level else f"dyadlog night -s {folder}"
        out.print(f"Now run: {next_step}", soft_wrap=True)


def _calibration(rows: list[tuple[str, str, str, str, str]]) -> Table:
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    shown.add_column("calibration")
    for name in ("target", "tolerance", "simulated"):
        shown.add_column(name, justify="right")
    shown.add_column("")
    for *cells, verdict in rows:
        shown.add_row(*cells, f"[yellow]{verdict}[/]" if verdict == "off" else verdict)
    return shown
