"""The house rules, kept by tests: who imports whom, what SQL may say, what is documented."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp

from dyadlog.assets.event_log import segment
from dyadlog.assets.warehouse.lineage import column_lineage
from dyadlog.assets.warehouse.models import INPUTS, models, read_model, scope_breaches
from dyadlog.schemas.catalogue import catalogue
from dyadlog.schemas.codes import codes
from dyadlog.schemas.instruments import shipped_instruments
from dyadlog.schemas.marts import contracts
from tests.conftest import tracked

ROOT = Path(__file__).parents[1]
FLOORS = ["schemas", "assets", "orchestration"]
ROOMS = ["event_log", "intake", "warehouse", "pictures", "quality", "erasure", "simulation"]


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found


@pytest.mark.parametrize("floor", FLOORS)
def test_imports_run_one_way(floor: str) -> None:
    above = FLOORS[FLOORS.index(floor) + 1 :]
    for path in (ROOT / floor).rglob("*.py"):
        for name in imports(path):
            assert not any(name.startswith(f"dyadlog.{other}") for other in above), (
                f"{path.name} imports {name}"
            )


def test_rooms_of_assets_import_only_those_below() -> None:
    for room in ROOMS:
        above = ROOMS[ROOMS.index(room) + 1 :]
        for path in (ROOT / "assets" / room).rglob("*.py"):
            for name in imports(path):
                assert not any(name.startswith(f"dyadlog.assets.{other}") for other in above), (
                    f"{room}: {name}"
                )


def test_dagster_is_known_to_orchestration_only() -> None:
    for floor in ("schemas", "assets"):
        for path in (ROOT / floor).rglob("*.py"):
            assert not any(name.split(".")[0] == "dagster" for name in imports(path)), path.name


def test_all_bytes_of_the_log_go_through_the_storage() -> None:
    doors = {"write_bytes", "write_text", "open", "unlink", "rename", "replace", "link"}
    for path in (ROOT / "assets/event_log").glob("*.py"):
        if path.name == "storage.py":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                assert node.func.attr not in doors, f"{path.name} calls {node.func.attr}"


# --- SQL -------------------------------------------------------------------------------------

CLOCKS = {
    "now",
    "current_date",
    "current_timestamp",
    "current_time",
    "localtimestamp",
    "today",
    "get_current_time",
}
CLOCKS |= {"rand", "random", "uuid", "gen_random_uuid", "nextval"}
ORDERED = (exp.ArrayAgg, exp.First, exp.Last, exp.AnyValue, exp.GroupConcat)
FLOATING = (
    exp.Avg,
    exp.Stddev,
    exp.StddevSamp,
    exp.StddevPop,
    exp.Variance,
    exp.VariancePop,
    exp.Corr,
    exp.Median,
)


def clocks(tree: exp.Expr) -> set[str]:
    """Functions that give another answer each time."""
    called = {
        (node.name if isinstance(node, exp.Anonymous) else node.sql_name()).lower()
        for node in tree.find_all(exp.Func)
    }
    return called & CLOCKS


@pytest.mark.parametrize("name", list(models()))
def test_models_rely_on_nothing_that_changes_from_run_to_run(name: str) -> None:
    tree = sqlglot.parse_one(models()[name].sql, dialect="duckdb")
    assert clocks(tree) == set()
    for node in tree.find_all(*ORDERED, *FLOATING):
        in_order = node.find(exp.Order) or isinstance(node.parent, exp.ArraySort)
        assert in_order, f"{name}: {node.sql('duckdb')} depends on the order of rows"
    for star in tree.find_all(exp.Window):
        if isinstance(star.this, exp.RowNumber | exp.Lag | exp.Lead):
            assert star.args.get("order") or star.args.get("alias"), f"{name}: a window without an order"


def test_the_lint_finds_what_it_is_for() -> None:
    bad = sqlglot.parse_one("select avg(x), any_value(y) from t", dialect="duckdb")
    assert len(list(bad.find_all(*ORDERED, *FLOATING))) == 2
    for clock in ("now()", "current_date", "current_timestamp", "today()", "random()", "uuid()"):
        assert clocks(sqlglot.parse_one(f"select {clock}", dialect="duckdb")), clock


SUMS_OF = re.compile(r"^(DECIMAL|INT|BIGINT|HUGEINT|INTEGER)")


def test_only_exact_numbers_are_summed() -> None:
    """A sum over DOUBLE differs with the number of threads; sums are over integers and decimals, or in order."""
    allowed = {"keyed", "filled_sum", "expected", "received", "lines", "n", "n_leaving"}
    allowed |= {"turned", "straight", "product"}
    allowed |= {"exact_score", "exact_log", "session_number", "coded_minutes", "n_pairs"}
    allowed |= {"exact_value", "exact_mean"}
    allowed |= {"square", "session_square", "session_product", "log_square", "log_product", "step_square"}
    allowed |= {"held_back", "n_denominator", "exact_part", "exact_sum", "n_lately", "n_before"}
    for name, model in models().items():
        for node in sqlglot.parse_one(model.sql, dialect="duckdb").find_all(exp.Sum):
            over = node.parent
            if isinstance(node.this, exp.Order) or (isinstance(over, exp.Window) and over.args.get("alias")):
                continue
            assert isinstance(node.this, exp.Column | exp.Mul), f"{name}: {node.sql()}"
            assert {column.name for column in node.this.find_all(exp.Column)} <= allowed, (
                f"{name}: {node.sql()}: is this an exact number? then add it here"
            )


@pytest.mark.parametrize("name", list(models()))
def test_models_keep_their_scope(name: str) -> None:
    scopes = {other: model.scope for other, model in models().items()}
    assert scope_breaches(models()[name], scopes) == []


HEAD = "-- marts.x: try\n-- grain: site_id\n-- scope: site\n"


@pytest.mark.parametrize(
    "sql",
    [
        "select rater, count(*) from marts.session group by rater",
        "select row_number() over (partition by client_id order by x) from marts.session",
        "select 1 from marts.session inner join marts.outcome_score using (client_id)",
        "select 1 from marts.session inner join marts.outcome_score on session.client_id = outcome_score.client_id",
    ],
)
def test_a_breach_of_scope_is_seen(sql: str) -> None:
    assert scope_breaches(read_model(HEAD + sql, "marts.x"), {})


def test_models_read_known_tables_only() -> None:
    for model in models().values():
        for name in model.reads:
            assert name in models() or name.split(".")[0] in INPUTS, f"{model.name} reads {name}"


def test_grain_in_the_header_is_the_grain_of_the_contract() -> None:
    for name, table in contracts().items():
        assert models()[name].grain == table.grain, name


def test_every_published_table_has_a_model_and_the_reverse() -> None:
    assert {n for n, m in models().items() if m.schema in ("marts", "quality")} == set(contracts())


def test_lineage_is_read_from_the_sql() -> None:
    assert column_lineage("marts.instrument_score")["score"] == [("intermediate.answer", "keyed")]
    assert ("staging.session_event", "report") in column_lineage("marts.session")["status"]
    assert column_lineage("quality.receipt")["lines"] == [("log.commit", "lines")]


@pytest.mark.parametrize("name", list(contracts()))
def test_the_lineage_of_every_published_table_can_be_read(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    lineage = column_lineage(name)
    assert set(lineage) <= set(contracts()[name].columns)
    assert any(lineage.values())
    assert caplog.records == []


# --- registries ------------------------------------------------------------------------------


def test_every_code_in_the_program_is_registered_and_every_registered_one_is_used() -> None:
    text = "".join(p.read_text("utf-8") for f in FLOORS[:2] for p in (ROOT / f).rglob("*.py"))
    text += "".join(m.sql for m in models().values())
    used = set(re.findall(r"[\"'@]([A-Z]+(?:_[A-Z0-9]+)+)[\"'@]", text))
    prefixes = {
        "FILE",
        "LINE",
        "FIELD",
        "VALUE",
        "TIME",
        "REASON",
        "SITE",
        "EVENT",
        "INSTRUMENT",
        "RATER",
        "ITEM",
    }
    prefixes |= {"ANSWER", "MISSING", "FACT", "SESSION", "TOTAL", "DESIGN", "EXPECTATION", "CHECK"}
    prefixes |= {"ANSWERS", "RECORDED", "CODER", "PERSON", "SCORE", "SCORES", "CLIENT", "ID"}
    assert {u for u in used if u.split("_")[0] in prefixes} == set(codes())


def test_codes_are_written_for_people() -> None:
    for name, code in codes().items():
        for sentence in (code.says, code.why, code.fix):
            assert sentence.endswith("."), f"{name}: {sentence}"


def test_the_catalogue_covers_the_design() -> None:
    groups = {name.split(".")[0] for name in catalogue().events}
    assert groups >= {
        *("client", "therapist", "dyad", "session", "instrument", "coding", "rupture", "repair", "recall"),
        *("countertransference", "ritual", "treatment", "followup", "consent"),
    }
    assert set(catalogue().envelope) <= set(segment.SCHEMA)


def test_every_instrument_names_its_source_and_licence() -> None:
    for instrument in shipped_instruments().values():
        assert instrument.source
        assert instrument.licence


# --- the repository --------------------------------------------------------------------------


def test_nothing_points_to_this_machine_or_to_a_package_index() -> None:
    index = re.compile(rb"https?://[a-z0-9.-]*(" + rb"py" + rb"pi|python" + rb"hosted|npm" + rb"js|debian)")
    place = re.compile(rb"(?<![\w./])/(" + rb"wo" + rb"rk|ro" + rb"ot)/\w")
    for path in tracked():
        data = path.read_bytes()
        assert not index.search(data), path
        assert not place.search(data), path


def test_every_locked_package_has_a_hash() -> None:
    text = (ROOT / "requirements.lock").read_text()
    packages = re.findall(r"^([A-Za-z0-9_.-]+)==\S+( ;[^\\\n]*)? \\\n    --hash=sha256:", text, re.MULTILINE)
    assert len(packages) == len(re.findall(r"^[A-Za-z0-9_.-]+==", text, re.MULTILINE)) > 100


def test_modules_stay_small() -> None:
    ours = [
        p
        for p in tracked()
        if p.suffix in (".py", ".sql") and p.relative_to(ROOT).parts[0] in (*FLOORS, "dbt_like_sql")
    ]
    long = {p.name: n for p in ours if (n := len(p.read_text().splitlines())) > 400}
    assert long == {}


def test_every_promise_of_the_readme_names_a_test_that_is_there() -> None:
    table = (ROOT / "README.md").read_text("utf-8").split("| promise | test |")[1].split("\n\n")[0]
    rows = [row for row in table.splitlines() if row.startswith("| ") and "---" not in row]
    named = [re.findall(r"`((?:tests/)?[a-z_/]+(?:\.py|/))`", row.rsplit(" | ", 1)[1]) for row in rows]
    assert len(rows) > 30
    assert all(named), [row for row, tests in zip(rows, named, strict=True) if not tests]
    files = {name if name.startswith("tests/") else f"tests/{name}" for tests in named for name in tests}
    assert {name for name in files if not (ROOT / name).exists()} == set()
