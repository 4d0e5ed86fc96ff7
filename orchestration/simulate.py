"""The command `simulate`: a study in a box."""

from __future__ import annotations

from pathlib import Path

from dyadlog.assets.simulation.simulate import Plan, simulate
from dyadlog.orchestration.examples import new_folder
from dyadlog.schemas.errors import UserError
from dyadlog.schemas.simulation import Parameters


def simulate_study(
    folder: Path, preset: str, sites: int | None, clients: int | None, nights: int | None, seed: int
) -> list[str]:
    """Make a simulated study.

    Args:
        folder: where; must not exist yet, or be empty.
        preset: a size and its parameters.
        sites: number of sites, instead of the preset's.
        clients: clients of all sites together, instead of the preset's.
        nights: deliveries per site, instead of the preset's.
        seed: the same seed gives the same study.

    Returns:
        sentences for the user.

    Raises:
        UserError: the folder is not empty or the numbers do not fit; nothing was written.
    """
    p = Parameters(preset)
    plan = Plan(seed, sites or p.preset.sites, clients or p.preset.clients, nights or p.preset.nights)
    if plan.clients < plan.sites:
        raise UserError(
            f"--clients {plan.clients}: a study needs a client per site at least; ask for more clients"
        )
    with new_folder(folder):
        simulate(folder, p, plan)
    files = sum(1 for _ in (folder / "landing").glob("*/*"))
    return [
        f"Made a simulated study in {folder}: {plan.sites} sites, {plan.clients} clients, {files} files. "
        "Nobody in it exists.",
        f"What is true: {folder / 'truth'}",
        f"Now run: dyadlog night -s {folder}",
    ]
