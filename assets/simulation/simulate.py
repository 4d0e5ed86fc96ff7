"""A whole study, one site after the other: truth, facts, lines, files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import yaml

from dyadlog.assets.simulation.calibration import Tally, as_markdown
from dyadlog.assets.simulation.delivery import write_delivery, write_protocol
from dyadlog.assets.simulation.facts import NIGHT, facts_of
from dyadlog.assets.simulation.lines import LINE, event_lines, table_lines
from dyadlog.assets.simulation.network import Site, sites
from dyadlog.assets.simulation.truth import Truth, truth_of
from dyadlog.schemas.simulation import Parameters


def lines_of(site: Site, facts: pl.DataFrame) -> pl.DataFrame:
    """The lines of a site's facts, in its format: `night`, `line`."""
    return table_lines(facts) if site.delivers == "table" else event_lines(facts)


def deliveries(lines: pl.DataFrame) -> Iterator[tuple[int, pl.Series]]:
    """The lines of each night."""
    for (night,), part in lines.partition_by(NIGHT, as_dict=True, maintain_order=True).items():
        yield int(night), part[LINE]


@dataclass(frozen=True)
class Plan:
    """What is asked for.

    Args:
        seed: the same seed gives the same bytes.
        sites: number of sites.
        clients: clients of all sites together.
        nights: deliveries of a site.
    """

    seed: int
    sites: int
    clients: int
    nights: int


def simulate(
    folder: Path, p: Parameters, plan: Plan, told: Callable[[Site], None] = lambda _: None
) -> dict[str, float]:
    """Write a simulated study, one site after the other; memory is that of the largest site.

    Args:
        folder: an empty folder.
        p: parameters.
        plan: seed and size.
        told: called after each site.

    Returns:
        figures for the calibration table.
    """
    network = sites(p, plan.seed, plan.sites, plan.clients)
    write_protocol(folder, p, network)
    tally = Tally()
    for site in network:
        truth = truth_of(p, plan.seed, site)
        tally.add(truth)
        write_truth(folder, site, truth)
        facts = facts_of(truth, int(p.number("calendar.days")), plan.nights)
        for night, lines in deliveries(lines_of(site, facts)):
            write_delivery(folder, site, night, lines)
        told(site)
    _write_parameters(folder, p, plan)
    figures = tally.figures()
    (folder / "calibration.md").write_text(as_markdown(figures, p.targets), "utf-8")
    return figures


def write_truth(folder: Path, site: Site, truth: Truth) -> None:
    """Write the tables of a site as `truth/<table>/<site>.parquet`."""
    for name, frame in truth.tables().items():
        path = folder / "truth" / name / f"{site.site_id}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
        pq.write_table(table.replace_schema_metadata({"note": "simulated by Dyadlog"}), path)


def _write_parameters(folder: Path, p: Parameters, plan: Plan) -> None:
    """Write what the study was made with, so that estimates can be held against it."""
    made = vars(plan) | {"completed": {due.id: due.completed for due in p.battery}, "parameters": p.values()}
    text = yaml.safe_dump(made, sort_keys=False, default_flow_style=None, width=110)
    (folder / "truth" / "parameters.yaml").write_text(
        "# What this simulated study was made with.\n" + text, "utf-8"
    )
