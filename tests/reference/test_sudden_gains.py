"""Sudden gains and losses against suddengains 0.7.2: every interval, every gain, every choice among gains."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Lab
from tests.reference.case import Case, Compared, ident, needs_reference, number, read

pytestmark = needs_reference

PACKAGE = {"preset": "suddengains_0_7_2", "instrument": "measure", "version": "1"}


def arguments(text: str, rci: float) -> dict[str, Any]:
    """A variant as the package was called, as a rule of study.yaml."""
    kind = {"sg": "gain", "sl": "loss"}[re.search(r'f = "(s[gl])"', text)[1]]  # type: ignore[index]
    rule: dict[str, Any] = {"kind": kind}

    def given(name: str) -> str | None:
        found = re.search(rf"\b{name} = ([^,)]+)", text)
        return found[1].strip('"') if found else None

    cutoff = given("sg_crit1_cutoff")
    rule["cutoff"] = None if cutoff == "NULL" else rci if cutoff == "RCI" else abs(float(cutoff or 0))
    if percent := given("sg_crit2_pct"):
        rule["percent"] = None if percent == "NULL" else float(percent) * 100
    if given("sg_crit3") == "FALSE":
        rule["alpha"] = None
    if alpha := given("sg_crit3_alpha"):
        rule["alpha"] = float(alpha)
    if given("sg_crit3_adjust") == "FALSE":
        rule["critical"] = float(given("sg_crit3_critical_value") or 2.776)
    sessions = [0, 12] if given("identify_sg_1to2") == "TRUE" else [1, 12]
    if sessions[0] == 0:
        rule["reversal_from"] = 2
    return rule | {"sessions": sessions, "course": sessions}


def truth(value: object) -> object:
    return {True: 1.0, False: 0.0}.get(value) if isinstance(value, bool) else value


COLUMNS = ["rule_id", "client_id", "session_number", "meets_1", "meets_2", "meets_3", "is_sudden"]


def intervals(lab: Lab) -> dict[tuple[str, str, int], dict[str, Any]]:
    rows = lab.rows(f"select {', '.join(COLUMNS)} from marts.sudden_gain_interval")
    return {(row[0], row[1], row[2]): dict(zip(COLUMNS[3:], row[3:], strict=True)) for row in rows}


def compare_intervals(
    compared: Compared,
    case: str,
    what: str,
    lab: Lab,
    rows: Iterable[tuple[tuple[str, str, int], dict[str, str]]],
) -> None:
    """Interval by interval. A client without any score has no row here and a row of missing values there."""
    found, empty = intervals(lab), dict.fromkeys(COLUMNS[3:])
    rows = list(rows)
    for ours, theirs in zip(COLUMNS[3:], ("crit1", "crit2", "crit3", "crit123"), strict=True):
        compared.same(
            case,
            f"{what}: {ours}",
            (
                (key, number(row[theirs]), truth(found.get(key, empty)[ours]))
                for key, row in rows
                if theirs in row
            ),
        )
    assert set(found) <= {key for key, _ in rows}


GAIN = {
    "magnitude": "sg_magnitude",
    "reversal_score": "sg_reversal_value",
    "is_reversed": "sg_reversal",
    "share_of_change": "sg_change_proportion",
    "n_sudden": "sg_freq_byperson",
    "score_before": "{}_n",
    "score_after": "{}_n1",
    "course_change": "{}_tx_change",
}


def gains(lab: Lab) -> dict[tuple[str, str, int], dict[str, Any]]:
    columns = [*GAIN, "nth", "size_rank"]
    rows = lab.rows(f"select rule_id, client_id, session_number, {', '.join(columns)} from marts.sudden_gain")
    return {(row[0], row[1], row[2]): dict(zip(columns, row[3:], strict=True)) for row in rows}


def compare_gains(
    compared: Compared,
    case: str,
    what: str,
    lab: Lab,
    rows: Iterable[tuple[tuple[str, str, int], dict[str, str]]],
    stem: str,
) -> None:
    found, rows = gains(lab), list(rows)
    assert {key for key, _ in rows} == {key for key in found if key[0] in {rule for (rule, _, _), _ in rows}}
    for ours, theirs in GAIN.items():
        compared.same(
            case,
            f"{what}: {ours}",
            (
                (key, number(row[name]), float(value) if isinstance(value, bool | int) else value)
                for key, row in rows
                for name in [theirs.format(stem)]
                for value in [found[key][ours]]
            ),
        )


# --- sgdata: 19 variants -------------------------------------------------------------------------

SGDATA = "suddengains_sgdata"
# The first criterion by reliable change: SD of the first scores, or an SD of a norm set.
CUTOFF = {
    "preset": "jacobson_truax",
    "instrument": "measure",
    "version": "1",
    "reliability": 0.931,
    "cutoff": "a",
    "pre": 0,
}
NORMS = """\
instrument: measure
norm_sets:
  given:
    versions: ["1"]
    population: argument of the package
    scales:
      total:
        clinical_mean: {value: 20, status: project, source: argument of the package}
        clinical_sd: {value: 10.5, status: project, source: argument of the package}
"""


@pytest.fixture(scope="module")
def sgdata(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    # "RCI" in the package: 1.96 errors of the difference; its own figures for SD 10.5 and reliability .931.
    (cutoff,) = read(SGDATA, "expected_crit1_cutoff_from_data.csv")
    rules = [
        PACKAGE | {"id": row["variant"]} | arguments(row["args"], float(cutoff["reliable_change_value"]))
        for row in read(SGDATA, "variants.csv")
    ]
    publication = {"preset": "tang_derubeis", "cutoff": 7, "instrument": "measure", "version": "1"}
    rules += [publication | {"id": f"published_{kind}", "kind": kind} for kind in ("gain", "loss")]
    study = tmp_path_factory.mktemp("sgdata")
    outcomes = [CUTOFF | {"id": "data"}, CUTOFF | {"id": "given", "reference": "given"}]
    kinds = {"measure": ("outcome", "lower")}
    case = Case(study, kinds, sudden_gains=rules, outcomes=outcomes, norms=["norms.yaml"])
    (study / "study").mkdir()
    (study / "study/norms.yaml").write_text(NORMS)
    for row in read(SGDATA, "input.csv"):
        for session in range(13):
            case.score("site-a", ident(row["id"]), "measure", session, number(row[f"bdi_s{session}"]))
    return case.night()


def test_every_interval_of_every_variant(sgdata: Lab, compared: Compared) -> None:
    rows = read(SGDATA, "expected_intervals.csv")
    known = {row["variant"] for row in read(SGDATA, "variants.csv")}
    assert {row["variant"] for row in rows} == known
    found, empty = intervals(sgdata), dict.fromkeys(COLUMNS[3:])
    for ours, theirs in zip(COLUMNS[3:], ("crit1", "crit2", "crit3", "crit123"), strict=True):
        compared.same(
            SGDATA,
            f"19 variants: {ours}",
            (
                (key, number(row[theirs]), truth(found.get(key, empty)[ours]))
                for row in rows
                for key in [(row["variant"], ident(row["id"]), int(row["pre_session"]))]
            ),
        )
    ours_only = {key for key in found if key[0] in known} - {
        (row["variant"], ident(row["id"]), int(row["pre_session"])) for row in rows
    }
    assert ours_only == set()


def test_every_gain_of_every_variant(sgdata: Lab, compared: Compared) -> None:
    rows = [
        ((row["variant"], ident(row["id"]), int(row["sg_session_n"])), row)
        for row in read(SGDATA, "expected_bysg.csv")
    ]
    compare_gains(compared, SGDATA, "19 variants", sgdata, rows, "sg_bdi")


def chosen(lab: Lab) -> dict[tuple[str, str, str], int]:
    """Session of the first, last, smallest and largest gain of each client; the earliest of equal ones."""
    found: dict[tuple[str, str, str], int] = {}
    rows = gains(lab)
    smallest: dict[tuple[str, str], int] = {}
    for (rule, client, _), row in rows.items():
        smallest[rule, client] = max(row["size_rank"] or 1, smallest.get((rule, client), 1))
    for (rule, client, session), row in sorted(rows.items()):
        for choice, wanted in (
            ("first", row["nth"] == 1),
            ("last", row["nth"] == row["n_sudden"]),
            ("largest", row["size_rank"] == 1),
            ("smallest", row["size_rank"] == smallest[rule, client]),
        ):
            if wanted:
                found.setdefault((rule, choice, client), session)
    return found


def test_the_gain_chosen_per_person(sgdata: Lab, compared: Compared) -> None:
    found = chosen(sgdata)
    compared.same(
        SGDATA,
        "19 variants: by person",
        (
            (key, number(row["sg_session_n"]), None if key not in found else float(found[key]))
            for row in read(SGDATA, "expected_byperson.csv")
            for key in [(row["variant"], row["multiple_sg_select"], ident(row["id"]))]
        ),
    )


def test_the_cutoff_by_reliable_change(sgdata: Lab, compared: Compared) -> None:
    """The package takes the SD of everybody with a first score, a rule of ours of those who have the second too."""
    names = (
        "sd",
        "reliability",
        "standard_error_measurement",
        "standard_error_difference",
        "reliable_change_value",
    )
    found = {
        row[0]: row[1:]
        for row in sgdata.rows(
            "with spread as (select rule_id, case rule_id when 'data' then stddev_samp(pre_score) else 10.5 end as sd "
            "from marts.outcome_client where rule_id in ('data', 'given') group by rule_id) "
            "select rule_id, sd, reliability, sd * se_measurement / pre_sd, sd * se_difference / pre_sd, "
            "sd * reliable_change / pre_sd from marts.outcome_reference inner join spread using (rule_id)"
        )
    }
    files = {"data": "expected_crit1_cutoff_from_data.csv", "given": "expected_crit1_cutoff_sd10.5_r.931.csv"}
    for rule, file in files.items():
        (row,) = read(SGDATA, file)
        compared.same(
            SGDATA,
            f"cut-off of criterion 1: {rule}",
            ((name, number(row[name]), value) for name, value in zip(names, found[rule], strict=True)),
        )


def test_critical_values_of_the_third_criterion(sgdata: Lab, compared: Compared) -> None:
    found = {
        row[:3]: row[3]
        for row in sgdata.rows(
            "select distinct rule_id, n_before, n_after, critical_value from marts.sudden_gain_interval"
        )
    }
    (strict,) = [
        row["variant"] for row in read(SGDATA, "variants.csv") if "sg_crit3_alpha = 0.01" in row["args"]
    ]
    rules = {0.05: "v01_default", 0.01: strict}
    expected = read(SGDATA, "expected_crit3_critical_values.csv")
    compared.same(
        SGDATA,
        "critical values",
        (
            (key, number(row["critical_value"]), found[key])
            for row in expected
            for key in [(rules[float(row["alpha"])], int(row["n_pre"]), int(row["n_post"]))]
            if key in found
        ),
        note="numbers of scores that occur",
    )


def test_who_and_what_can_be_judged_at_all(sgdata: Lab, compared: Compared) -> None:
    """The package counts intervals and chooses clients by the scores that they have."""
    computable = "score_before is not null and score_after is not null and n_before > 1 and n_after > 1"
    ((tested, judged, clients),) = sgdata.rows(
        f"select count(*), count(*) filter ({computable}), count(distinct client_id) "
        "from marts.sudden_gain_interval where rule_id = 'v01_default'"
    )
    (row,) = read(SGDATA, "expected_count_intervals.csv")
    everybody = len(read(SGDATA, "input.csv"))
    each = tested // clients
    compared.same(
        SGDATA,
        "intervals counted",
        [
            # the first and the last interval of each client are never tested
            ("all", number(row["total_between_sess_intervals"]), float(everybody * (each + 2))),
            ("tested", number(row["total_between_sess_intervals_sg"]), float(everybody * each)),
            ("judged", number(row["available_between_sess_intervals_sg"]), float(judged)),
            (
                "open",
                number(row["not_available_between_sess_intervals_sg"]),
                float(everybody * each - judged),
            ),
        ],
    )
    chosen_by = {
        "expected_select_cases_min9.csv": "select client_id from marts.outcome_score where session_number between 1 and 12 "
        "group by client_id having count(*) >= 9",
        "expected_select_cases_pattern.csv": "select distinct client_id from marts.sudden_gain_interval "
        f"where rule_id = 'v01_default' and {computable}",
    }
    for file, sql in chosen_by.items():
        found = {name for (name,) in sgdata.rows(sql)}
        compared.same(
            SGDATA,
            file.removeprefix("expected_").removesuffix(".csv"),
            (
                (row["id"], row["sg_select"] == "TRUE", ident(row["id"]) in found)
                for row in read(SGDATA, file)
            ),
        )


def test_counts_of_gains_and_reversals(sgdata: Lab, compared: Compared) -> None:
    counted = {
        rule: numbers
        for rule, *numbers in sgdata.rows(
            "select rule_id, count(*), count(*) filter (where is_reversed), round(avg(magnitude), 2), "
            "round(stddev_samp(magnitude), 2) from marts.sudden_gain group by rule_id"
        )
    }
    names = ("sg_total_n", "sg_reversal_n", "sg_magnitude_m", "sg_magnitude_sd")
    compared.same(
        SGDATA,
        "19 variants: described",
        (
            ((row["variant"], name), number(row[name]), float(value))
            for row in read(SGDATA, "expected_describe.csv")
            for name, value in zip(names, counted[row["variant"]], strict=True)
        ),
        note="package rounds to two digits",
    )


def test_the_publication_stands_beside_the_package(sgdata: Lab) -> None:
    """The baseline is a score of the series too; losses must be 25 per cent as well."""
    found = gains(sgdata)
    by = {rule: {key[1:] for key in found if key[0] == rule} for rule in {key[0] for key in found}}
    assert by["v01_default"] <= by["published_gain"]
    assert by["published_loss"] <= by["l01_default"] | by["l05_1to2"]


# --- edge cases: each quirk of the package, and what the publication says -----------------------

EDGES = "suddengains_edge_cases"
LAST = 8


@pytest.fixture(scope="module")
def edges(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    bounds = {"cutoff": 7, "sessions": [1, LAST], "course": [1, LAST]}
    rules: list[dict[str, Any]] = []
    for short, kind in (("sg", "gain"), ("sl", "loss")):
        rules.append(PACKAGE | bounds | {"id": short, "kind": kind})
        rules.append(PACKAGE | bounds | {"id": f"published_{short}", "kind": kind, "preset": "tang_derubeis"})
    rules.append(PACKAGE | bounds | {"id": "sg_1to2", "kind": "gain", "reversal_from": 2})
    case = Case(tmp_path_factory.mktemp("edges"), {"measure": ("outcome", "lower")}, sudden_gains=rules)
    for row in read(EDGES, "input.csv"):
        case.client("site-a", ident(row["id"]))
        for session in range(1, LAST + 1):
            case.score("site-a", ident(row["id"]), "measure", session, number(row[f"s{session}"]))
    return case.night()


def test_edge_cases_interval_by_interval(edges: Lab, compared: Compared) -> None:
    found, empty = intervals(edges), dict.fromkeys(COLUMNS[3:])
    rows = read(EDGES, "expected_intervals.csv")
    for ours, theirs in zip(COLUMNS[3:], ("crit1", "crit2", "crit3", "crit123"), strict=True):
        compared.same(
            EDGES,
            f"gains and losses: {ours}",
            (
                (key, number(row[theirs]), truth(found.get(key, empty)[ours]))
                for row in rows
                for key in [(row["kind"], ident(row["id"]), int(row["pre_session"]))]
            ),
        )


def test_edge_cases_gain_by_gain(edges: Lab, compared: Compared) -> None:
    rows = [
        ((row["kind"], ident(row["id"]), int(row["sg_session_n"])), row)
        for row in read(EDGES, "expected_bysg.csv")
    ]
    compare_gains(compared, EDGES, "gains and losses", edges, rows, "sg_x")
    # With a score before the first session the package counts sessions from there.
    rows = [
        (("sg_1to2", ident(row["id"]), int(row["sg_session_n"]) + 1), row)
        for row in read(EDGES, "expected_bysg_1to2_TRUE.csv")
    ]
    compare_gains(compared, EDGES, "with first interval", edges, rows, "sg_x")


def test_edge_cases_chosen_per_person(edges: Lab, compared: Compared) -> None:
    found = chosen(edges)
    compared.same(
        EDGES,
        "by person",
        (
            (key, number(row["sg_session_n"]), None if key not in found else float(found[key]))
            for row in read(EDGES, "expected_byperson.csv")
            for key in [(row["kind"], row["multiple_sg_select"], ident(row["id"]))]
        ),
    )


# client, what, by the package, by the publication
QUIRKS = [
    ("rev_n2only", "a worse score in session N + 2 reverses", False, True),
    ("rev_n3", "a worse score in session N + 3 reverses", True, True),
    ("rev_equal", "a score equal to the reversal value does not", False, False),
]


@pytest.mark.parametrize(("client", "what", "package", "published"), QUIRKS)
def test_reversals(edges: Lab, client: str, what: str, package: bool, published: bool) -> None:
    found = gains(edges)
    name = ident(client)
    assert found["sg", name, 3]["is_reversed"] is package
    assert found["published_sg", name, 3]["is_reversed"] is published


def test_what_the_publication_decides_otherwise(edges: Lab) -> None:
    each, found = intervals(edges), gains(edges)
    # one criterion fails, another is missing: decided by the publication, open in the package
    key = (ident("crit1no_c3na"), 3)
    assert each["sg", *key]["is_sudden"] is None
    assert each["published_sg", *key]["is_sudden"] is False
    # a loss of 13 per cent
    key = (ident("loss_small_pct"), 3)
    assert ("sl", *key) in found
    assert ("published_sl", *key) not in found
    # which of two losses is the largest
    assert found["sl", ident("two_losses"), 3]["size_rank"] == 1
    assert found["published_sl", ident("two_losses"), 6]["size_rank"] == 1
    # the share of a loss in a course that went down with it
    key = (ident("two_losses"), 3)
    assert found["sl", *key]["share_of_change"] == pytest.approx(-8 / 28)
    # a course without change has no share
    key = (ident("tx_change0"), 3)
    assert math.isinf(found["sg", *key]["share_of_change"])
    assert found["published_sg", *key]["share_of_change"] is None


# --- real trial with real missing data -----------------------------------------------------------

BTHEB = "suddengains_btheb"


def test_beat_the_blues(tmp_path: Path, compared: Compared) -> None:
    rules = [
        PACKAGE
        | {"id": f"{short}_{third}", "kind": kind, "cutoff": 7, "sessions": [1, 5], "course": [1, 5]}
        | ({} if third == "TRUE" else {"alpha": None})
        for short, kind in (("sg", "gain"), ("sl", "loss"))
        for third in ("TRUE", "FALSE")
    ]
    case = Case(tmp_path, {"measure": ("outcome", "lower")}, sudden_gains=rules)
    for row in read(BTHEB, "input.csv"):
        for occasion, name in enumerate(("pre", "2m", "3m", "5m", "8m"), 1):
            case.score("site-a", ident(row["id"]), "measure", occasion, number(row[f"bdi_{name}"]))
    lab = case.night()
    rows = [
        ((f"{row['kind']}_{row['sg_crit3']}", ident(row["id"]), int(row["pre_occ"])), row)
        for row in read(BTHEB, "expected_intervals.csv")
    ]
    compare_intervals(compared, BTHEB, "intervals", lab, rows)
    rows = [
        ((f"sg_{row['sg_crit3']}", ident(row["id"]), int(row["sg_session_n"])), row)
        for row in read(BTHEB, "expected_bysg.csv")
    ]
    compare_gains(compared, BTHEB, "gains", lab, rows, "sg_bdi")


def test_sudden_drops_of_the_alliance(tmp_path: Path, compared: Compared) -> None:
    """Higher is better here: a drop is a loss. A rise meets criterion 2 of the package always, so it is left out."""
    name = "synthetic_alliance"
    rows = read(name, "expected_sudden_drop_intervals.csv")
    base = PACKAGE | {"cutoff": 6, "sessions": [1, 24], "occasion": "post_session", "percent_of_losses": True}
    rules = [
        base
        | {"id": f"{direction}_{percent}_{third}", "kind": "loss" if direction == "drop" else "gain"}
        | {"percent": 10 if (direction, percent) == ("drop", ".10") else None}
        | ({} if third == "TRUE" else {"alpha": None})
        for direction in ("drop", "rise")
        for percent in ("none", ".10")
        for third in ("TRUE", "FALSE")
    ]
    case = Case(tmp_path, {"measure": ("alliance", "higher")}, sudden_gains=rules)
    for row in read(name, "input.csv"):
        value = number(row["client_wai"])
        case.score(row["site_id"], row["client_id"], "measure", int(row["session"]), value, "post_session")
    found, empty = intervals(case.night()), dict.fromkeys(COLUMNS[3:])
    for ours, theirs in zip(COLUMNS[3:], ("crit1", "crit2", "crit3", "crit123"), strict=True):
        compared.same(
            name,
            f"sudden drops and rises: {ours}",
            (
                (key, number(row[theirs]), truth(found.get(key, empty)[ours]))
                for row in rows
                if ours != "meets_2" or row["direction"] == "drop"
                for rule in [f"{row['direction']}_{row['sg_crit2_pct']}_{row['sg_crit3']}"]
                for key in [(rule, row["client_id"], int(row["pre_session"]))]
            ),
        )
