"""Reliable change, cut-offs and categories against clinicalsignificance 3.0.0 and JTRCI 0.1.0."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import NormalDist
from typing import Any

import pytest

from tests.conftest import Lab
from tests.reference.case import REFERENCE, Case, Compared, flag, ident, needs_reference, number, read

pytestmark = needs_reference

SQL = ("JT", "GLN", "HLL", "EN", "NK", "HA")


@dataclass(frozen=True)
class Outcome:
    """How the package was called for one outcome (README of the case)."""

    case: str
    outcome: str
    columns: tuple[str, str, str]
    times: tuple[str, str]
    reliability: float
    functional: tuple[float, float]
    better: str
    group: str | None = None
    reliability_post: float | None = None
    file: str = "input.csv"


OUTCOMES = [
    Outcome(
        "clinsig_claus_2020",
        "bdi",
        ("id", "time", "bdi"),
        ("1", "4"),
        0.801,
        (7.69, 7.52),
        "lower",
        "treatment",
        0.9,
    ),
    Outcome(
        "clinsig_claus_2020",
        "who",
        ("id", "time", "who"),
        ("1", "4"),
        0.85,
        (17, 5),
        "higher",
        "treatment",
    ),
    Outcome(
        "clinsig_claus_2020",
        "hamd",
        ("id", "time", "hamd"),
        ("1", "4"),
        0.85,
        (3.2, 3.2),
        "lower",
        "treatment",
    ),
    Outcome(
        "clinsig_jacobson_1989",
        "das",
        ("subject", "time", "das"),
        ("pre", "post"),
        0.88,
        (114.8, 17.8),
        "higher",
    ),
    Outcome(
        "clinsig_jacobson_1989",
        "gds",
        ("subject", "time", "gds"),
        ("pre", "post"),
        0.83,
        (30, 12),
        "lower",
    ),
    Outcome(
        "clinsig_antidepressants",
        "mom_di",
        ("patient", "measurement", "mom_di"),
        ("Before", "After"),
        0.80,
        (15, 8),
        "lower",
        "condition",
    ),
    Outcome(
        "clinsig_anxiety",
        "anxiety",
        ("subject", "measurement", "anxiety"),
        ("0", "4"),
        0.715,
        (12, 6),
        "lower",
        "treatment",
    ),
    Outcome(
        "clinsig_anxiety",
        "anxiety_complete",
        ("subject", "measurement", "anxiety"),
        ("0", "4"),
        0.715,
        (12, 6),
        "lower",
        "treatment",
        file="input_complete.csv",
    ),
    Outcome(
        "clinsig_hechler_2014",
        "disability",
        ("patient", "measurement", "disability"),
        ("1", "2"),
        0.87,
        (20, 7),
        "lower",
    ),
    Outcome(
        "clinsig_columbo",
        "clearance_rate",
        ("detective_id", "time", "clearance_rate"),
        ("pre", "post"),
        0.85,
        (80, 8),
        "higher",
        "group",
    ),
    Outcome(
        "clinsig_garden_club",
        "gei_score",
        ("id", "time", "gei_score"),
        ("0", "1"),
        0.85,
        (15, 6),
        "lower",
        "group",
    ),
]
by_outcome = pytest.mark.parametrize("out", OUTCOMES, ids=lambda o: f"{o.case}-{o.outcome}")


def expected(out: Outcome, what: str) -> list[dict[str, str]]:
    return read(out.case, f"expected_{what}_{out.outcome}.csv")


def package_rules(out: Outcome) -> list[dict[str, Any]]:
    """One rule for every argument variant of the package that the case holds."""
    m0, s0 = out.functional
    base: dict[str, Any] = {"instrument": "measure", "version": "1", "pre": "intake", "post": "end"}
    figures = {"reliability": out.reliability, "functional_mean": m0, "functional_sd": s0}
    if out.reliability_post:
        figures["reliability_post"] = out.reliability_post
    rules = []
    alphas = sorted({float(row["alpha"]) for row in expected(out, "rci_individual")})
    for alpha in alphas:
        for method in SQL:
            tail = alpha if method == "HA" else alpha / 2
            shape = {"method": method.lower(), "critical": NormalDist().inv_cdf(1 - tail)}
            rules += [
                base
                | figures
                | shape
                | {
                    "id": f"{method}_{alpha:g}_{cut}",
                    "preset": "clinicalsignificance_3_0_0" + ("_ha" if method == "HA" else ""),
                    "cutoff": cut,
                }
                for cut in "abc"
            ]
    shares = sorted({float(row["pct_improvement"]) for row in expected(out, "percentage_individual")})
    for share in shares:
        rules.append(
            base
            | {"id": f"percent_{share:g}", "preset": "percent", "percent": share * 100}
            | {"zero_is_infinite": True}
        )
    (mid,) = {float(row["mid"]) for row in expected(out, "anchor_individual")}
    anchor = base | {"points": mid, "cutoff": None, "at_cutoff": "neither"}
    rules.append(anchor | {"id": "anchor", "preset": "points"})
    rules.append(anchor | {"id": "anchor_of_package", "preset": "clinicalsignificance_3_0_0_anchor"})
    # The published definition of b beside the package's.
    jt = {"preset": "jacobson_truax", "critical": NormalDist().inv_cdf(0.975)}
    return [*rules, base | figures | jt | {"id": "published_b", "cutoff": "b"}]


@cache
def groups(out: Outcome) -> dict[str, str]:
    """Site by client: the package's `group`."""
    person = out.columns[0]
    rows = read(out.case, out.file)
    return {ident(row[person]): "s" + ident(row[out.group] if out.group else "all") for row in rows}


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Any:
    made: dict[Outcome, Lab] = {}

    def night(out: Outcome) -> Lab:
        if out not in made:
            folder = tmp_path_factory.mktemp("clinsig")
            case = Case(folder, {"measure": ("outcome", out.better)}, outcomes=package_rules(out))
            person, time, value = out.columns
            for row in read(out.case, out.file):
                when = {out.times[0]: "intake", out.times[1]: "end"}.get(row[time])
                name = ident(row[person])
                case.client(groups(out)[name], name)
                if when:
                    case.score(groups(out)[name], name, "measure", when, number(row[value]))
            made[out] = case.night()
        return made[out]

    return night


Rows = dict[tuple[str, str], dict[str, Any]]


def clients(lab: Lab) -> Rows:
    columns = [
        "rule_id",
        "client_id",
        "pre_score",
        "post_score",
        "change",
        "change_index",
        "percent_change",
        "category",
        "cutoff",
        "is_clinical_pre",
        "is_functional_post",
        "is_clinical_post",
        "post_index",
    ]
    rows = lab.rows(f"select {', '.join(columns)} from marts.outcome_client")
    return {(row[0], row[1]): dict(zip(columns, row, strict=True)) for row in rows}


def named(row: dict[str, str], *names: str) -> str:
    """The one category that the package marks as true."""
    (found,) = [name for name in names if row[name] == "TRUE"]
    return found


@by_outcome
def test_change_indices(out: Outcome, nights: Any, compared: Compared) -> None:
    found = clients(nights(out))
    rows = [row for row in expected(out, "rci_individual") if row["rci_method"] in SQL]
    keys = [(f"{r['rci_method']}_{float(r['alpha']):g}_c", ident(r["id"])) for r in rows]
    for ours, theirs in (
        ("change_index", "rci"),
        ("pre_score", "pre"),
        ("post_score", "post"),
        ("change", "change"),
    ):
        compared.same(
            out.case,
            f"{out.outcome}: {ours}",
            ((key, number(row[theirs]), found[key][ours]) for key, row in zip(keys, rows, strict=True)),
        )
    direction = {"recovered": "improved", "harmed": "deteriorated"}
    compared.same(
        out.case,
        f"{out.outcome}: reliable change",
        (
            (
                key,
                named(row, "improved", "unchanged", "deteriorated"),
                direction.get(found[key]["category"], found[key]["category"]),
            )
            for key, row in zip(keys, rows, strict=True)
        ),
    )


@by_outcome
def test_categories_and_cutoffs(out: Outcome, nights: Any, compared: Compared) -> None:
    found = clients(nights(out))
    rows = [row for row in expected(out, "combined_individual") if row["rci_method"] in SQL]
    keys = [(f"{r['rci_method']}_{float(r['alpha']):g}_{r['cutoff_type']}", ident(r["id"])) for r in rows]
    names = ("recovered", "improved", "unchanged", "deteriorated", "harmed")
    compared.same(
        out.case,
        f"{out.outcome}: category",
        ((key, named(row, *names), found[key]["category"]) for key, row in zip(keys, rows, strict=True)),
        note="package's rule (cut-off b from the clinical SD)",
    )
    compared.same(
        out.case,
        f"{out.outcome}: cut-off",
        ((key, number(row["cutoff"]), found[key]["cutoff"]) for key, row in zip(keys, rows, strict=True)),
    )


@by_outcome
def test_sides_of_the_cutoff(out: Outcome, nights: Any, compared: Compared) -> None:
    found = clients(nights(out))
    rows = expected(out, "cutoff_individual")
    for row in rows:
        # For HA the package says functional only of those who started on the clinical side.
        if row["cutoff_method"] == "HA" and row["clinical_pre"] == "FALSE":
            row["functional_post"] = ""
    for ours, theirs in (("is_clinical_pre", "clinical_pre"), ("is_functional_post", "functional_post")):
        compared.same(
            out.case,
            f"{out.outcome}: {ours}",
            (
                (key, flag(row[theirs]), found[key][ours])
                for row in rows
                if row[theirs]
                for key in [(f"{row['cutoff_method']}_0.05_{row['cutoff_type']}", ident(row["id"]))]
            ),
        )
    rows = [row for row in rows if row["cutoff_method"] == "HA"]
    for ours, theirs in (("post_index", "cs_indiv"), ("is_clinical_post", "clinical_post")):
        compared.same(
            out.case,
            f"{out.outcome}: HA {ours}",
            (
                (key, number(row[theirs]) if ours == "post_index" else flag(row[theirs]), found[key][ours])
                for row in rows
                # like functional_post, said of those only who could get to that side
                if ours == "post_index" or row["clinical_pre"] == "FALSE"
                for key in [(f"HA_0.05_{row['cutoff_type']}", ident(row["id"]))]
            ),
        )


@by_outcome
def test_parameters(out: Outcome, nights: Any, compared: Compared) -> None:
    names = {
        "critical_value": "critical_value",
        "n_used": "n_reference",
        "m_pre": "pre_mean",
        "sd_pre": "pre_sd",
        "m_post": "post_mean",
        "sd_post": "post_sd",
        "s_diff": "se_difference",
        "se_prediction": "se_prediction",
        "se_measurement": "se_measurement",
        "r_dd": "difference_reliability",
    }
    columns = sorted(set(names.values()))
    found = {
        row[0]: dict(zip(columns, row[1:], strict=True))
        for row in nights(out).rows(f"select rule_id, {', '.join(columns)} from marts.outcome_reference")
    }
    rows = [r for r in expected(out, "parameters") if r["rci_method"] in SQL and r["parameter"] in names]
    compared.same(
        out.case,
        f"{out.outcome}: parameters",
        (
            (
                (row["rci_method"], row["parameter"]),
                number(row["value"]),
                found[f"{row['rci_method']}_{float(row['alpha']):g}_c"][names[row["parameter"]]],
            )
            for row in rows
        ),
    )


@by_outcome
def test_percentage_and_points(out: Outcome, nights: Any, compared: Compared) -> None:
    found = clients(nights(out))
    rows = expected(out, "percentage_individual")
    keys = [(f"percent_{float(row['pct_improvement']):g}", ident(row["id"])) for row in rows]
    compared.same(
        out.case,
        f"{out.outcome}: per cent",
        (
            # The package divides zero by zero; no change is no change here.
            (
                key,
                0.0 if row["pct_change"] in ("NaN", "") else float(row["pct_change"]) * 100,
                found[key]["percent_change"],
            )
            for key, row in zip(keys, rows, strict=True)
        ),
    )
    names = ("improved", "unchanged", "deteriorated")
    compared.same(
        out.case,
        f"{out.outcome}: by per cent",
        ((key, named(row, *names), found[key]["category"]) for key, row in zip(keys, rows, strict=True)),
    )
    rows = expected(out, "anchor_individual")
    compared.same(
        out.case,
        f"{out.outcome}: by points",
        ((row["id"], named(row, *names), found["anchor", ident(row["id"])]["category"]) for row in rows),
    )


Counts = dict[tuple[str, str, str], int]


def counted(lab: Lab, category: str) -> Counts:
    """Clients by rule, site (the package's group) and category."""
    return {
        row[:-1]: row[-1]
        for row in lab.rows(
            f"select rule_id, site_id, {category} as category, count(*) from marts.outcome_client "
            "where category is not null group by all"
        )
    }


RELIABLE = (
    "case category when 'recovered' then 'improved' when 'harmed' then 'deteriorated' else category end"
)
CROSSED = (
    "case when is_clinical_pre and is_functional_post then 'improved' "
    "when not is_clinical_pre and is_clinical_post then 'deteriorated' when change is not null then 'unchanged' end"
)


@by_outcome
def test_counts_by_group(out: Outcome, nights: Any, compared: Compared) -> None:
    """Counts per category, group (here: site) and variant, with their share of all and of the group."""
    summaries = {
        "combined_summary": ("category", "{rci_method}_{alpha:g}_{cutoff_type}"),
        "rci_summary": (RELIABLE, "{rci_method}_{alpha:g}_c"),
        "cutoff_summary": (CROSSED, "{cutoff_method}_0.05_{cutoff_type}"),
        "percentage_summary": ("category", "percent_{pct_improvement:g}"),
        "anchor_summary": ("category", "anchor"),
    }
    for what, (category, rule_id) in summaries.items():
        found = counted(nights(out), category)
        rows = [row for row in expected(out, what) if row.get("rci_method", "JT") in SQL]
        pairs = []
        for row in rows:
            numbers = {name: float(row[name]) for name in ("alpha", "pct_improvement") if name in row}
            rule, site = rule_id.format(**row | numbers), "s" + ident(row.get("group", "all"))
            n = found.get((rule, site, row["category"].lower()), 0)
            everybody = sum(m for key, m in found.items() if key[0] == rule)
            group = sum(m for key, m in found.items() if key[:2] == (rule, site))
            pairs += [
                ((rule, site, row["category"]), number(row["n"]), float(n)),
                ((rule, site, "percent"), number(row["percent"]), round(n / everybody, 4)),
            ]
            if "percent_by_group" in row:
                pairs.append(((rule, site, "group"), number(row["percent_by_group"]), round(n / group, 4)))
        compared.same(
            out.case, f"{out.outcome}: {what}", pairs, tolerance=5.1e-5, note="shares of four digits"
        )


RELEVANCE = {
    "Statistically not significant": "not_significant",
    "Statistically significant but not clinically relevant": "below_points",
    "Not significantly less than the threshold": "maybe_relevant",
    "Not significantly greater than the threshold": "maybe_relevant",
    "Probably clinically significant effect": "probably_relevant",
    "Large clinically significant effect": "relevant",
}


@by_outcome
def test_groups_against_their_anchor(out: Outcome, nights: Any, compared: Compared) -> None:
    """Mean change of a group, its interval, and what the package calls it."""
    names = ("n", "difference", "lower", "upper", "category")
    sign = 1 if out.better == "higher" else -1
    low, high = ("low", "high") if sign > 0 else ("high", "low")
    found = {
        row[:2]: dict(zip(names, row[2:], strict=True))
        for row in nights(out).rows(
            f"select rule_id, site_id, n_pairs::double, {sign} * improvement_mean, {sign} * improvement_{low}, "
            f"{sign} * improvement_{high}, relevance from marts.site_outcome where rule_id like 'anchor%'"
        )
    }
    rows = expected(out, "anchor_group")
    site_of = {id(row): "s" + ident(row.get("group", "all")) for row in rows}
    for name in names:
        compared.same(
            out.case,
            f"{out.outcome}: group anchor {name}",
            (
                (
                    site_of[id(row)],
                    RELEVANCE[row[name]] if name == "category" else number(row[name]),
                    found["anchor_of_package", site_of[id(row)]][name],
                )
                for row in rows
            ),
            note="package's rule" if name == "category" else "",
        )
    # The definition of the same categories beside it: zero inside is not significant, whatever the direction.
    for row in rows:
        lower, upper = sorted((sign * float(row["lower"]), sign * float(row["upper"])))
        ours = found["anchor", site_of[id(row)]]["category"]
        assert (ours == "not_significant") == (lower <= 0 <= upper)
        assert (ours == "worse") == (upper < 0)


@by_outcome
def test_groups_by_hageman_and_arrindell(out: Outcome, nights: Any, compared: Compared) -> None:
    found = {
        row[:2]: {"Changed": row[2], "Functional": row[3]}
        for row in nights(out).rows(
            "select rule_id, site_id, changed_share, functional_share from marts.site_outcome"
        )
    }
    compared.same(
        out.case,
        f"{out.outcome}: HA group level",
        (
            (
                (key, row["category"]),
                number(row["percent"]),
                found[key][row["category"]],
            )
            for row in expected(out, "combined_group_level_HA")
            for key in [
                (f"HA_{float(row['alpha']):g}_{row['cutoff_type']}", "s" + ident(row.get("group", "all")))
            ]
        ),
    )


# --- JTRCI: the published definitions of the cut-offs ---------------------------------------------

JT1991 = "jtrci_jacobson_truax_1991"


def jtrci_rule(run: str, higher: bool) -> dict[str, Any]:
    m0 = 114.8 if higher else 200 - 114.8
    dysfunctional = 80 if higher else 120
    rule: dict[str, Any] = {
        "id": run,
        "preset": "jtrci_0_1_0",
        "instrument": "measure",
        "version": "1",
        "pre": "intake",
        "post": "end",
        "reliability": 0.88,
        "functional_mean": m0,
        "functional_sd": 17.8,
    }
    kinds = {"A_baseline": "a", "B": "b", "C": "c", "auto": "c", "auto_nonorm": "a"}
    if run == "A_dysfnorm":
        # Mean and SD of the norm for the dysfunctional: the cut-off is a number, mean + 2 SD towards health.
        return rule | {
            "cutoff": "published",
            "cutoff_value": dysfunctional + (24 if higher else -24),
        }
    return rule | {"cutoff": kinds[run]}


@pytest.mark.parametrize("higher", [True, False])
def test_jtrci(higher: bool, tmp_path: Path, compared: Compared) -> None:
    rows = [r for r in read(JT1991, "expected_jt_individual.csv") if flag(r["higher_is_better"]) == higher]
    rules = [jtrci_rule(run, higher) for run in sorted({row["run"] for row in rows})]
    strict = {"id": "published_b", "preset": "jacobson_truax", "cutoff": "b"}
    rules.append({**jtrci_rule("B", higher), **strict})
    case = Case(tmp_path, {"measure": ("outcome", "higher" if higher else "lower")}, outcomes=rules)
    for row in read(JT1991, "input.csv"):
        for when, value in (("intake", float(row["pre"])), ("end", float(row["post"]))):
            case.score("site-a", ident(row["ppid"]), "measure", when, value if higher else 200 - value)
    lab = case.night()
    found = clients(lab)
    keys = [(row["run"], ident(row["ppid"])) for row in rows]
    mirrored = "higher is better" if higher else "lower is better"
    for ours, theirs in (
        ("change", "change_abs"),
        ("change_index", "RCI"),
        ("cutoff", "critval"),
    ):
        compared.same(
            JT1991,
            f"{ours}, {mirrored}",
            ((key, number(row[theirs]), found[key][ours]) for key, row in zip(keys, rows, strict=True)),
        )
    compared.same(
        JT1991,
        f"category, {mirrored}",
        (
            (key, row["class_JTRCI"].replace(" ", "_"), found[key]["category"])
            for key, row in zip(keys, rows, strict=True)
        ),
    )
    counts = counted(lab, "category")
    compared.same(
        JT1991,
        f"summary, {mirrored}",
        (
            (row["run"], number(row["Freq"]), float(counts.get((row["run"], "site-a", named_class), 0)))
            for row in read(JT1991, "expected_jt_summary.csv")
            if flag(row["higher_is_better"]) == higher
            for named_class in [row["class"].replace(" ", "_")]
        ),
    )
    if higher:
        reliable = {"recovered": "improved"}
        verdicts = {"no reliable change": "unchanged"}
        for name, theirs in (("change", "change_abs"), ("change_index", "RCI"), ("category", "class_RCI")):
            compared.same(
                JT1991,
                f"RCI alone: {name}",
                (
                    (
                        row["ppid"],
                        verdicts.get(row[theirs], row[theirs].removeprefix("reliably "))
                        if name == "category"
                        else number(row[theirs]),
                        reliable.get(value, "unchanged" if value == "non_reliably_recovered" else value),
                    )
                    for row in read(JT1991, "expected_rci_individual.csv")
                    for value in [found["C", ident(row["ppid"])][name]]
                ),
            )
    ((cutoff, se, difference),) = lab.rows(
        "select cutoff, se_measurement, se_difference from marts.outcome_reference where rule_id = 'published_b'"
    )
    (row,) = [r for r in rows if r["run"] == "B"][:1]
    compared.same(
        JT1991,
        f"cut-off b as published, {mirrored}",
        [
            ("b", 79.2 if higher else 120.8, cutoff),
            ("error", number(row["SEmeasurement"]), se),
            ("difference", number(row["Sdiff"]), difference),
        ],
    )


def test_the_package_takes_cutoff_b_from_the_wrong_sd_and_the_publication_is_the_default(nights: Any) -> None:
    """91.15 in clinicalsignificance 3.0.0, 79.20 by Jacobson & Truax (1991): both stand side by side."""
    (das,) = [out for out in OUTCOMES if out.outcome == "das"]
    found = dict(nights(das).rows("select rule_id, round(cutoff, 2) from marts.outcome_reference"))
    assert (found["JT_0.05_b"], found["published_b"]) == (91.15, 79.2)


def test_all_cases_of_the_folder_are_here() -> None:
    folders = {path.name for path in REFERENCE.glob("clinsig_*")}
    assert folders == {out.case for out in OUTCOMES}
