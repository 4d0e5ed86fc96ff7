"""The examples: the quickstart's bytes and planted faults, `init`'s refusals, and two real data sets end to end."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dyadlog.assets.event_log.records import Commit
from dyadlog.assets.event_log.verify import verify
from dyadlog.assets.intake.receive import open_log, receive
from dyadlog.assets.quality.report import (
    NightNotes,
    gather,
    night_of,
    write_night_sheet,
    write_site_reports,
    write_study_page,
)
from dyadlog.assets.simulation.score import score
from dyadlog.assets.simulation.truth import truth_table
from dyadlog.assets.warehouse.build import build_all
from dyadlog.examples import make_quickstart
from dyadlog.orchestration.examples import example_names, init_study
from dyadlog.schemas.errors import UserError
from dyadlog.schemas.faults import faults
from dyadlog.schemas.study import read_study
from tests.conftest import SHARED, needs_shared

EXAMPLES = Path(make_quickstart.__file__).parent
CBASP, CTN = SHARED / "data/cbasp_trial", SHARED / "data/ctn0094"


class Trial:
    """An example study after one night."""

    def __init__(self, folder: Path, example: str, data: Path | None = None) -> None:
        init_study(folder, example, data)
        self.study = study = read_study(folder)
        self.log = log = open_log(study)
        found = receive(study, log, clock=lambda: datetime(2026, 3, 14, 2, tzinfo=UTC))
        self.commits: list[Commit] = [commit for _, commit in found if commit is not None]
        verify(log)
        self.folder = folder
        self.marts = build_all(study, log).path

    def rows(self, sql: str, **raw: pa.Table) -> list[tuple[Any, ...]]:
        """Rows of a query over the marts and, beside them, raw tables under the names given."""
        with duckdb.connect(str(self.marts), read_only=True) as duck:
            for name, table in raw.items():
                duck.register(name, table)
            return duck.execute(sql).fetchall()

    def one(self, sql: str, **raw: pa.Table) -> tuple[Any, ...]:
        (row,) = self.rows(sql, **raw)
        return row

    def codes(self) -> Counter[str]:
        return sum((Counter(commit.receipt.codes) for commit in self.commits), Counter())


def assert_every_line_is_accounted_for(trial: Trial, lines: dict[tuple[str, str], int]) -> None:
    told = trial.rows("select site_id, file_name, lines, accepted, duplicate, held_back from quality.receipt")
    assert {(site, name): count for site, name, count, *_ in told} == lines
    assert all(count == accepted + duplicate + held for _, _, count, accepted, duplicate, held in told)


# --- quickstart ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulated study that the example is a part of."""
    folder = tmp_path_factory.mktemp("truth")
    make_quickstart.make(folder)
    return folder


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return Trial(tmp_path_factory.mktemp("quickstart") / "study", "quickstart")


def test_quickstart_is_made_again_byte_for_byte(truth: Path) -> None:
    made, kept = make_quickstart.files(truth), tree(EXAMPLES / "quickstart")
    assert made.keys() == kept.keys()
    assert [name for name in made if made[name] != kept[name]] == []
    assert sum(map(len, kept.values())) < 620_000


def test_quickstart_comes_with_its_key(truth: Path, quickstart: Trial) -> None:
    key = pl.read_csv(quickstart.folder / make_quickstart.KEY)
    assert key.rows() == truth_table(truth, "fault").rows()
    told = (quickstart.folder / "README.md").read_text("utf-8")
    assert all(faults().faults[fault].says in told for fault in key["fault"])
    assert len(told.split("## Planted faults")[1].split("##")[0].strip().splitlines()) == len(key) + 2


def test_quickstart_has_the_main_kinds_of_fault(truth: Path) -> None:
    planted = set(truth_table(truth, "fault")["fault"])
    assert {faults().faults[fault].kind for fault in planted} == {"conformance", "plausibility", "handled"}
    shows = {faults().faults[fault].shows for fault in planted}
    assert shows == {"line", "file", "event", "flag", "score", "client"}
    formats = {tuple(path.suffixes) for path in (EXAMPLES / "quickstart/landing").rglob("*.*")}
    assert formats == {(".ndjson",), (".ndjson", ".gz"), (".csv",)}


def test_quickstart_shows_each_planted_fault_and_nothing_else(truth: Path, quickstart: Trial) -> None:
    """All nights at once, as somebody who tries the example runs them."""
    told = score(truth, quickstart.study, quickstart.log)
    assert told.missed.rows() == []
    assert told.unexplained.rows() == []
    assert sum(one.found for one in told.recall) == len(truth_table(truth, "fault")) == 26
    assert told.unaccounted == 0


def test_quickstart_accounts_for_every_line(truth: Path, quickstart: Trial) -> None:
    delivered = truth_table(truth, "delivery").with_columns(
        pl.col("lines") * pl.col("is_read").cast(pl.Int64)
    )
    lines = {(site, name): n for site, name, n in delivered.select("site_id", "file_name", "lines").rows()}
    assert_every_line_is_accounted_for(quickstart, lines)
    sums = "select site_id, sum(lines), sum(accepted), sum(duplicate), sum(held_back) from quality.receipt"
    assert quickstart.rows(f"{sums} group by all order by all") == [
        ("site-01", 422, 417, 1, 4),
        ("site-02", 382, 378, 1, 3),
        ("site-03", 763, 760, 1, 2),
    ]


# The golden night: what Dyadlog makes of the example. A change here is a change of results: say it in CHANGELOG.md.
GOLDEN_ROWS = {
    "marts.session": 242,
    "marts.instrument_score": 1_753,
    "marts.response_quality": 610,
    "marts.alliance_session": 1_328,
    "marts.outcome_score": 278,
    "marts.outcome_client": 134,
    "marts.sudden_gain": 3,
    "marts.dropout": 35,
    "marts.alliance_dyad": 276,
    "marts.alliance_congruence": 136,
    "marts.rupture_event": 388,
    "marts.rupture_session": 1_028,
    "quality.receipt": 12,
    "quality.completeness": 108,
    "quality.flag": 5,
}
GOLDEN_FINDINGS = [
    ("site-01", "ANSWERS_STRAIGHT_LINED", "warn", 1),
    ("site-01", "ANSWER_OUT_OF_RANGE", "fail", 1),
    ("site-01", "DESIGN_INCOMPLETE", "warn", 6),
    ("site-01", "FACT_CONFLICT", "fail", 1),
    ("site-01", "FILE_COLUMN_MISSING", "fail", 1),
    ("site-01", "LINE_RAGGED", "fail", 1),
    ("site-01", "SESSION_AFTER_ENDING", "warn", 1),
    ("site-01", "SITE_WRONG", "fail", 1),
    ("site-01", "TOTAL_DISAGREES", "warn", 1),
    ("site-01", "VALUE_NOT_ID", "fail", 1),
    ("site-02", "ANSWER_OUT_OF_RANGE", "fail", 1),
    ("site-02", "DESIGN_INCOMPLETE", "warn", 39),
    ("site-02", "FACT_PENDING_SESSION", "warn", 3),
    ("site-02", "FILE_UNREADABLE", "fail", 1),
    ("site-02", "LINE_NOT_JSON", "fail", 1),
    ("site-02", "SESSION_DAY_TWICE", "warn", 1),
    ("site-02", "SITE_WRONG", "fail", 1),
    ("site-03", "DESIGN_INCOMPLETE", "warn", 37),
    ("site-03", "FILE_EMPTY", "warn", 1),
    ("site-03", "SESSION_DAY_TWICE", "warn", 1),
    ("site-03", "VALUE_NOT_ID", "fail", 1),
    ("site-03", "VALUE_NOT_NUMBER", "fail", 1),
]


def test_quickstart_is_a_golden_night(quickstart: Trial) -> None:
    rows = {table: quickstart.one(f"select count(*) from {table}")[0] for table in GOLDEN_ROWS}
    assert rows == GOLDEN_ROWS
    findings = quickstart.rows(
        "select site_id, code, outcome, sum(n_violated)::int from quality.finding "
        "where outcome in ('warn', 'fail') group by all order by all"
    )
    assert findings == GOLDEN_FINDINGS


def test_quickstart_shows_its_ruptures(truth: Path, quickstart: Trial) -> None:
    """Of ten true ruptures six make a client's rating fall by nine points or more; four other drops are as large."""
    true = set(truth_table(truth, "rupture").select("client_id", "session_number").rows())
    steep = quickstart.rows(
        "select client_id, session_number from marts.rupture_event "
        "where rule_id = 'drop_own_sd_k1' and source = 'client' and drop_size >= 9"
    )
    assert len(true) == 10
    assert sorted(true & set(steep)) == [
        ("s02-c00011", 5),
        ("s02-c00012", 2),
        ("s02-c00012", 6),
        ("s03-c00005", 4),
        ("s03-c00008", 5),
        ("s03-c00012", 4),
    ]
    assert len(set(steep) - true) == 4


def test_quickstart_says_that_it_is_simulated(quickstart: Trial) -> None:
    protocol = quickstart.study.protocol
    assert protocol.study == "quickstart"
    assert protocol.simulated
    assert "simulated" in protocol.title.lower()
    landed = list((quickstart.folder / "landing").glob("*/*"))
    assert all("simulated" in path.name for path in landed)
    assert all("simulated" in path.read_text("utf-8") for path in (quickstart.folder / "mappings").iterdir())
    assert "simulated" in make_quickstart.KEY


# --- init ---------------------------------------------------------------------------------------


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_new_study_is_valid_and_has_a_landing_folder_per_site(tmp_path: Path) -> None:
    sentences = init_study(tmp_path / "mine", None, None)
    assert any("dyadlog night" in sentence for sentence in sentences)
    assert {p.name for p in (tmp_path / "mine/landing").iterdir()} == set(
        read_study(tmp_path / "mine").site_ids
    )
    assert len((tmp_path / "mine/README.md").read_text().splitlines()) == 3


def test_an_empty_folder_may_exist(tmp_path: Path) -> None:
    init_study(tmp_path, "quickstart", None)
    assert read_study(tmp_path).protocol.study == "quickstart"


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        init_study(tmp_path, "quickstart", None)
    assert tree(tmp_path) == {"notes.txt": b"mine"}


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "study").write_text("mine")
    with pytest.raises(UserError, match="this is a file"):
        init_study(tmp_path / "study", None, None)


@pytest.mark.parametrize("example", ["cbasp_trial", "ctn0094"])
@pytest.mark.parametrize(
    ("data", "says"), [(None, "--data"), ("nowhere", "no such folder"), ("empty", "is not in this folder")]
)
def test_data_that_are_not_there_are_named(tmp_path: Path, example: str, data: str | None, says: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=says):
        init_study(tmp_path / "study", example, tmp_path / data if data else None)
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize("example", [None, "quickstart"])
def test_data_are_refused_where_none_are_needed(tmp_path: Path, example: str | None) -> None:
    with pytest.raises(UserError, match="leave --data out"):
        init_study(tmp_path / "study", example, tmp_path)
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize("example", ["no-such-thing", "blank", "../examples/quickstart"])
def test_an_unknown_example_is_answered_with_the_known_ones(tmp_path: Path, example: str) -> None:
    assert example_names() == ["cbasp_trial", "ctn0094", "quickstart"]
    with pytest.raises(UserError, match="cbasp_trial, ctn0094, quickstart"):
        init_study(tmp_path / "study", example, None)


def visits(folder: Path, who: list[int], parquet: bytes | None = None) -> Path:
    (folder / "site_masked.csv").write_text('"who","site_masked"\n1,"2"\n')
    if parquet is None:
        pq.write_table(pa.table({"who": who, "what": ["visit", None]}), folder / "visit.parquet")
    else:
        (folder / "visit.parquet").write_bytes(parquet)
    return folder


def test_a_person_without_a_site_stops_the_conversion_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="row 2 has no site"):
        init_study(tmp_path / "study", "ctn0094", visits(tmp_path, [1, 99]))
    assert not (tmp_path / "study").exists()


def test_a_broken_parquet_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a readable Parquet file"):
        init_study(tmp_path / "study", "ctn0094", visits(tmp_path, [], b"no parquet"))


# --- real data: CBASP trial ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def cbasp(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return Trial(tmp_path_factory.mktemp("cbasp") / "study", "cbasp_trial", CBASP)


@pytest.fixture(scope="module")
def cbasp_raw() -> pa.Table:
    """The table as Python's csv module reads it, with the position of each row."""
    with (CBASP / "data.csv").open(encoding="utf-8", newline="") as text:
        rows = list(csv.DictReader(text, delimiter=";"))
    columns = {name: [None if row[name] == "NA" else row[name] for row in rows] for name in rows[0]}
    return pa.table(columns | {"position": list(range(len(rows)))})


@needs_shared
def test_cbasp_every_line_is_accepted(cbasp: Trial) -> None:
    assert_every_line_is_accounted_for(cbasp, {("site-not-released", "data.csv"): 5_517})
    assert cbasp.one("select accepted, duplicate, held_back from quality.receipt") == (5_517, 0, 0)
    assert cbasp.codes() == {}


@needs_shared
def test_cbasp_sessions_are_those_of_the_table(cbasp: Trial, cbasp_raw: pa.Table) -> None:
    expected = cbasp.rows(
        'select "PatID.x", "sessionN"::bigint from raw where "sessionN" <> \'0\' order by all', raw=cbasp_raw
    )
    found = cbasp.rows(
        "select client_id, session_number from marts.session where status = 'held' order by all"
    )
    assert found == expected
    assert len(found) == 5_274
    assert cbasp.one("select count(*) from marts.session") == (5_274,)
    clients = "select count(distinct client_id) from marts.instrument_score"
    assert cbasp.one(clients) == (256,)
    assert cbasp.one(f"{clients} where occasion = 'intake'") == (243,)


@needs_shared
def test_cbasp_every_answer_is_that_of_the_table(cbasp: Trial, cbasp_raw: pa.Table) -> None:
    symptoms = [name for name in cbasp_raw.column_names if f"{name}_lag" in cbasp_raw.column_names]
    assert len(symptoms) == 9
    long = " union all ".join(
        f'select "PatID.x" as client_id, "sessionN"::bigint as session_number, \'{name}\' as scale, '
        f"{name}::double as answer from raw"
        for name in symptoms
    )
    wrong = f"""
        select count(*) from ({long}) as raw
        full join (select * from marts.instrument_score where scale <> 'total') as score
          using (client_id, session_number, scale)
        where raw.answer is distinct from score.score or raw.scale is null or score.event_id is null
    """
    assert cbasp.one(wrong, raw=cbasp_raw) == (0,)
    assert cbasp.one("select count(*), count(score) from marts.instrument_score where scale <> 'total'") == (
        49_653,
        49_653 - 55,
    )


@needs_shared
def test_cbasp_stored_lags_are_wrong_where_clients_are_out_of_order(
    cbasp: Trial, cbasp_raw: pa.Table
) -> None:
    wrong = """
        with recomputed as (
          select client_id, session_number,
                 lag(score) over (partition by client_id order by session_number) as lagged
          from marts.instrument_score where scale = '{0}'
        )
        select "PatID.x", count(*)
        from raw join recomputed on "PatID.x" = client_id and "sessionN"::bigint = session_number
        where {0}_lag::double is distinct from lagged group by 1
    """
    found = {name: dict(cbasp.rows(wrong.format(name), raw=cbasp_raw)) for name in ("mood", "concentration")}
    assert sum(found["mood"].values()) == 2
    assert sum(found["concentration"].values()) == 3
    disordered = cbasp.rows(
        """
        select distinct "PatID.x" from (select *, lag("sessionN"::bigint) over (
          partition by "PatID.x" order by position) as before from raw) where "sessionN"::bigint < before
        """,
        raw=cbasp_raw,
    )
    assert {client for (client,) in disordered} == {"45", "142", "155"}
    assert found["mood"].keys() | found["concentration"].keys() <= {"45", "142", "155"}


# --- real data: CTN-0094 ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ctn(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return Trial(tmp_path_factory.mktemp("ctn") / "study", "ctn0094", CTN)


@pytest.fixture(scope="module")
def ctn_raw() -> pa.Table:
    """All visits with their site and whether a flag for absence is set."""
    source = pq.read_schema(CTN / "visit.parquet").names
    flags = [name for name in source if name.startswith("is_") and name != "is_no_note"]
    assert len(flags) == 14
    with duckdb.connect() as duck:
        return duck.execute(
            f"""
            select visit.*, 'site-' || site_masked as site_id, visit.who::varchar as client_id,
                   coalesce({", ".join(flags)}) is not null as absent
            from read_parquet($visits) as visit left join read_csv($sites, all_varchar = true) as site
              on visit.who::varchar = site.who
            """,
            {"visits": str(CTN / "visit.parquet"), "sites": str(CTN / "site_masked.csv")},
        ).to_arrow_table()


@needs_shared
def test_ctn_conversion_keeps_every_row_and_column(ctn: Trial, ctn_raw: pa.Table) -> None:
    source = pq.read_table(CTN / "visit.parquet")
    site_of = ctn_raw["site_id"].to_pylist()
    assert None not in site_of
    expected: dict[str, list[list[str]]] = {}
    for row in source.to_pylist():
        cells = ["" if c is None else f"{c:.0f}" if isinstance(c, float) else str(c) for c in row.values()]
        expected.setdefault(cells[0], []).append(cells)
    files = sorted((ctn.folder / "landing").glob("*/visits.csv"))
    assert len(files) == 32
    kept: dict[str, list[list[str]]] = {}
    for path in files:
        with path.open(encoding="utf-8", newline="") as text:
            header, *rows = csv.reader(text)
        assert header == source.column_names
        for cells in rows:
            kept.setdefault(cells[0], []).append(cells)
    assert kept == expected


@needs_shared
def test_ctn_every_line_is_accounted_for(ctn: Trial, ctn_raw: pa.Table) -> None:
    lines = Counter(ctn_raw["site_id"].to_pylist())
    assert_every_line_is_accounted_for(ctn, {(site, "visits.csv"): count for site, count in lines.items()})
    total = "select sum(lines), sum(accepted), sum(duplicate), sum(held_back) from quality.receipt"
    assert ctn.one(total) == (53_899, 53_898, 1, 0)
    assert ctn.codes() == {}


@needs_shared
def test_ctn_sessions_are_those_of_the_table(ctn: Trial, ctn_raw: pa.Table) -> None:
    """Per site and status, counted from the raw table; a visit label given twice with two contents counts nowhere."""
    expected = ctn.rows(
        """
        with label as (
          select site_id, client_id, visit, any_value(what) as what, any_value("when") as "when",
                 bool_or(absent) as absent, count(distinct ("when", what)) as contents
          from raw group by site_id, client_id, visit
        )
        select site_id,
               case what when 'visit' then 'held' when 'no visit' then 'missed' else 'scheduled' end as status,
               count(*), count("when"), sum("when")::bigint,
               count(*) filter (absent and what = 'visit')
        from label where contents = 1 group by all order by all
        """,
        raw=ctn_raw,
    )
    found = ctn.rows(
        """
        select site_id, status, count(*), count(study_day), sum(study_day)::bigint,
               count(*) filter (is_contradictory)
        from marts.session group by all order by all
        """
    )
    assert found == expected
    assert ctn.rows(
        "select status, count(*), count(*) filter (is_contradictory) from marts.session group by all order by all"
    ) == [("held", 40_977, 1_894), ("missed", 5_449, 0), ("scheduled", 7_420, 0)]
    assert ctn.one("select count(distinct client_id), count(distinct site_id) from marts.session") == (
        3_334,
        32,
    )


@needs_shared
def test_ctn_labels_given_twice_are_conflicts(ctn: Trial, ctn_raw: pa.Table) -> None:
    pairs = ctn.one(
        "select count(*), sum(n - 1)::int from (select count(*) as n from raw group by who, visit having n > 1)",
        raw=ctn_raw,
    )
    assert pairs == (26, 28)
    assert ctn.one("select sum(n_violated)::int from quality.finding where code = 'FACT_CONFLICT'") == (25,)


@needs_shared
def test_ctn_no_person_has_two_labels_under_one_number(ctn: Trial, ctn_raw: pa.Table) -> None:
    """Then the sessions of a person are as many as the labels, but for those in conflict."""
    lost = """
        select count(*) from (select client_id, count(distinct visit) as n from raw group by 1) as label
        join (select client_id, count(*) as n from marts.session group by 1) as session using (client_id)
        where label.n <> session.n
    """
    assert ctn.one(lost, raw=ctn_raw)[0] == 25


@needs_shared
def test_ctn_reasons_are_those_of_the_flags(ctn: Trial, ctn_raw: pa.Table) -> None:
    reasons = dict(
        ctn.rows(
            "select absence_reason, count(*) from marts.session where status = 'missed' group by 1 order by 1"
        )
    )
    flags = ctn.one(
        """
        select count(is_dead), count(is_illness), count(is_moved), count(is_on_vacation), count(*) filter (not absent)
        from raw where what = 'no visit'
        """,
        raw=ctn_raw,
    )
    assert (reasons["died"], reasons["illness"], reasons["moved"], reasons["holiday"], reasons[None]) == flags
    assert sum(reasons.values()) == 5_449


# --- the pages of both ---------------------------------------------------------------------------


def pages(trial: Trial) -> dict[str, Path]:
    """Write all pages; by site, and of the study."""
    gathered = gather(trial.study, trial.marts, night_of(trial.marts))
    found = dict(zip(trial.study.site_ids, write_site_reports(gathered), strict=True))
    found["study"] = write_study_page(gathered, NightNotes())
    write_night_sheet(gathered, NightNotes())
    return found


@needs_shared
def test_ctn_has_a_page_for_each_of_32_sites(ctn: Trial, ctn_raw: pa.Table) -> None:
    made = pages(ctn)
    lines = Counter(ctn_raw["site_id"].to_pylist())
    assert len(made) == 33
    for site, page in made.items():
        text = page.read_text("utf-8")
        assert len(text) < 1_000_000
        if site == "study":
            continue
        assert set(re.findall(r"\bsite-\d+", text)) == {site}
        told = json.loads((page.parent / "report.json").read_bytes())
        assert told["total"]["sent"] == lines[site]
        assert told["total"]["balances"]
        # No questionnaire is planned: nothing is said of forms, and nothing passes for it.
        assert (told["completeness"]["expected"], told["completeness"]["received"]) == (0, 0)
    told = json.loads((made["study"].parent / "study.json").read_bytes())
    assert (told["total"]["sent"], told["total"]["already_had"]) == (53_899, 1)
    # Found above from the raw table: 25 conflicts, at eight sites.
    (conflicts,) = [one for one in told["codes"] if one["code"] == "FACT_CONFLICT"]
    assert conflicts["sites"]["fail"] == 8
    assert sum(conflicts["sites"].values()) == 32


@needs_shared
def test_cbasp_has_a_page_and_peers_are_withheld(cbasp: Trial) -> None:
    made = pages(cbasp)
    (site,) = cbasp.study.site_ids
    told = json.loads((made[site].parent / "report.json").read_bytes())
    assert told["verdict"]["headline"] == "Accepted in full."
    assert told["total"]["sent"] == 5_517
    assert {share["band"] for share in told["shares"]} == {None}
    assert max(len(page.read_text("utf-8")) for page in made.values()) < 1_000_000
