"""Law: a night that builds the sites with news only gives what a build from nothing gives."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from dyadlog.assets.intake.receive import open_log
from dyadlog.assets.quality.expectations import run_expectations
from dyadlog.assets.warehouse import build as warehouse
from dyadlog.assets.warehouse.checks import contents, digest
from dyadlog.assets.warehouse.kept import built_by_site, kept_tables
from dyadlog.schemas.marts import contracts
from tests.conftest import LONG, Lab, client, phq, rating, session

SITES = ("site-a", "site-b", "site-c")
KINDS = (
    "new clients",
    "correction",
    "retraction",
    "withdrawal",
    "contradiction",
    "refused line",
    "unreadable",
)
CASES = 100 if LONG else 4
# A case takes seconds: what fails is shown as it was found.
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)


@contextmanager
def laboratory() -> Iterator[Lab]:
    with tempfile.TemporaryDirectory() as folder:
        yield Lab(Path(folder) / "study")


def from_nothing(lab: Lab) -> tuple[str, str]:
    """Digests of marts and quality when all models run over all sites at once."""
    log = open_log(lab.study)
    with warehouse.working_database(lab.study) as duck:
        for _ in warehouse.run_models(duck, lab.study, log, log.head()):
            pass
        found = {name: contents(duck, name) for name in contracts()}
    return digest(found, "marts"), digest(found, "quality")


def published(lab: Lab) -> tuple[str, str]:
    """The same digests of the file that analysts see."""
    with duckdb.connect(str(lab.folder / "marts/current.duckdb"), read_only=True) as duck:
        found = {name: contents(duck, name) for name in contracts()}
    return digest(found, "marts"), digest(found, "quality")


def told(site: str, kind: str, seed: int, number: int) -> bytes | list[dict[str, Any]]:
    """One delivery; later ones change what earlier ones said."""
    dice = random.Random(f"{site} {seed}")
    name = dice.choice(("c1", "c2", "c3"))
    facts = [client(name)]
    for nth in range(1, 7):
        facts += [session(nth, name), phq(nth, [dice.randint(0, 3) for _ in range(9)], name)]
        facts.append(rating(nth, [dice.randint(1, 5) for _ in range(12)], name))
    chosen = dice.choice(facts)
    change = {**chosen, "revision": number + 2, "reason_code": "data_entry_error"}
    match kind:
        case "correction":
            return [{**change, "op": "correct", "study_day": dice.randint(1, 90)}]
        case "retraction":
            return [{**change, "op": "retract"}]
        case "withdrawal":
            gone = {"event_id": f"w-{name}", "event_type": "consent.withdrawn", "client_id": name}
            return [{**gone, "study_day": 50, "payload": {"mode": "exclude"}}]
        case "contradiction":
            return [{**chosen, "study_day": dice.randint(1, 90)}]
        case "refused line":
            return [{"event_id": f"bad-{number}"}]
        case "unreadable":
            return b"\xff\xfe broken %d" % number
    return facts


deliveries = st.lists(
    st.tuples(st.sampled_from(SITES), st.sampled_from(KINDS), st.integers(0, 5), st.booleans()),
    min_size=1,
    max_size=8,
)


@given(story=deliveries)
@settings(max_examples=CASES, phases=PHASES)
def test_any_sequence_of_nights_ends_where_a_build_from_nothing_does(
    story: list[tuple[str, str, int, bool]],
) -> None:
    with laboratory() as lab:
        for site in SITES[:2]:
            lab.drop(site, "first.ndjson", told(site, "new clients", 0, 0))
        build = lab.night()
        for number, (site, kind, seed, night_follows) in enumerate(story):
            lab.drop(site, f"{number}.ndjson", told(site, kind, seed, number))
            if night_follows:
                build = lab.night()
        build = lab.night()
        assert (build.digest, build.quality_digest) == published(lab) == from_nothing(lab)


def damage(lab: Lab, how: str, dice: random.Random) -> None:
    shelf = lab.folder / "state" / "sites"
    files = sorted(path for path in shelf.rglob("*") if path.is_file() and path.name != ".lock")
    chosen = dice.choice(files)
    match how:
        case "published file":
            file = (lab.folder / "marts/current.duckdb").resolve()
            with duckdb.connect(str(file)) as duck:
                duck.execute("delete from marts.session")
        case "published file unknown":
            (lab.folder / "state/published.json").write_text('{"name": 3}')
        case "lost":
            shutil.rmtree(shelf)
        case "cut":
            chosen.write_bytes(chosen.read_bytes()[: dice.randrange(chosen.stat().st_size)])
        case "one bit":
            data = bytearray(chosen.read_bytes())
            data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
            chosen.write_bytes(data)
        case "missing file":
            chosen.unlink()
        case "of another night":
            place = dice.choice([path for path in files if path.suffix == ".parquet"]).parent
            shutil.copytree(place, place.with_name("0" * 32))
            shutil.rmtree(place)
        case "of another site":
            one, other = (next((shelf / site).iterdir()) for site in SITES[:2])
            shutil.rmtree(one)
            shutil.copytree(other, one)
        case "not ours":
            shutil.rmtree(shelf / SITES[0])
            (shelf / SITES[0]).write_text("a file where a folder should be")


DAMAGE = (
    "published file",
    "published file unknown",
    "lost",
    "cut",
    "one bit",
    "missing file",
    "of another night",
    "of another site",
    "not ours",
)


@pytest.mark.parametrize("how", DAMAGE)
@given(seed=st.integers(0, 10_000))
@settings(max_examples=20 if LONG else 1, phases=PHASES)
def test_a_damaged_shelf_costs_time_only(how: str, seed: int) -> None:
    with laboratory() as lab:
        for site in SITES[:2]:
            lab.drop(site, "1.ndjson", told(site, "new clients", 1, 0))
        lab.night()
        damage(lab, how, random.Random(seed))
        lab.drop(SITES[1], "2.ndjson", told(SITES[1], "new clients", 2, 1))
        build = lab.night()
        assert (build.digest, build.quality_digest) == published(lab) == from_nothing(lab)


def test_only_sites_with_news_are_built(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []
    real = warehouse.load

    def load(duck: duckdb.DuckDBPyConnection, *given: Any) -> None:
        built.extend(given[3] if len(given) > 3 else ())
        real(duck, *given)

    monkeypatch.setattr(warehouse, "load", load)
    for site in SITES:
        lab.drop(site, "1.ndjson", [client(), session(1)])
    lab.night()
    assert built == list(SITES)
    built.clear()
    lab.drop("site-b", "2.ndjson", [session(2)])
    lab.night()
    assert built == ["site-b"]
    assert lab.rows("select site_id, count(*) from marts.session group by all order by all") == [
        ("site-a", 1),
        ("site-b", 2),
        ("site-c", 1),
    ]


def test_a_site_that_left_the_study_keeps_its_rows(lab: Lab) -> None:
    for site in SITES:
        lab.drop(site, "1.ndjson", [client(), session(1)])
    lab.night()
    text = (lab.folder / "study.yaml").read_text().replace(", {id: site-c}", "")
    (lab.folder / "study.yaml").write_text(text)
    build = lab.build()
    assert (build.digest, build.quality_digest) == from_nothing(lab)


def test_results_that_break_a_law_are_not_kept(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.drop("site-a", "1.ndjson", [client(), session(1)])
    lab.receive()
    real = warehouse.load

    def lose(duck: duckdb.DuckDBPyConnection, *given: Any) -> None:
        real(duck, *given)
        duck.execute("create table kept as select * from log.fact limit 1")
        duck.execute("create or replace view log.fact as select * from kept")

    with monkeypatch.context() as patch:
        patch.setattr(warehouse, "load", lose)
        with pytest.raises(warehouse.BuildError):
            lab.build()
    build = lab.build()
    assert lab.rows("select count(*) from marts.session") == [(1,)]
    assert (build.digest, build.quality_digest) == from_nothing(lab)


def test_nights_at_the_same_time_do_no_harm(lab: Lab) -> None:
    for number in range(3):
        for site in SITES:
            lab.drop(site, f"{number}.ndjson", told(site, "new clients", number, number))
        lab.receive()
        with ThreadPoolExecutor(3) as pool:
            builds = [pool.submit(lab.build) for _ in range(3)]
        assert {build.result().digest for build in builds} == {from_nothing(lab)[0]}


def test_older_results_are_dropped(lab: Lab) -> None:
    for number in range(3):
        lab.drop("site-a", f"{number}.ndjson", [session(number + 1)])
        lab.night()
    shelf = lab.folder / "state" / "sites"
    (shelf / "new-killed").mkdir()
    lab.build()
    folders = [path for path in shelf.iterdir() if path.is_dir()]
    assert sorted(path.name for path in folders) == list(SITES)
    assert all(len(list(path.iterdir())) == 1 for path in folders)


def test_parquet_keeps_the_types_of_what_is_kept(lab: Lab) -> None:
    """DuckDB writes HUGEINT as DOUBLE, for one: sums in models that are kept are cast."""
    lab.drop("site-a", "1.ndjson", told("site-a", "new clients", 0, 0))
    lab.night()
    log = open_log(lab.study)
    with warehouse.working_database(lab.study) as duck:
        for _ in warehouse.run_models(duck, lab.study, log, log.head()):
            pass
        for name in kept_tables():
            (file,) = (lab.folder / "state/sites/site-a").glob(f"*/{name}.parquet")
            made = duck.execute(f"select column_name, column_type from (describe {name})").fetchall()
            read = duck.execute(
                f"select column_name, column_type from (describe from read_parquet('{file}'))"
            ).fetchall()
            assert read == made, name
    assert set(kept_tables()) < set(built_by_site())


def test_expectations_are_remembered_and_mean_the_same(lab: Lab) -> None:
    def night() -> list[tuple[Any, ...]]:
        lab.receive()
        warehouse.build_all(lab.study, open_log(lab.study), expectations=run_expectations)
        return lab.rows("select * from quality.finding order by all")

    memory = lab.folder / "state" / "expectations.json"
    for site in SITES[:2]:
        lab.drop(site, "1.ndjson", told(site, "new clients", 1, 0))
    night()
    for spoil in (memory.unlink, lambda: memory.write_text("{]"), lambda: memory.write_text('{"site-a": 3}')):
        lab.drop("site-b", f"{memory.stat().st_mtime_ns}.ndjson", told("site-b", "new clients", 2, 1))
        remembered = night()
        spoil()
        assert night() == remembered
