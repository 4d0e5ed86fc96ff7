"""First scores lately beside before, and beside the other sites: Kolmogorov-Smirnov distances."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ks_2samp

from dyadlog.assets.quality.report import gather, night_of, write_site_reports
from dyadlog.assets.quality.scores import read_scores
from dyadlog.assets.warehouse.models import models
from tests.conftest import Lab, client, phq, session

Scores = list[int]
ENOUGH = 6
LEAST = 0.2
FORM = "'phq-9' as instrument, '1' as version, 'client' as rater, 'pre_session' as occasion"
some_scores = st.lists(st.integers(0, 9), min_size=0, max_size=25)


def distance(one: Scores, other: Scores) -> float:
    """The definition, word for word."""
    up_to = [
        [sum(score <= value for score in scores) / len(scores) for scores in (one, other)]
        for value in range(10)
    ]
    return max(abs(a - b) for a, b in up_to)


def test_the_definition_is_that_of_scipy() -> None:
    one, other = [n * n % 10 for n in range(70)], [n * 7 % 9 for n in range(50)]
    assert distance(one, other) == pytest.approx(ks_2samp(one, other, method="asymp").statistic, abs=1e-12)


def chance(n: int, m: int) -> float:
    return math.sqrt(math.log(2 / 0.002) / 2 * (1 / n + 1 / m))


def ask(model: str, scores: list[tuple[str, int, int]]) -> list[tuple[Any, ...]]:
    """One of the models over scores (site, commit, tenths); commit 1 is old, commit 2 of today."""
    with duckdb.connect() as duck:
        for schema in ("quality", "study", "log"):
            duck.execute(f"create schema {schema}")
        duck.execute(
            f"create table study.threshold as select {ENOUGH} as peers_min, 5 as peers_sites, 28 as shift_days, "
            f"{LEAST} as shift_distance"
        )
        duck.execute("create table log.commit (site_id varchar, commit_seq bigint, received_at varchar)")
        days = ((1, "2026-03-01"), (2, "2026-03-29"))
        duck.executemany(
            "insert into log.commit values (?, ?, ?)",
            [(f"s{nth}", seq, f"{day}T02:00:00Z") for nth in range(8) for seq, day in days],
        )
        duck.execute("create table told (site_id varchar, commit_seq bigint, part double)")
        if scores:
            duck.executemany("insert into told values (?, ?, ?)", [(s, seq, n / 10) for s, seq, n in scores])
        duck.execute(f"create table quality.first_score as select *, {FORM} from told")
        return duck.execute(f"select * from ({models()[model].sql}) order by site_id").fetchall()


@settings(max_examples=60)
@given(some_scores, some_scores)
def test_lately_against_before(lately: Scores, before: Scores) -> None:
    found = ask("quality.score_history", [("s0", 2, n) for n in lately] + [("s0", 1, n) for n in before])
    if not lately and not before:
        assert found == []
        return
    ((*_, n_lately, n_before, mean_lately, mean_before, far, limit, is_shifted),) = found
    assert (n_lately, n_before) == (len(lately), len(before))
    for mean, scores in ((mean_lately, lately), (mean_before, before)):
        assert mean == (pytest.approx(sum(scores) / len(scores) / 10, abs=1e-12) if scores else None)
    if not lately or not before:
        assert (far, limit, is_shifted) == (None, None, None)
        return
    assert far == pytest.approx(distance(lately, before), abs=1e-12)
    assert limit == pytest.approx(chance(len(lately), len(before)), abs=1e-12)
    assert is_shifted == (None if min(len(lately), len(before)) < ENOUGH else bool(far > max(limit, LEAST)))


@settings(max_examples=60)
@given(st.lists(some_scores, min_size=1, max_size=8))
def test_a_site_against_the_others(sites: list[Scores]) -> None:
    told = {f"s{nth}": scores for nth, scores in enumerate(sites)}
    found = {
        site: figures
        for site, *_, n, mean, peers, mean_others, far, limit, is_apart in ask(
            "quality.score_peer", [(site, 1, n) for site, scores in told.items() for n in scores]
        )
        for figures in [(n, mean, peers, mean_others, far, limit, is_apart)]
    }
    assert set(found) <= {site for site, scores in told.items() if scores}
    for site, (n, mean, peers, mean_others, far, limit, is_apart) in found.items():
        own = told[site]
        others = [scores for name, scores in told.items() if name != site and len(scores) >= ENOUGH]
        pooled = [score for scores in others for score in scores]
        assert (n, peers) == (len(own), len(others))
        assert mean == pytest.approx(sum(own) / n / 10, abs=1e-12)
        if peers < 5:
            assert (mean_others, far, limit, is_apart) == (None, None, None, None)
            continue
        assert mean_others == pytest.approx(sum(pooled) / len(pooled) / 10, abs=0.005001)
        assert far == pytest.approx(distance(own, pooled), abs=0.005001)
        assert limit == pytest.approx(chance(n, len(pooled)), abs=0.005001)
        exact = distance(own, pooled) > max(chance(n, len(pooled)), LEAST)
        assert is_apart == (None if n < ENOUGH else exact) or distance(own, pooled) == pytest.approx(LEAST)


def new_clients(start: int, number: int, answer: int) -> list[dict[str, Any]]:
    """Clients with two early sessions; answers vary a little round one, and fall with treatment."""
    told: list[dict[str, Any]] = []
    for nth in range(start, start + number):
        name = f"c{nth}"
        first = [answer + (nth + item) % 2 for item in range(9)]
        told += [client(name), session(1, name), phq(1, list(first), name), session(2, name), phq(2, 0, name)]
    return told


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """site-a's answers rise with a delivery in May, site-b's stay, site-c has too few lately."""
    lab = Lab(tmp_path_factory.mktemp("shifts") / "study")
    for site in ("site-a", "site-b", "site-c"):
        lab.drop(site, "1.ndjson", new_clients(0, 40, 1))
    lab.receive()
    lab.clock = datetime(2026, 5, 14, 2, 0, tzinfo=UTC)
    for site, number, answer in (("site-a", 25, 2), ("site-b", 25, 1), ("site-c", 5, 2)):
        lab.drop(site, "2.ndjson", new_clients(40, number, answer))
    lab.night()
    return lab


def test_a_shift_is_found_where_there_is_one_and_nowhere_else(lab: Lab) -> None:
    found = lab.rows(
        "select site_id, outcome, n_violated, n_denominator from quality.finding where code = 'SCORES_SHIFTED' order by all"
    )
    assert found == [("site-a", "warn", 1, 1), ("site-b", "pass", 0, 1), ("site-c", "not_applicable", 0, 0)]
    assert lab.rows("select site_id, subject from quality.flag where code = 'SCORES_SHIFTED'") == [
        ("site-a", "phq-9 1 client pre_session")
    ]


def test_the_first_score_of_a_client_counts_and_no_later_one(lab: Lab) -> None:
    assert lab.rows(
        "select count(*), min(part), max(part) from quality.first_score where site_id = 'site-b'"
    ) == [(65, 0.481481, 0.518519)]


def test_the_page_tells_it_in_words_and_without_the_others(lab: Lab) -> None:
    with duckdb.connect(str((lab.folder / "marts/current.duckdb").resolve()), read_only=True) as duck:
        told = {site: read_scores(duck, lab.study.protocol, site) for site in ("site-a", "site-b", "site-c")}
    assert {
        site: [(one.form, one.n, one.words, one.asks) for one in scores] for site, scores in told.items()
    } == {
        "site-a": [("phq", 65, "withheld: too few other sites; lately higher than before", True)],
        "site-b": [("phq", 65, "withheld: too few other sites; as before", False)],
        "site-c": [("phq", 45, "withheld: too few other sites", False)],
    }
    build = lab.build()
    pages = write_site_reports(gather(lab.study, build.path, night_of(build.path)))
    assert "lately higher than before" in pages[0].read_text()
