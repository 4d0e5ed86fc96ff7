"""The command `simulate`: a study in a box."""

from __future__ import annotations

from pathlib import Path

from dyadlog.assets.simulation.simulate import simulate
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
    size = {
        "count": sites or p.preset.sites,
        "clients": clients or p.preset.clients,
        "nights": nights or p.preset.nights,
    }
    if size["clients"] < size["count"]:
        raise UserError(
            f"--clients {size['clients']}: a study needs at least one client per site; ask for more clients"
        )
    with new_folder(folder):
        simulate(folder, p, seed=seed, **size)
    files = sum(1 for _ in (folder / "landing").glob("*/*"))
    return [
        f"Made a simulated study in {folder}: {size['count']} sites, {size['clients']} clients, {files} files. "
        "Nobody in it exists.",
        f"What is true: {folder / 'truth'}",
        f"Now run: dyadlog night -s {folder}",
    ]
