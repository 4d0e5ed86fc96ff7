"""Agreement of coders against irr 0.84.1, psych 2.2.9 and krippendorff 0.9.0, as codings of sessions."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from tests.conftest import Lab
from tests.reference.case import CLOSED_FORM, Case, Compared, needs_reference, number, read

pytestmark = needs_reference

IRR, ALPHA, PSYCH = "agreement_irr", "agreement_krippendorff", "agreement_psych_icc"
# dataset -> case, file, and how a value is told: so many segments with a code, or as the rating of the pass
DATA = {
    "anxiety": (IRR, "input_anxiety.csv", "count"),
    "video": (IRR, "input_video.csv", "count"),
    "diagnoses": (IRR, "input_diagnoses.csv", "rating"),
    "vision": (IRR, "input_vision.csv", "rating"),
    "krippendorff": (ALPHA, "input.csv", "rating"),
    "judges": (PSYCH, "input.csv", "count"),
    "judges_missing": (PSYCH, "input_missing.csv", "count"),
}
Key = tuple[str, str | None, str]  # dataset, second coder of a pair or None, statistic
Found = dict[tuple[str, str | None, str | None, str], tuple[Any, ...]]


def table(dataset: str) -> tuple[list[str], list[list[int | None]]]:
    """Coders, and the values of each unit; labels as their places in the sorted list of labels."""
    case, file, _ = DATA[dataset]
    rows = read(case, file)
    if dataset == "krippendorff":
        units = [name for name in rows[0] if name != "coder"]
        coders = [row["coder"] for row in rows]
        return coders, [[whole(row[unit]) for row in rows] for unit in units]
    coders = [name for name in rows[0] if name != "subject"]
    texts = [[row[coder] for coder in coders] for row in rows]
    labels = sorted({text for row in texts for text in row if not text.isdigit() and text not in ("", "NA")})
    return coders, [
        [labels.index(text) + 1 if text in labels else whole(text) for text in row] for row in texts
    ]


def whole(text: str) -> int | None:
    value = number(text)
    return None if value is None else int(value)


def ident(coder: str) -> str:
    return coder.replace("_", "-")


def tell(case: Case, dataset: str) -> None:
    """Sessions of a few clients, each coded by everybody who has a value for it."""
    site = dataset.replace("_", "-")
    how = DATA[dataset][2]
    coders, units = table(dataset)
    for unit, values in enumerate(units, 1):
        client, session = f"c{unit // 1000}", unit % 1000 + 1
        case.held(site, client, session)
        for coder, value in zip(coders, values, strict=True):
            if value is None:
                continue
            role = "primary" if coder == coders[0] else "reliability"
            base = {"client_id": client, "session_number": session, "actor_id": ident(coder)}
            said: dict[str, Any] = {"scheme": "case", "coding_role": role}
            given = said | ({"extent_resolved": value} if how == "rating" else {})
            name = f"{unit}-{ident(coder)}"
            case.add(site, base | {"event_id": f"p{name}", "event_type": "coding.pass", "payload": given})
            codes = ["marker"] * value if how == "count" else []
            if dataset == "diagnoses":
                codes = [f"category-{value}"]
            for nth, code in enumerate(codes):
                event = {"event_id": f"s{name}-{nth}", "event_type": "coding.segment"}
                case.add(site, base | event | {"payload": said | {"code": code, "start_second": nth}})


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    case = Case(tmp_path_factory.mktemp("agreement"), {})
    for dataset in DATA:
        tell(case, dataset)
    return case.night()


@pytest.fixture(scope="module")
def found(lab: Lab) -> Found:
    rows = lab.rows(
        "select replace(site_id, '-', '_'), coder_id, other_coder_id, rule_id, value, lower, upper, n_units, n_coders "
        "from marts.coder_agreement where measure = case site_id when 'diagnoses' then 'rating' when 'vision' then 'rating' "
        "when 'krippendorff' then 'rating' else 'count' end and level in ('session', 'code')"
    )
    return {(site, one, other, rule): tuple(values) for site, one, other, rule, *values in rows}


KAPPAS = {
    "cohen_kappa_unweighted": "kappa",
    "cohen_kappa_equal(linear)": "kappa_linear",
    "cohen_kappa_squared(quadratic)": "kappa_quadratic",
    "percent_agreement_tol0": "agreement",
    "percent_agreement_all_tol0": "agreement",
    "fleiss_kappa": "kappa_fleiss",
    "fleiss_kappa_exact(Conger)": "kappa_conger",
    "light_kappa": "kappa_light",
}


def test_kappas_are_those_of_irr(found: Found, compared: Compared) -> None:
    expected = [row for row in read(IRR, "expected_agreement.csv") if row["statistic"] in KAPPAS]
    for statistic, rule in KAPPAS.items():
        pairs = []
        for row in expected:
            if row["statistic"] != statistic:
                continue
            value = number(row["value"])
            assert value is not None
            coders = row["raters"].split("~") if "~" in row["raters"] else []
            one, other = sorted(map(ident, coders)) if coders else (None, None)
            mine, _, _, n, size = found[row["dataset"], one, other, rule]
            pairs += [
                ((row["dataset"], row["raters"]), value / (100 if rule == "agreement" else 1), mine),
                ((row["dataset"], "units"), number(row["n_subjects"]), float(n)),
                ((row["dataset"], "coders"), number(row["n_raters"]), float(size)),
            ]
        compared.same(IRR, statistic, pairs)


def test_kappa_of_each_category_is_that_of_its_presence(lab: Lab, compared: Compared) -> None:
    by_code = dict(
        lab.rows(
            "select code, value from marts.coder_agreement where site_id = 'diagnoses' and measure = 'presence' "
            "and level = 'code' and rule_id = 'kappa_fleiss' and coder_id is null"
        )
    )
    rows = read(IRR, "expected_fleiss_by_category_diagnoses.csv")
    compared.same(
        IRR,
        "fleiss by category",
        (
            (row["category"], number(row["kappa"]), by_code[f"category-{n}"])
            for n, row in enumerate(sorted(rows, key=lambda row: row["category"]), 1)
        ),
        tolerance=5.1e-4,
        note="the expected values have three decimals",
    )


NAMES = {
    ("oneway", "consistency"): "icc_1",
    ("twoway", "agreement"): "icc_2_1",
    ("twoway", "consistency"): "icc_3_1",
}
NAMES_OF_PSYCH = {"ICC1": "icc_1", "ICC2": "icc_2_1", "ICC3": "icc_3_1"}
NAMES_OF_PSYCH |= {"ICC1k": "icc_1_k", "ICC2k": "icc_2_k", "ICC3k": "icc_3_k"}


def test_iccs_and_their_limits(found: Found, compared: Compared) -> None:
    for row in read(IRR, "expected_icc.csv"):
        rule = NAMES[row["model"], row["type"]]
        if row["unit"] == "average":
            rule = f"{rule[:5]}_k"
        mine = found[row["dataset"], None, None, rule]
        # irr puts the coefficient of the mean where McGraw & Wong have k times that of one over n; psych, below, does not.
        slip = rule == "icc_2_k"
        names = ("icc",) if slip else ("icc", "lower95", "upper95")
        compared.same(
            IRR,
            f"{row['dataset']}: {row['icc_name']}",
            ((name, number(row[name]), value) for name, value in zip(names, mine, strict=False)),
            note="irr's limits of ICC(A,k) are not copied" if slip else "",
        )
    for dataset, file in (
        ("judges", "expected_icc_aov.csv"),
        ("judges_missing", "expected_icc_missing_listwise_aov.csv"),
    ):
        for row in read(PSYCH, file):
            # of incomplete data ICC(1) takes the sessions of the most frequent number of coders: here all four, as listwise
            theirs = [number(row[name]) for name in ("ICC", "lower_bound", "upper_bound")]
            mine = found[dataset, None, None, NAMES_OF_PSYCH[row["type"]]]
            compared.same(PSYCH, f"{dataset}: {row['type']}", zip("vlu", theirs, mine[:3], strict=True))


def test_alpha_is_that_of_the_definition(found: Found, compared: Compared) -> None:
    datasets = {
        "krippendorff_12units": "krippendorff",
        "irr::anxiety": "anxiety",
        "irr::video": "video",
        "irr::diagnoses": "diagnoses",
        "irr::anxiety_2raters": "anxiety",
    }
    pairs = []
    for row in read(ALPHA, "expected_alpha.csv"):
        two = ("rater1", "rater2") if row["dataset"].endswith("2raters") else (None, None)
        mine = found[datasets[row["dataset"]], *two, f"alpha_{row['metric']}"]
        pairs += [((row["dataset"], row["metric"]), number(row["alpha"]), mine[0])]
    compared.same(ALPHA, "alpha", pairs, note="column alpha; irr's own for complete data is not copied")
    shipped = {
        (row["dataset"], row["metric"]): number(row["alpha_irr_as_shipped"])
        for row in read(ALPHA, "expected_alpha.csv")
        if row["dataset"] == "irr::anxiety"
    }
    assert all(
        abs(found["anxiety", None, None, f"alpha_{metric}"][0] - (value or 0)) > 1e-3
        for (_, metric), value in shipped.items()
    )


def test_pairs_are_all_pairs(found: Found) -> None:
    for dataset in DATA:
        coders = sorted(map(ident, table(dataset)[0]))
        told = {(one, other) for site, one, other, _ in found if site == dataset and one is not None}
        assert told == set(itertools.combinations(coders, 2))


def test_incomplete_tables_say_what_they_rest_on(found: Found) -> None:
    assert found["judges_missing", None, None, "icc_2_1"][3:] == (4, 4)
    assert found["judges_missing", None, None, "alpha_interval"][3:] == (6, 4)
    assert CLOSED_FORM > 10**-10  # agreement.DIGITS
