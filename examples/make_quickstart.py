"""Makes the example study `quickstart` with the simulator: the same bytes in every run, and nobody in it exists.

Run as `python examples/make_quickstart.py`. It writes protocol, mapping, deliveries, the key to the planted faults and
those parts of the README that tell of them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from dyadlog.assets.simulation.simulate import Plan, simulate
from dyadlog.assets.simulation.truth import truth_table
from dyadlog.schemas.faults import Fault, faults
from dyadlog.schemas.simulation import Parameters

PRESET, LEVEL, SEED = "quickstart", "showcase", 32
EXAMPLE = Path(__file__).parent / "quickstart"
KEY = "truth/simulated-faults.csv"
# What stands above this line in the README is written by hand, all below is made here.
MADE = "<!-- From here on made by examples/make_quickstart.py. -->\n"

_ANSWERS = {
    "duplicate": "counts a duplicate",
    "duplicate_delivery": "knows the file, counts no line twice",
    "corrected": "uses revision 2, keeps revision 1",
    "retracted": "takes the fact out of the marts, keeps it in the log",
    "conflict": "uses neither: FACT_CONFLICT",
    "FACT_WITHDRAWN": "leaves the client out of the marts: FACT_WITHDRAWN",
    "FILE_EMPTY": "remarks FILE_EMPTY",
}
_ANSWERS_BY_PLACE = {"line": "holds the line back: {}", "file": "refuses the file: {}"}


def make(folder: Path) -> None:
    """Simulate the study into an empty folder, with all that is true of it."""
    p = Parameters(PRESET)
    simulate(folder, p, Plan(SEED, p.preset.sites, p.preset.clients, p.preset.nights, LEVEL))


def files(study: Path) -> dict[str, bytes]:
    """The files of the example by their path, from the study that `make` wrote."""
    parts = [study / "study.yaml", *(study / "mappings").rglob("*"), *(study / "landing").rglob("*")]
    found = {path.relative_to(study).as_posix(): path.read_bytes() for path in parts if path.is_file()}
    by_hand = (EXAMPLE / "README.md").read_text("utf-8").split(MADE)[0]
    key = truth_table(study, "fault").write_csv().encode()
    return found | {KEY: key, "README.md": (by_hand + MADE + _told(study)).encode()}


def _told(study: Path) -> str:
    """The part of the README about what is in the data."""
    delivered = truth_table(study, "delivery").sort("site_id", "night", "file_name")
    key = truth_table(study, "fault").sort("site_id", "night", "line_number", "event_id", nulls_last=True)
    ruptures = truth_table(study, "rupture").sort("client_id", "session_number")
    return "\n".join(
        [
            "\n## Deliveries\n",
            *_table(
                ["site", "file", "lines"],
                delivered.select(
                    "site_id",
                    "file_name",
                    pl.when("is_read")
                    .then(pl.col("lines").cast(pl.String))
                    .otherwise(pl.lit("cannot be read")),
                ).iter_rows(),
            ),
            "\n## Planted faults\n",
            *_table(["where", "what", "what Dyadlog does"], _planted(key)),
            "\n## Ruptures that are true\n",
            *_table(
                ["client", "session", "kind", "repaired in session"],
                ruptures.select("client_id", "session_number", "kind", "repaired_in").iter_rows(),
            ),
            "",
        ]
    )


def _planted(key: pl.DataFrame) -> Iterable[tuple[str, str, str]]:
    for row in key.iter_rows(named=True):
        place = f"{row['file_name'] or row['client_id']}"
        line = f", line {row['line_number']}" if row["line_number"] else ""
        fault = faults().faults[row["fault"]]
        yield f"{row['site_id']} `{place}`{line}", fault.says, _answer(fault)


def _answer(fault: Fault) -> str:
    said = _ANSWERS.get(fault.code) or _ANSWERS_BY_PLACE.get(fault.shows, "uses it, remarks {}")
    return said.format(fault.code.replace("|", " or "))


def _table(head: list[str], rows: Iterable[tuple[object, ...]]) -> list[str]:
    cells = [
        head,
        ["---"] * len(head),
        *(["" if cell is None else str(cell) for cell in row] for row in rows),
    ]
    return ["| " + " | ".join(row) + " |" for row in cells]


def main() -> None:
    """Write the example anew."""
    with TemporaryDirectory() as folder:
        make(Path(folder))
        made = files(Path(folder))
    for part in ("landing", "mappings", "truth"):
        shutil.rmtree(EXAMPLE / part, ignore_errors=True)
    for name, content in made.items():
        (EXAMPLE / name).parent.mkdir(parents=True, exist_ok=True)
        (EXAMPLE / name).write_bytes(content)
        print(f"{name}: {len(content)} bytes")


if __name__ == "__main__":
    main()
