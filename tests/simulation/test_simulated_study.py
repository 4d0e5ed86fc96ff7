"""A simulated study as a whole: bytes, acceptance, consistency, calibration, effects that can be found again."""

from __future__ import annotations

import gzip
import hashlib
import os
import statistics
import subprocess
import sys
from functools import cache
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dyadlog.assets.intake.files import scan
from dyadlog.assets.intake.reading import Readers, read_file
from dyadlog.assets.simulation.calibration import Tally, table
from dyadlog.assets.simulation.delivery import file_content, file_name
from dyadlog.assets.simulation.facts import SCHEMA, facts_of
from dyadlog.assets.simulation.lines import event_lines, table_header, table_lines
from dyadlog.assets.simulation.network import Site, sites
from dyadlog.assets.simulation.simulate import Plan, deliveries, simulate
from dyadlog.assets.simulation.truth import Truth, truth_of
from dyadlog.schemas.simulation import Parameters
from dyadlog.schemas.study import read_study
from tests.simulation.recovery import logistic, within_slope

SMALL = Plan(seed=7, sites=4, clients=90, nights=2)
# Landing folders and protocol of `SMALL`. If this changes, simulated studies change: say so in CHANGELOG.md.
DIGEST = "c57c0165d905b22a7ce23d21a6033d3e40da0dc41d60b30acaaceb206a2c9b4b"


@cache
def truths(preset: str, seed: int, clients: int | None = None) -> tuple[Truth, ...]:
    p = Parameters(preset)
    network = sites(p, seed, p.preset.sites, clients or p.preset.clients)
    return tuple(truth_of(p, seed, site) for site in network)


@cache
def whole(name: str, preset: str = "typical", seed: int = 1, clients: int | None = None) -> pl.DataFrame:
    """A table of the truth over all sites."""
    return pl.concat(truth.tables()[name] for truth in truths(preset, seed, clients))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated")
    simulate(folder, Parameters(), SMALL)
    return folder


def digest(folder: Path, *parts: str) -> str:
    """SHA-256 over names and bytes of all files below some parts of a folder."""
    whole = hashlib.sha256()
    for path in sorted(p for part in parts for p in (folder / part).rglob("*") if p.is_file()):
        whole.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()


# --- bytes ------------------------------------------------------------------------------------


def test_the_bytes_are_pinned(study: Path) -> None:
    (study / "protocol").mkdir()
    (study / "protocol/study.yaml").write_bytes((study / "study.yaml").read_bytes())
    assert digest(study, "landing", "mappings", "protocol") == DIGEST


ONLY_PLAIN = "X86_V3 X86_V4 AVX2 FMA3 AVX512F AVX512_SKX AVX512_ICL AVX512_SPR SVE"


@pytest.mark.parametrize(
    "more", [{"POLARS_MAX_THREADS": "1"}, {"POLARS_MAX_THREADS": "2", "NPY_DISABLE_CPU_FEATURES": ONLY_PLAIN}]
)
def test_threads_and_processors_do_not_matter(study: Path, tmp_path: Path, more: dict[str, str]) -> None:
    """With one thread, and with two on a processor without the newer instructions (where `np.exp` does differ)."""
    program = (
        "import sys, pathlib\n"
        "from dyadlog.assets.simulation.simulate import Plan, simulate\n"
        "from dyadlog.schemas.simulation import Parameters\n"
        f"simulate(pathlib.Path(sys.argv[1]), Parameters(), {SMALL!r})\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", program, str(tmp_path)]
    subprocess.run(command, env=os.environ | more, check=True)
    parts = ("landing", "mappings", "truth")
    assert digest(tmp_path, *parts) == digest(study, *parts)
    assert (tmp_path / "calibration.md").read_bytes() == (study / "calibration.md").read_bytes()


def test_sites_do_not_depend_on_each_other() -> None:
    p = Parameters()
    one, other = sites(p, 3, 4, 40)[:2]
    alone = truth_of(p, 3, other)
    truth_of(p, 3, one)
    assert truth_of(p, 3, other).form.equals(alone.form)


def test_another_seed_is_another_study(study: Path, tmp_path: Path) -> None:
    simulate(tmp_path, Parameters(), Plan(8, SMALL.sites, SMALL.clients, SMALL.nights))
    assert digest(tmp_path, "landing") != digest(study, "landing")


def test_only_exact_arithmetic_lies_between_seed_and_bytes() -> None:
    """NumPy's exp, log, powers, sums over floating numbers and generators are not the same everywhere."""
    folder = Path(__file__).parents[2] / "assets/simulation"
    judges = {"recovery.py", "score.py"}  # they look at what was written
    told = "".join(path.read_text() for path in folder.rglob("*.py") if path.name not in judges)
    for name in ("exp", "log", "power", "dot", "mean", "std", "einsum", "interp", "default_rng", "cumsum"):
        assert f"np.{name}(" not in told, name


# --- what sites deliver --------------------------------------------------------------------------


def test_every_line_is_accepted(study: Path) -> None:
    protocol = read_study(study)
    assert protocol.protocol.simulated
    assert "imulated" in protocol.protocol.title
    landing = scan(protocol)
    assert len(dict.fromkeys(protocol.site_ids, 0) | {f.site_id: 0 for f in landing.files}) == SMALL.sites
    lines = 0
    readers = Readers(protocol)
    for landed in landing.files:
        assert landed.name.startswith("simulated-")
        told = read_file(protocol, landed, readers).receipt
        assert told.codes == {}, (landed, told.fields)
        assert told.accepted == told.lines
        lines += told.lines
    readers.close()
    assert lines > 2000
    assert {site.delivers for site in sites(Parameters(), SMALL.seed, SMALL.sites, SMALL.clients)} == {
        "ndjson",
        "gzip",
        "table",
    }


def test_a_delivery_of_each_kind_says_the_same() -> None:
    p = Parameters()
    site = sites(p, 5, 3, 30)[1]
    facts = facts_of(truth_of(p, 5, site), 365, 1)
    events, rows = event_lines(facts), table_lines(facts)
    assert len(events) == len(rows) == len(facts)
    ((_, lines),) = deliveries(events)
    plain = file_content(as_sent(site, "ndjson"), lines)
    assert gzip.decompress(file_content(as_sent(site, "gzip"), lines)) == plain
    assert file_name(as_sent(site, "gzip"), 3) == "simulated-night-003.ndjson.gz"
    cells = {line.count(";") for line in [table_header(), *rows["line"]]}
    assert len(cells) == 1


def test_a_retraction_needs_no_answers() -> None:
    p = Parameters()
    facts = (
        facts_of(truth_of(p, 5, sites(p, 5, 1, 5)[0]), 365, 1)
        .filter(event_type="instrument.completed")
        .head(1)
    )
    bare = facts.with_columns(
        pl.lit(2, pl.Int64).alias("revision"),
        pl.lit("retract").alias("op"),
        pl.lit("wrong_client").alias("reason_code"),
        *(
            pl.lit(None, kind).alias(name)
            for name, kind in SCHEMA.items()
            if "payload" in name or name == "items"
        ),
    )
    (line,) = event_lines(bare)["line"]
    assert line.endswith('"reason_code":"wrong_client","payload":{}}')
    assert line.startswith('{"event_id":"s01-c0000')


def as_sent(site: Site, kind: str) -> Site:
    return Site(**{**vars(site), "delivers": kind})


@given(
    clients=st.integers(3, 60), count=st.integers(1, 3), nights=st.integers(1, 40), seed=st.integers(0, 99)
)
@settings(max_examples=15)
def test_facts_are_consistent(clients: int, count: int, nights: int, seed: int) -> None:
    p = Parameters()
    for site in sites(p, seed, count, clients):
        truth = truth_of(p, seed, site)
        facts = facts_of(truth, 365, nights)
        assert facts.schema == SCHEMA
        assert facts["event_id"].n_unique() == len(facts)
        assert facts["night"].is_between(1, nights).all()
        assert facts["recorded_on"].is_sorted()
        assert facts["night"].is_sorted()
        known = set(truth.client["client_id"])
        assert set(facts["client_id"].drop_nulls()) <= known
        assert (facts["recorded_day"].fill_null(0) >= -7).all()


@given(st.integers(1, 400), st.integers(1, 60), st.integers(0, 9))
def test_clients_are_shared_out_to_the_last(more: int, count: int, seed: int) -> None:
    network = sites(Parameters(), seed, count, count + more)
    assert sum(site.clients for site in network) == count + more
    assert min(site.clients for site in network) >= 1
    assert min(site.therapists for site in network) >= 1


def test_nothing_is_told_after_consent_was_withdrawn() -> None:
    left = whole("withdrawal").select("client_id", pl.col("study_day").alias("until"))
    assert len(left) > 5
    for truth in truths("typical", 1):
        facts = facts_of(truth, 365, 30).join(left, on="client_id")
        assert (facts["study_day"] <= facts["until"]).all()


def test_the_course_of_a_client_makes_sense() -> None:
    sessions = whole("session").sort("client_id", "session_number")
    step = sessions.with_columns(pl.col("study_day", "session_number").diff().over("client_id"))
    assert (step["study_day"].drop_nulls() > 0).all()
    assert (step["session_number"].drop_nulls() == 1).all()
    assert (sessions.group_by("client_id").first()["status"] == "held").all()
    held = sessions.filter(status="held")
    assert (
        held["attended_number"] == held.select(pl.col("client_id").cum_count().over("client_id")).to_series()
    ).all()
    last = sessions.group_by("client_id", maintain_order=True).last().join(whole("client"), on="client_id")
    assert ((last["status"] == "held") | last["left_early"]).all()
    repaired = whole("rupture").drop_nulls("repaired_in")
    assert (repaired["repaired_in"] > repaired["session_number"]).all()


# --- calibration ------------------------------------------------------------------------------------


def figures(preset: str, seed: int) -> dict[str, float]:
    tally = Tally()
    for truth in truths(preset, seed):
        tally.add(truth)
    return tally.figures()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_typical_study_meets_the_targets(seed: int) -> None:
    rows = table(figures("typical", seed), Parameters("typical").targets)
    assert [row for row in rows if row[-1] != "met"] == []


@pytest.mark.long
def test_over_many_seeds_the_targets_are_met_on_average() -> None:
    p = Parameters("typical")
    found = [figures("typical", seed) for seed in range(100, 120)]
    for name, target in p.targets.items():
        average = statistics.mean(one[name] for one in found)
        assert abs(average - target.value) <= target.tolerance, name


# --- effects that can be found again ------------------------------------------------------------------


def held_sessions() -> pl.DataFrame:
    held = whole("session", clients=6000).filter(status="held").sort("client_id", "session_number")
    return held.with_columns(
        pl.col("alliance_within").shift(1).over("client_id").alias("before"),
        pl.col("alliance").filter(pl.col("attended_number") <= 2).mean().over("client_id").alias("early"),
    )


def test_better_alliance_than_usual_is_followed_by_fewer_symptoms() -> None:
    pairs = held_sessions().filter(pl.col("attended_number") > 1)
    person = pairs["client_id"].rank("dense").cast(pl.Int64).to_numpy() - 1
    n = pairs["attended_number"].cast(pl.Float64).to_numpy()
    slope = within_slope(person, pairs["before"].to_numpy(), pairs["symptoms"].to_numpy(), n, n / (n + 6))
    assert abs(slope + Parameters().number("symptoms.of_within_alliance")) < 0.03


def test_the_hazard_of_leaving_falls_with_early_alliance() -> None:
    p = Parameters()
    at_risk = (
        held_sessions()
        .join(whole("client", clients=6000), on="client_id")
        .filter(pl.col("attended_number") >= 2)
    )
    left = at_risk["left_early"] & (at_risk["attended_number"] == at_risk["sessions_held"])
    site = at_risk["site_id"].to_dummies().to_numpy()
    design = np.column_stack([at_risk["early"].to_numpy(), at_risk["in_rupture"].to_numpy(), site]).astype(
        float
    )
    of_early, of_rupture = logistic(design, left.to_numpy().astype(float))[:2]
    assert abs(of_early + p.number("dropout.of_early_alliance")) < 0.15
    assert abs(of_rupture - p.number("dropout.of_open_rupture")) < 0.3


def test_therapists_rate_lower_and_follow_their_clients() -> None:
    held = whole("session").filter(status="held")
    both = held.select("client_id", "alliance", "alliance_therapist")
    assert both["alliance_therapist"].mean() < both["alliance"].mean() - 0.1  # type: ignore[operator]
    within = both.with_columns(
        pl.col("alliance", "alliance_therapist")
        - pl.col("alliance", "alliance_therapist").mean().over("client_id")
    )
    assert 0.3 < within.select(pl.corr("alliance", "alliance_therapist")).item() < 0.8


def test_ruptures_show_in_reports_and_codes() -> None:
    key = ["client_id", "session_number"]
    held = whole("session").filter(status="held")
    marked = whole("report").filter(event="marked", perspective="client").select(key).unique()
    shares = held.join(marked.with_columns(pl.lit(1).alias("m")), on=key, how="left")
    shares = (
        shares.group_by("in_rupture").agg(pl.col("m").fill_null(0).mean()).sort("in_rupture")["m"].to_list()
    )
    assert shares[0] < 0.02
    assert 0.3 < shares[1] < 0.6
    coded = whole("coding").filter(coding_role="primary").join(held.select(*key, "in_rupture"), on=key)
    seen = (
        whole("segment").filter(pl.col("family") != "resolution", coding_role="primary").select(key).unique()
    )
    with_marker = coded.join(seen, on=key, how="semi")["in_rupture"].mean()
    assert with_marker > 3 * coded["in_rupture"].mean()  # type: ignore[operator]
    late = whole("coding")["recorded_on"] - whole("coding")["day"]
    assert late.min() >= 14  # type: ignore[operator]


def test_the_truth_is_read_with_duckdb(study: Path) -> None:
    with duckdb.connect() as duck:
        found = duck.execute(f"select count(*) from '{study}/truth/client/*.parquet'").fetchall()
    assert found == [(SMALL.clients,)]
