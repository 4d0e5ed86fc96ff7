"""A whole study, one site after the other: truth, facts, lines, files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import yaml

from dyadlog.assets.simulation.calibration import Tally, as_markdown
from dyadlog.assets.simulation.delivery import File, sound_file, write_file, write_protocol
from dyadlog.assets.simulation.facts import NIGHT, facts_of
from dyadlog.assets.simulation.faulty.files import rates_by_site
from dyadlog.assets.simulation.faulty.plot import Plot, entries
from dyadlog.assets.simulation.faulty.site import faulty_files
from dyadlog.assets.simulation.lines import LINE, event_lines, table_lines
from dyadlog.assets.simulation.network import Site, sites
from dyadlog.assets.simulation.truth import Truth, truth_of
from dyadlog.schemas.simulation import Parameters

_DELIVERY = pl.Schema(
    {
        "site_id": pl.String,
        "night": pl.Int32,
        "file_name": pl.String,
        "lines": pl.Int64,
        "is_read": pl.Boolean,
    }
)


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
        faults: a level of `faults.yaml`; no faults are planted without.
    """

    seed: int
    sites: int
    clients: int
    nights: int
    faults: str | None = None


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
    rates = rates_by_site(plan.faults, network) if plan.faults else [{}] * len(network)
    write_protocol(folder, p, network)
    tally = Tally()
    for site, some in zip(network, rates, strict=True):
        truth = truth_of(p, plan.seed, site)
        tally.add(truth)
        write_truth(folder, site, truth)
        facts = facts_of(truth, int(p.number("calendar.days")), plan.nights)
        if plan.faults:
            plot = Plot(site, plan.seed, plan.nights, some, facts)
            _write_files(folder, site, faulty_files(plot, partial(lines_of, site)))
            _write_table(folder, "fault", site, entries(plot.key))
        else:
            lines = deliveries(lines_of(site, facts))
            _write_files(folder, site, (sound_file(site, night, some) for night, some in lines))
        told(site)
    _write_parameters(folder, p, plan)
    figures = tally.figures()
    (folder / "calibration.md").write_text(
        as_markdown(figures, p.targets_of(plan.sites, plan.clients)), "utf-8"
    )
    return figures


def write_truth(folder: Path, site: Site, truth: Truth) -> None:
    """Write the tables of a site as `truth/<table>/<site>.parquet`."""
    for name, frame in truth.tables().items():
        _write_table(folder, name, site, frame)


def _write_table(folder: Path, name: str, site: Site, frame: pl.DataFrame) -> None:
    path = folder / "truth" / name / f"{site.site_id}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    table = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    pq.write_table(table.replace_schema_metadata({"note": "simulated by Dyadlog"}), path)


def _write_files(folder: Path, site: Site, files: Iterable[File]) -> None:
    """Write all deliveries of a site, and the list of them."""
    written = []
    for file in files:
        write_file(folder, site, file)
        written.append((site.site_id, file.night, file.name, file.lines, file.is_read))
    _write_table(folder, "delivery", site, pl.DataFrame(written, schema=_DELIVERY, orient="row"))


def _write_parameters(folder: Path, p: Parameters, plan: Plan) -> None:
    """Write what the study was made with, so that estimates can be held against it."""
    made = vars(plan) | {"completed": {due.id: due.completed for due in p.battery}, "parameters": p.values()}
    text = yaml.safe_dump(made, sort_keys=False, default_flow_style=None, width=110)
    (folder / "truth" / "parameters.yaml").write_text(
        "# What this simulated study was made with.\n" + text, "utf-8"
    )
