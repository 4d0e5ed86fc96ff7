"""Kaplan-Meier tables against R's survival package."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reference.case import Case, Compared, ident, needs_reference, number, read

pytestmark = needs_reference

KM = "dropout_kaplan_meier"


def input_rows(dataset: str) -> list[tuple[str, str, int, bool]]:
    """(client, group, time, dropped out)."""
    if dataset == "btheb_last_seen":
        rows = read(KM, f"input_{dataset}.csv")
        return [
            (ident(r["id"]), ident(r["treatment"]), int(float(r["months"])), r["dropped"] == "1")
            for r in rows
        ]
    rows = read(KM, f"input_{dataset}.csv")
    return [(ident(r["id"]), ident(r["group"]), int(r["time"]), r["event"] == "1") for r in rows]


@pytest.mark.parametrize("dataset", ["gehan", "lung", "btheb_last_seen"])
def test_survival_to_dropout(dataset: str, tmp_path: Path, compared: Compared) -> None:
    case = Case(tmp_path, {"measure": ("outcome", "lower")})
    for client, group, time, dropped in input_rows(dataset):
        case.held(group, client, time)
        if dropped:
            end = {"initiator": "client", "reason": "no_contact", "planned": False}
            case.add(
                group,
                {
                    "event_id": f"end-{client}",
                    "event_type": "treatment.ended",
                    "client_id": client,
                    "payload": end,
                },
            )
    lab = case.night()
    names = ("n_risk", "n_event", "n_censored", "survival", "se", "low", "high")
    theirs = ("n_risk", "n_event", "n_censor", "survival", "se_greenwood", "lower_plain", "upper_plain")
    found = {
        (group, session): dict(zip(names, values, strict=True))
        for group, session, *values in lab.rows(
            f"select site_id, session_number, {', '.join(names)} from marts.survival where rule_id = 'unilateral'"
        )
    }
    expected = {
        (ident(row["group"]), int(float(row["time"]))): row
        for row in read(KM, "expected_km.csv")
        if row["dataset"] == dataset
    }
    assert set(found) == set(expected)
    for ours, name in zip(names, theirs, strict=True):
        compared.same(
            KM,
            f"{dataset}: {ours}",
            (
                (
                    key,
                    None if row[name] in ("", "NaN", "NA") else float(row[name]),
                    None if value is None else float(value),
                )
                for key, row in expected.items()
                for value in [found[key][ours]]
            ),
        )
    medians = dict(
        lab.rows(
            "select site_id, session_number from marts.survival where rule_id = 'unilateral' and is_median"
        )
    )
    compared.same(
        KM,
        f"{dataset}: median",
        (
            (row["group"], number(row["median"]), None if value is None else float(value))
            for row in read(KM, "expected_median.csv")
            if row["dataset"] == dataset
            for value in [medians.get(ident(row["group"]))]
        ),
    )
