"""The cookbook on a simulated study whose effects are known: each question runs, and finds what was put in."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
import sqlglot
from sqlglot import exp

from dyadlog.assets.simulation.recovery import therapist_icc
from dyadlog.assets.simulation.score import run_nights
from dyadlog.assets.simulation.simulate import Plan, simulate
from dyadlog.assets.simulation.truth import truth_table
from dyadlog.assets.warehouse.build import build_all
from dyadlog.orchestration import cli
from dyadlog.orchestration.query import connect
from dyadlog.orchestration.questions import page, questions
from dyadlog.schemas.marts import contracts
from dyadlog.schemas.simulation import Parameters
from tests.conftest import Lab, client, session

ROOT = Path(__file__).parents[1]
Row = dict[str, Any]


class Box:
    """A simulated study with faults after three nights."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        simulate(folder, Parameters(), Plan(7, 8, 500, 3, "realistic"))
        study, log = run_nights(folder)
        build_all(study, log)
        self.duck = connect(study)
        self.parameters = Parameters()

    def ask(self, number: int) -> list[Row]:
        result = self.duck.execute(questions()[number].sql)
        names = [column[0] for column in result.description or []]
        return [dict(zip(names, row, strict=True)) for row in result.fetchall()]

    def truth(self, name: str) -> pl.DataFrame:
        return truth_table(self.folder, name)


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made = Box(tmp_path_factory.mktemp("questions"))
    yield made
    made.duck.close()


def one(rows: list[Row], **same: object) -> Row:
    (row,) = [row for row in rows if all(row[name] == value for name, value in same.items())]
    return row


def share(logit: float) -> float:
    return 1 / (1 + math.exp(-logit))


def test_there_are_all_of_them() -> None:
    assert list(questions()) == list(range(1, 33))
    assert len({question.question for question in questions().values()}) == 32


@pytest.mark.parametrize("number", range(1, 33))
def test_a_question_is_one_select_on_published_tables_and_has_an_answer(box: Box, number: int) -> None:
    question = questions()[number]
    (tree,) = sqlglot.parse(question.sql, dialect="duckdb")
    assert isinstance(tree, exp.Select)
    assert tree.args.get("order"), "rows in no order"
    tables = {f"{table.db}.{table.name}" for table in tree.find_all(exp.Table) if table.db}
    assert tables <= set(contracts())
    assert question.question.endswith("?") or number == 25
    assert box.ask(number)


# --- alliance and outcome ---------------------------------------------------------------------


def test_early_alliance_goes_with_improvement(box: Box) -> None:
    row = one(box.ask(1), outcome="phq-9", early="s1_2", site="all sites")
    assert 0 < row["low"] < row["r_gain"] < row["high"]


def test_clients_rating_predicts_better_than_the_therapists_which_follows_it_half(box: Box) -> None:
    row = one(box.ask(2), outcome="phq-9")
    assert row["r_client"] > row["r_therapist"]
    assert row["z"] > 0


def test_poor_early_ratings_precede_leaving(box: Box) -> None:
    assert box.parameters.number("dropout.of_early_alliance") > 0
    thirds = [row["share"] for row in box.ask(3) if row["definition"] == "unilateral"]
    assert thirds[0] > thirds[2]


def test_nothing_depends_on_the_approach(box: Box) -> None:
    rows = [row for row in box.ask(4) if row["outcome"] == "phq-9"]
    assert {row["treatment_modality"] for row in rows} == set(box.parameters.named("client.approach"))
    assert max(row["low"] for row in rows) < min(row["high"] for row in rows)


def test_therapists_rate_lower_and_follow_the_clients_sessions(box: Box) -> None:
    row = one(box.ask(5), site="all sites")
    assert box.parameters.number("therapist_rating.bias") < 0 > row["mean_difference"]
    assert row["mean_r"] > 0.1
    assert all(row["therapist_higher"] < 0.5 for row in box.ask(6))


def test_who_is_listed_without_an_alliance_has_a_low_rating_or_an_open_rupture(box: Box) -> None:
    rows = box.ask(7)
    assert all(row["last_early"] < row["threshold"] or row["n_unrepaired"] > 0 for row in rows)


def test_without_codes_of_work_nothing_is_compared(box: Box) -> None:
    assert {(row["n_work"], row["n_both"], row["median_difference"]) for row in box.ask(8)} == {(0, 0, None)}


def test_share_of_variance_between_therapists(box: Box) -> None:
    held = box.truth("session").filter(status="held")
    client = held.group_by("client_id", "therapist_id").agg(pl.col("alliance").mean())
    client = client.filter(pl.len().over("therapist_id") > 1)
    group = client["therapist_id"].rank("dense").cast(pl.Int64).to_numpy() - 1
    true, se = therapist_icc(group, client["alliance"].to_numpy())
    row = one(box.ask(22), site="all sites", quantity="alliance", rater="client", rule_id="anova_therapist")
    assert abs(row["icc"] - true) < 2 * se
    reml = one(box.ask(22), site="all sites", quantity="alliance", rater="client", rule_id="reml_therapist")
    assert abs(reml["icc"] - row["icc"]) < 0.05


def test_experience_is_flat(box: Box) -> None:
    rows = [row for row in box.ask(19) if row["training_level"] == "all"]
    assert all(abs(row["r_years"]) < 2.5 / math.sqrt(row["n_therapists"]) for row in rows)


def test_a_better_session_than_usual_is_followed_by_fewer_symptoms(box: Box) -> None:
    assert box.parameters.number("symptoms.of_within_alliance") > 0
    assert all(row["slope"] > 2 * row["se"] for row in box.ask(30))


def test_countertransference_lowers_the_next_session(box: Box) -> None:
    found = {row["code"]: row["next_within"] for row in box.ask(23)}
    worst = min(found, key=lambda code: found[code])
    assert worst == "under_involved"
    assert found["under_involved"] < found["none"]


def test_rituals_have_rows_with_and_without(box: Box) -> None:
    seen = {(row["phase"], row["is_observed"]): row["n_sessions"] for row in box.ask(24)}
    assert set(seen) == {(phase, there) for phase in ("opening", "closing") for there in (True, False)}
    for phase in ("opening", "closing"):
        expected = box.parameters.number(f"ritual.{phase}_clients") * box.parameters.number("ritual.sessions")
        found = seen[phase, True] / (seen[phase, True] + seen[phase, False])
        assert abs(found - expected) < 0.1


def test_forms_are_missing_more_often_on_the_telephone(box: Box) -> None:
    found = {row["format"]: row for row in box.ask(25)}
    assert found["phone"]["form_missing"] > found["in_person"]["form_missing"]
    assert sum(row["n_sessions"] for row in found.values()) == box.duck.sql(
        "select count(*) from marts.session where status = 'held'"
    ).fetchall()[0][0]  # fmt: skip


def test_feedback_is_shown_in_its_arm_only(box: Box) -> None:
    rows = box.ask(26)
    assert {row["arm"] for row in rows} == {"standard", "feedback"}
    assert all((row["feedback_shown"] > 0.5) == (row["arm"] == "feedback") for row in rows)


# --- ruptures ---------------------------------------------------------------------------------


def test_stricter_rules_find_fewer_ruptures(box: Box) -> None:
    found = {(row["rule_id"], row["source"]): row["n_ruptures"] for row in box.ask(9)}
    for source in ("client", "therapist"):
        chart = [
            found[f"chart_k{k}", source] for k in ("1", "1.5", "2", "3") if (f"chart_k{k}", source) in found
        ]
        assert len(chart) > 2
        assert chart == sorted(chart, reverse=True)
        assert found["drop_own_sd_k1", source] > found["drop_own_sd_k2", source]


def seen(box: Box, rater: str, years: float = 10.0) -> tuple[float, float, float]:
    """Share of held sessions in rupture, and how often a rater reports one of these and one of the others."""
    in_rupture = float(box.truth("session").filter(status="held")["in_rupture"].mean())  # type: ignore[arg-type]
    p = box.parameters
    of_experience = p.number("report.of_experience") if rater == "therapist" else 0.0
    sees = share(p.number(f"report.{rater}_logit") + of_experience * (years - 10) / 10)
    return in_rupture, sees, p.number("report.false_share")


@pytest.mark.parametrize("rater", ["client", "therapist"])
def test_reports_come_as_often_as_they_were_made(box: Box, rater: str) -> None:
    in_rupture, sees, imagines = seen(box, rater)
    (row,) = (r for r in box.ask(9) if r["rule_id"].startswith("reported") and r["source"] == rater)
    expected = in_rupture * sees + (1 - in_rupture) * imagines
    assert row["per_ten_sessions"] / 10 == pytest.approx(expected, rel=0.15)


def test_every_rupture_has_one_end(box: Box) -> None:
    for row in box.ask(10):
        assert row["repaired"] + row["unrepaired"] + row["censored"] == pytest.approx(1)


def test_reports_of_both_agree_more_than_chance(box: Box) -> None:
    rows = [
        row
        for row in box.ask(11)
        if row["rule_id"] == row["other_rule_id"] and row["rule_id"].startswith("reported")
    ]
    assert [(row["source"], row["other_source"]) for row in rows] == [("client", "therapist")]
    assert rows[0]["kappa"] > 0.2
    assert all(
        row["n_both"] + row["n_first_only"] + row["n_other_only"] + row["n_neither"] == row["n"]
        for row in box.ask(11)
    )


def test_therapists_recognise_what_they_recognise(box: Box) -> None:
    in_rupture, sees, imagines = seen(box, "client")
    _, recognises, _ = seen(box, "therapist")
    true, false = in_rupture * sees, (1 - in_rupture) * imagines
    expected = (true * recognises + false * imagines) / (true + false)
    row = one(box.ask(12), site="all sites")
    assert row["low"] < expected < row["high"]


def test_experience_bands_cover_all_therapists_with_a_report(box: Box) -> None:
    rows = box.ask(21)
    assert [row["years"] for row in rows] == ["below 3", "3 to 9", "10 and more"]
    ((n,),) = box.duck.execute(
        "select count(*) from marts.therapist where years_experience is not null"
    ).fetchall()
    assert sum(row["n_therapists"] for row in rows) == n


def test_each_band_of_experience_recognises_as_much_as_its_years_say(box: Box) -> None:
    in_rupture, sees, imagines = seen(box, "client")
    true, false = in_rupture * sees, (1 - in_rupture) * imagines
    for row, years in zip(box.ask(21), ("< 3", "between 3 and 9", ">= 10"), strict=True):
        ((mean,),) = box.duck.execute(
            f"select avg(years_experience) from marts.therapist where years_experience {years}"
        ).fetchall()
        recognises = seen(box, "therapist", mean)[1]
        expected = (true * recognises + false * imagines) / (true + false)
        error = math.sqrt(expected * (1 - expected) / row["n_reported"])
        assert abs(row["recognised"] - expected) < 2.5 * error, row["years"]


def test_withdrawal_is_the_more_frequent_marker(box: Box) -> None:
    found = {row["family"]: row for row in box.ask(13)}
    assert found["withdrawal"]["per_hour_stayed"] > found["confrontation"]["per_hour_stayed"]


# --- interviews -------------------------------------------------------------------------------


def test_interviews_that_were_held_and_those_that_were_not(box: Box) -> None:
    rows = box.ask(17)
    parts = ("done", "declined", "lost", "planned", "missing", "not_due")
    assert all(row["n"] == sum(row[part] for part in parts) for row in rows)
    asked = [str(site) for site in box.truth("interview")["site_id"].unique()]
    assert {row["site_id"] for row in rows} <= set(asked)
    done = len(box.truth("interview").filter(status="done"))
    assert 0.85 * done <= sum(row["done"] for row in rows) <= done


def test_a_dyad_without_a_coded_interview_is_empty_and_not_zero(box: Box) -> None:
    rows = box.ask(14)
    coded = {
        tuple(key)
        for key in box.duck.sql(
            "select distinct client_id, perspective, session_number from marts.recall_code"
        ).fetchall()
    }
    for row in rows:
        for number in (3, 5):
            assert (row[f"session_{number}"] is None) == (
                (row["client_id"], row["perspective"], number) not in coded
            )


def test_frail_and_steady_dyads_are_all_with_both_interviews(box: Box) -> None:
    assert {row["dyads"] for row in box.ask(15)} <= {"frail", "steady"}
    assert all(row["rise"] == pytest.approx(row["session_5"] - row["session_3"]) for row in box.ask(15))


def test_rates_of_interviewers_add_up(box: Box) -> None:
    ((passages,),) = box.duck.sql(
        "select sum(n_passages) from marts.recall_code where minutes > 0"
    ).fetchall()
    rows = box.ask(18)
    assert sum(row["passages"] for row in rows) == passages
    # Interviewers do not differ in the simulation: no ratio is further from 1 than two counts by chance.
    for row in rows:
        others = [
            r for r in rows if (r["site_id"], r["code"]) == (row["site_id"], row["code"]) and r is not row
        ]
        counts = row["passages"], sum(r["passages"] for r in others)
        if min(counts) > 4:
            assert abs(math.log(row["ratio"])) < 3.5 * math.sqrt(1 / counts[0] + 1 / counts[1]), row


def test_sessions_with_the_therapists_task_far_above_the_clients(box: Box) -> None:
    rows = box.ask(16)
    assert [row["difference"] for row in rows] == sorted((row["difference"] for row in rows), reverse=True)
    assert all(row["difference"] >= 1 for row in rows)


def test_thirds_of_interpersonal_problems(box: Box) -> None:
    sizes = [row["n_experienced"] + row["n_others"] for row in box.ask(20)]
    assert len(sizes) == 3
    assert max(sizes) - min(sizes) < 0.1 * sum(sizes)
    # Experience changes nothing of the level, in no third.
    ((sd,),) = box.duck.execute(
        "select stddev_samp(mean) from marts.alliance_dyad where rater = 'client' and scale = 'total'"
    ).fetchall()
    for row in box.ask(20):
        error = sd * math.sqrt(1 / row["n_experienced"] + 1 / row["n_others"])
        assert abs(row["difference"]) < 2.5 * error


# --- outcome, staying, data -------------------------------------------------------------------


def test_treatment_helps_at_every_site_of_some_size(box: Box) -> None:
    rows = [row for row in box.ask(27) if row["instrument"] == "phq-9" and row["n_pairs"] > 30]
    assert rows
    assert all(row["effect"] > 0 for row in rows)


def test_sudden_gains_are_rare_and_large(box: Box) -> None:
    (row,) = box.ask(28)
    assert 0 < row["n_gains"] < 0.05 * row["n_intervals"]
    assert row["mean_size"] >= 6  # the least change that the rule calls one


def test_unilateral_endings_are_those_of_clients_who_left(box: Box) -> None:
    rows = {row["definition"]: row for row in box.ask(29)}
    assert all(row[f"and_{name}"] == row["n_dropped"] for name, row in rows.items())
    truly = float(box.truth("client")["left_early"].mean())  # type: ignore[arg-type]
    assert rows["unilateral"]["share"] == pytest.approx(truly, abs=0.03)
    assert rows["off_protocol"]["n_judged"] == 0


def test_corrections_are_those_that_were_planted(box: Box) -> None:
    rows = box.ask(31)
    for kind, fault in (("corrected", "correction"), ("retracted", "retraction")):
        planted = len(box.truth("fault").filter(fault=fault))
        assert sum(row["n_facts"] for row in rows if row["kind"] == kind) == planted > 0
    assert any(row["kind"] == "late" and row["most_sessions_late"] > 0 for row in rows)
    assert [row["received_on"] for row in rows] == sorted((row["received_on"] for row in rows), reverse=True)


def test_the_panel_has_every_site_and_shares_within_bounds(box: Box) -> None:
    rows = box.ask(32)
    assert [row["site_id"] for row in rows] == [f"site-{n:02d}" for n in range(1, 9)]
    for row in rows:
        for name in ("missing", "late", "long_run", "copied", "duplicate", "held_back"):
            assert 0 <= row[name] < 1
        assert (row["icc_1"] is None) == (row["alpha"] is None)
    assert any(row["kappa"] is not None and row["n_double"] > 5 for row in rows)


def test_the_coder_who_drifts_stands_out(box: Box) -> None:
    planted = box.truth("fault").filter(fault="coder_drift")["subject"].to_list()
    ((coder, scheme),) = box.duck.sql(
        "select coder_id, scheme from marts.coder_drift where level = 'all' and n_sessions >= 5 order by difference desc limit 1"
    ).fetchall()
    assert [f"{coder} {scheme}"] == planted


# --- the command and the page -----------------------------------------------------------------


def test_the_page_is_up_to_date() -> None:
    told = page()
    assert (ROOT / "docs/questions.md").read_text("utf-8") == told, "run `make docs`"
    assert not re.search(r"\b(nan|inf)\b", told)


def test_questions_are_listed_and_asked(lab: Lab, dyadlog) -> None:  # type: ignore[no-untyped-def]
    listed = dyadlog("ask")
    assert listed.code == 0
    assert re.search(r"^29  Who dropped out", listed.out, re.MULTILINE)
    early = dyadlog("ask", 29, "-s", lab.folder)
    assert early.code == cli.MISTAKE
    assert "no marts yet" in early.err
    lab.drop("site-a", "1.ndjson", [client(), session(1)])
    lab.night()
    told = dyadlog("ask", 29, "-s", lab.folder)
    assert told.code == 0, told.err
    assert "29. Who dropped out" in told.out
    assert "missed_last" in told.out
    assert "Reading: One row per definition" in " ".join(told.out.split())
    plain = dyadlog("ask", 29, "-s", lab.folder, "--csv")
    assert plain.out.startswith("definition,n_judged,n_dropped,share,")
    assert len(plain.out.splitlines()) == 6
    unknown = dyadlog("ask", 33, "-s", lab.folder)
    assert unknown.code == cli.MISTAKE
    assert "there is no question 33; `dyadlog ask` lists 1 to 32" in unknown.err


def test_a_study_with_nothing_in_it_gets_answers_too(lab: Lab) -> None:
    lab.night()
    with connect(lab.study) as duck:
        for question in questions().values():
            assert isinstance(duck, duckdb.DuckDBPyConnection)
            assert duck.execute(question.sql).fetchall() is not None, question.number
