"""One site's deliveries with faults, and the key to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import polars as pl

from dyadlog.assets.simulation.delivery import File
from dyadlog.assets.simulation.faulty.contents import plant_contents
from dyadlog.assets.simulation.faulty.files import files, plant_deliveries, plant_lines
from dyadlog.assets.simulation.faulty.plot import PLANTED, Plot


def faulty_files(plot: Plot, write: Callable[[pl.DataFrame], pl.DataFrame]) -> Iterator[File]:
    """Plant faults and make the files; when all are made, `plot.key` is complete.

    Args:
        plot: the site's facts.
        write: makes `night`, `line` of facts, row by row.
    """
    chosen = plant_deliveries(plot)
    plant_contents(plot)
    plant_lines(plot)
    facts = plot.result()
    lines = write(facts.drop(PLANTED)).with_columns(facts[PLANTED])
    yield from files(plot, lines, chosen)
