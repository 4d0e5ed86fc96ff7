"""What the models start from: the log and the study's constants, as DuckDB tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb
import polars as pl

from dyadlog.assets.event_log import segment
from dyadlog.assets.event_log.records import Commit
from dyadlog.assets.event_log.storage import Storage
from dyadlog.schemas.codes import codes
from dyadlog.schemas.study import Every, Measure, Study

TOTAL = "total"


def load_log(duck: duckdb.DuckDBPyConnection, storage: Storage, commits: Sequence[Commit]) -> None:
    """Make `log.commit`, `log.remark` (one row per code and field of a receipt) and the view `log.fact`."""
    duck.execute("create schema log")
    rows = [
        {
            "commit_seq": c.seq,
            "kind": c.kind,
            "received_at": c.received_at,
            "delivery_id": c.receipt.delivery_id,
            **{
                name: getattr(c.receipt, name)
                for name in ("site_id", "file_name", "file_bytes", "file_sha256")
                + ("lines", "facts", "accepted", "duplicate", "held_back")
            },
        }
        for c in commits
    ]
    text, number = pl.String, pl.Int64
    _table(
        duck,
        "log.commit",
        rows,
        {"commit_seq": number, "kind": text, "received_at": text, "delivery_id": text}
        | {"site_id": text, "file_name": text, "file_bytes": number, "file_sha256": text}
        | dict.fromkeys(("lines", "facts", "accepted", "duplicate", "held_back"), number),
    )
    remarks = []
    for c in commits:
        named = {name.split("@")[0] for name in c.receipt.fields}
        told = [(*name.split("@"), n) for name, n in c.receipt.fields.items()]
        told += [(code, "", n) for code, n in c.receipt.codes.items() if code not in named]
        remarks += [
            {"site_id": c.receipt.site_id, "commit_seq": c.seq, "code": code, "field": where, "n": n}
            for code, where, n in told
        ]
    _table(
        duck,
        "log.remark",
        remarks,
        {"site_id": text, "commit_seq": number, "code": text, "field": text, "n": number},
    )
    files = [(storage.locate(s.name), c.seq) for c in commits for s in c.segments]
    _table(
        duck,
        "log.segment",
        [{"file": file, "commit_seq": seq} for file, seq in files],
        {"file": text, "commit_seq": number},
    )
    if not files:
        _table(duck, "log.fact", [], {**segment.SCHEMA, "commit_seq": number})
        return
    duck.execute(
        "create view log.fact as select fact.* exclude (filename), segment.commit_seq "
        f"from read_parquet({[file for file, _ in files]!r}, filename = true) as fact "
        "inner join log.segment as segment on fact.filename = segment.file"
    )


def load_study(duck: duckdb.DuckDBPyConnection, study: Study) -> None:
    """Make the constants: `study.site`, `measure`, `form`, `form_item`, `form_scale`, `form_scale_item`,
    `threshold` and `code`.
    """
    duck.execute("create schema study")
    text, number, flag = pl.String, pl.Int32, pl.Boolean
    _table(duck, "study.site", [{"site_id": name} for name in study.site_ids], {"site_id": text})
    _table(
        duck,
        "study.measure",
        [_measure(measure) for measure in study.protocol.measures],
        dict.fromkeys(("measure_id", "instrument", "version", "rater", "occasion", "role"), text)
        | {"due_all": flag, "due_every": number, "due_start": number, "due_sessions": pl.List(pl.Int64)},
    )
    forms, items, scales, scale_items = [], [], [], []
    for name, instrument in sorted(study.instruments.items()):
        for version, form in instrument.versions.items():
            key = {"instrument": name, "version": version}
            sign = 1 if instrument.direction == "higher_is_better" else -1
            forms.append(
                {**key, "domain": instrument.domain, "improvement_sign": sign}
                | {"answer_min": form.min, "answer_max": form.max}
            )
            items += [
                {**key, "item": item, "is_reversed": item in form.reversed}
                | {"answer_min": form.min, "answer_max": form.max}
                for item in form.items
            ]
            for scale, members in {TOTAL: form.items, **form.subscales}.items():
                limit = form.max_missing.total if scale == TOTAL else form.max_missing.subscale
                scales.append(
                    {**key, "scale": scale, "n_items": len(members), "max_missing": limit}
                    | {"missing_rule": form.missing_rule, "aggregate": form.score}
                )
                scale_items += [{**key, "scale": scale, "item": item} for item in members]
    name_of = {"instrument": text, "version": text}
    ends = {"answer_min": pl.Float64, "answer_max": pl.Float64}
    _table(duck, "study.form", forms, {**name_of, "domain": text, "improvement_sign": number, **ends})
    _table(duck, "study.form_item", items, {**name_of, "item": text, "is_reversed": flag, **ends})
    for table in ("study.form", "study.form_item"):
        for column in ends:
            duck.execute(f"alter table {table} alter {column} type decimal(12, 6)")
    _table(
        duck,
        "study.form_scale",
        scales,
        {
            **name_of,
            "scale": text,
            "n_items": number,
            "max_missing": number,
            "missing_rule": text,
            "aggregate": text,
        },
    )
    _table(duck, "study.form_scale_item", scale_items, {**name_of, "scale": text, "item": text})
    thresholds = study.protocol.thresholds
    duck.execute(
        "create table study.threshold as select $k::varchar as rupture_drop_k, $n::integer as rupture_min_ratings, "
        "$warn::double as completeness_warn, $least::integer as completeness_min_expected",
        {
            "k": f"{thresholds.rupture_drop_k:g}",
            "n": thresholds.rupture_min_ratings,
            "warn": thresholds.completeness_warn,
            "least": thresholds.completeness_min_expected,
        },
    )
    _table(
        duck,
        "study.code",
        [
            {"code": name, "scope": code.scope, "kahn": code.kahn, "severity": code.severity}
            for name, code in codes().items()
        ],
        {"code": text, "scope": text, "kahn": text, "severity": text},
    )


def _measure(measure: Measure) -> dict[str, Any]:
    due = measure.sessions
    every = due if isinstance(due, Every) else None
    return {
        "measure_id": measure.id,
        "instrument": measure.instrument,
        "version": measure.version,
        "rater": measure.rater,
        "occasion": measure.occasion,
        "role": measure.role,
        "due_all": due == "all",
        "due_every": every.every if every else None,
        "due_start": every.start if every else None,
        "due_sessions": list(due) if isinstance(due, tuple) else [],
    }


def _table(
    duck: duckdb.DuckDBPyConnection,
    name: str,
    rows: list[dict[str, Any]],
    schema: dict[str, Any],
) -> None:
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    duck.register("rows_to_load", frame.to_arrow())
    duck.execute(f"create table {name} as select * from rows_to_load")
    duck.unregister("rows_to_load")
