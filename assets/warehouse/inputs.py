"""What the models start from: the log and the study's constants, as DuckDB tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import duckdb
import polars as pl

from dyadlog.assets.event_log import segment, upcast
from dyadlog.assets.event_log.log import EventLog
from dyadlog.assets.event_log.records import KINDS, Commit
from dyadlog.assets.event_log.rows import counts_sql, places, repeated_sql, rows_sql
from dyadlog.assets.event_log.standing import released, voided
from dyadlog.assets.warehouse import alliance_inputs, judging_inputs
from dyadlog.assets.warehouse.silence import silences
from dyadlog.schemas.codes import codes
from dyadlog.schemas.protocol import Every, Measure
from dyadlog.schemas.study import Study

Columns = Mapping[str, Any]

_FORM: Columns = {"instrument": pl.String, "version": pl.String}
_ENDS: Columns = {"answer_min": pl.Decimal(18, 12), "answer_max": pl.Decimal(18, 12)}
_RECEIPT_TEXTS = ("site_id", "file_name", "file_sha256", "verdict_digest")
_RECEIPT_NUMBERS = ("file_bytes", "lines", "facts", "accepted", "duplicate", "held_back")

_WHOLE_THRESHOLDS = (
    "rupture_min_ratings",
    "not_on_track_min",
    "completeness_min_expected",
    "keying_min_forms",
    "coder_drift_ratio",
    "coder_band_sessions",
    "coder_kappa_min",
    "client_twice_min",
    "shift_sessions",
    "shift_days",
    "quiet_days",
    "peers_min",
    "peers_sites",
)
_SHARES = ("completeness_warn", "coder_kappa_least", "score_jump", "shift_distance")
TABLES: dict[str, Columns] = {
    "log.commit": {
        "commit_seq": pl.Int64,
        "kind": pl.String,
        "received_at": pl.String,
        "delivery_id": pl.String,
    }
    | dict.fromkeys(_RECEIPT_TEXTS, pl.String)
    | dict.fromkeys((*_RECEIPT_NUMBERS, "released_accepted", "released_duplicate", "voided_in"), pl.Int64),
    "log.act": {"commit_seq": pl.Int64, "kind": pl.String, "received_at": pl.String, "delivery_id": pl.String}
    | dict.fromkeys(("site_id", "file_name", "done_by", "why"), pl.String)
    | dict.fromkeys(("about", "lines", "facts", "accepted", "duplicate", "held_back"), pl.Int64),
    "log.remark": {
        "site_id": pl.String,
        "commit_seq": pl.Int64,
        "code": pl.String,
        "field": pl.String,
        "n": pl.Int64,
    },
    "log.segment": {"file": pl.String, "part": pl.Int32, "commit_seq": pl.Int64},
    "log.erased": {"commit_seq": pl.Int64}
    | dict.fromkeys(("lines", "facts", "accepted", "duplicate", "held_back"), pl.Int64),
    "study.withdrawal": {"asked": pl.String, "honoured": pl.String},
    "log.fact": {**segment.SCHEMA, "commit_seq": pl.Int64},
    "study.site": {"site_id": pl.String},
    "study.setting": {"shared_therapist_ids": pl.Boolean},
    "study.interview": {"site_id": pl.String, "session_number": pl.Int64, "perspective": pl.String}
    | {"asked_only": pl.Boolean},
    "study.measure": dict.fromkeys(
        ("measure_id", "instrument", "version", "rater", "occasion", "role"), pl.String
    )
    | {
        "due_all": pl.Boolean,
        "due_every": pl.Int32,
        "due_start": pl.Int32,
        "due_sessions": pl.List(pl.Int64),
    },
    "study.form": {**_FORM, "domain": pl.String, "improvement_sign": pl.Int32, **_ENDS}
    | {"items": pl.List(pl.String), "long_run": pl.Int32},
    "study.form_item": {**_FORM, "item": pl.String, "is_reversed": pl.Boolean, **_ENDS},
    "study.form_scale": {**_FORM, "scale": pl.String, "n_items": pl.Int32, "max_missing": pl.Int32}
    | {
        "missing_rule": pl.String,
        "aggregate": pl.String,
        "items": pl.List(pl.String),
        "is_reversed": pl.List(pl.Boolean),
    },
    "study.form_scale_item": {**_FORM, "scale": pl.String, "item": pl.String},
    **judging_inputs.TABLES,
    **alliance_inputs.TABLES,
    "study.threshold": {"not_on_track_z": pl.String}
    | dict.fromkeys(_SHARES, pl.Float64)
    | dict.fromkeys(_WHOLE_THRESHOLDS, pl.Int32),
    "study.code": {"code": pl.String, "scope": pl.String, "kahn": pl.String, "severity": pl.String},
    "checks.expectation": {"site_id": pl.String, "code": pl.String, "subject": pl.String}
    | {"n_violated": pl.Int64, "n_denominator": pl.Int64, "verdict": pl.String},
    "checks.silence": {"site_id": pl.String, "n_violated": pl.Int64, "n_denominator": pl.Int64},
}


def load_log(duck: duckdb.DuckDBPyConnection, log: EventLog, commits: Sequence[Commit]) -> None:
    """Make the tables of the log.

    These are `log.commit`, `log.act`, `log.remark` (one row per code and field of a receipt), `log.erased` (what the log
    lacks of a receipt, because a person was erased) and the view `log.fact`.

    `log.commit` has the files with their receipts as they were given, `log.act` what was done to them later. Remarks
    about lines that were released are taken back.

    `log.fact` has every row that ever arrived, its payload in the newest version of its kind; accepted rows that count
    no longer, because their delivery was voided, have the status `voided`.
    """
    duck.execute("create schema log")
    gone, since = voided(commits), released(commits)
    _load(
        duck,
        "log.commit",
        [
            _told(c)
            | {name: getattr(c.receipt, name) for name in ("file_bytes", "file_sha256", "verdict_digest")}
            | dict(zip(("released_accepted", "released_duplicate"), since.get(c.seq, (0, 0)), strict=True))
            | {"voided_in": gone.get(c.seq)}
            for c in commits
            if KINDS[c.kind].is_file
        ],
    )
    acts = [
        _told(c) | {"about": c.act.commits[0], "done_by": c.act.by, "why": c.act.why}
        for c in commits
        if c.act and not c.change
    ]
    _load(duck, "log.act", acts)
    _load(duck, "log.remark", _remarks(commits))
    shown = {c.seq for c in commits}
    less = [vars(one) for c in log.layout.changes if c.change for one in c.change.less]
    _load(duck, "log.erased", [one | {"commit_seq": one["commit"]} for one in less if one["commit"] in shown])
    segments = places(log, commits)
    _load(duck, "log.segment", segments.to_dicts())
    if segments.is_empty():
        _load(duck, "log.fact", [])
        return
    duck.execute(f"create view log.arrived as {rows_sql(segments['file'], 'log.segment')}")
    now = upcast.newest()
    if gone:
        duck.execute(f"create table log.repeated as {repeated_sql('log.arrived', gone)}")
        counts = counts_sql("log.repeated", gone)
        now += f", case when status = 'accepted' and not {counts} then 'voided' else status end as status"
    duck.execute(f"create view log.fact as select * replace ({now}) from log.arrived")


def _told(commit: Commit) -> dict[str, Any]:
    """What both tables of commits say."""
    names = ("site_id", "file_name", "lines", "facts", "accepted", "duplicate", "held_back")
    return {
        "commit_seq": commit.seq,
        "kind": commit.kind,
        "received_at": commit.received_at,
        "delivery_id": commit.receipt.delivery_id,
    } | {name: getattr(commit.receipt, name) for name in names}


def _remarks(commits: Sequence[Commit]) -> list[dict[str, Any]]:
    found: dict[tuple[str, int, str, str], int] = {}

    def add(commit: Commit, fields: Mapping[str, int], sign: int) -> None:
        seq = commit.act.commits[0] if commit.act else commit.seq
        for name, n in fields.items():
            code, _, where = name.partition("@")
            key = (commit.receipt.site_id, seq, code, where)
            found[key] = found.get(key, 0) + sign * n

    for commit in commits:
        if commit.change:
            continue
        told = commit.receipt
        with_field = {name.split("@")[0] for name in told.fields}
        add(commit, told.fields | {code: n for code, n in told.codes.items() if code not in with_field}, 1)
        if commit.act:
            add(commit, commit.act.fields, -1)
    names = ("site_id", "commit_seq", "code", "field")
    return [dict(zip(names, key, strict=True)) | {"n": n} for key, n in found.items() if n]


def load_study(duck: duckdb.DuckDBPyConnection, study: Study, sites: Collection[str] | None = None) -> None:
    """Make the constants of the study: sites, measures, forms with items and scales, thresholds and codes.

    Args:
        duck: where.
        study: the protocol.
        sites: of its sites only these; all if None.
    """
    duck.execute("create schema study")
    _load(
        duck,
        "study.site",
        [{"site_id": name} for name in study.site_ids if sites is None or name in sites],
    )
    shared = study.protocol.shared_therapist_ids
    _load(duck, "study.setting", [{"shared_therapist_ids": shared}])
    _load(duck, "study.interview", _interviews(study))
    _load(duck, "study.measure", [_measure(measure) for measure in study.protocol.measures])
    _load_forms(duck, study)
    honoured = study.protocol.consent.honoured()
    _load(duck, "study.withdrawal", [{"asked": a, "honoured": h} for a, h in honoured.items()])
    for name, made in (judging_inputs.rows(study) | alliance_inputs.rows(study)).items():
        _load(duck, name, made)
    thresholds = study.protocol.thresholds
    _load(
        duck,
        "study.threshold",
        [
            {
                "not_on_track_z": f"{thresholds.not_on_track_z:g}",
                **{name: getattr(thresholds, name) for name in (*_SHARES, *_WHOLE_THRESHOLDS)},
            }
        ],
    )
    registry = [
        {"code": name, "scope": code.scope, "kahn": code.kahn, "severity": code.severity}
        for name, code in codes().items()
    ]
    _load(duck, "study.code", registry)


def _load_forms(duck: duckdb.DuckDBPyConnection, study: Study) -> None:
    forms, items, scales, scale_items = [], [], [], []
    for name, instrument in sorted(study.instruments.items()):
        for version, form in instrument.versions.items():
            key = {"instrument": name, "version": version}
            ends = {"answer_min": form.min, "answer_max": form.max}
            about = {"domain": instrument.domain, "improvement_sign": instrument.improvement_sign}
            order = {"items": list(form.items), "long_run": form.long_run or len(form.items)}
            forms.append({**key, **about, **ends, **order})
            items += [
                {**key, "item": item, "is_reversed": item in form.reversed, **ends} for item in form.items
            ]
            for scale, members in form.scales.items():
                limit = form.max_missing.of(scale)
                rule = {"missing_rule": form.missing_rule, "aggregate": form.score}
                of_items = {
                    "items": list(members),
                    "is_reversed": [item in form.reversed for item in members],
                }
                counted = {"n_items": len(members), "max_missing": limit}
                scales.append({**key, "scale": scale, **counted, **rule, **of_items})
                scale_items += [{**key, "scale": scale, "item": item} for item in members]
    _load(duck, "study.form", forms)
    _load(duck, "study.form_item", items)
    _load(duck, "study.form_scale", scales)
    _load(duck, "study.form_scale_item", scale_items)


def _interviews(study: Study) -> list[dict[str, Any]]:
    """Every recall interview that the protocol plans for a client of a site."""
    planned = study.protocol.interviews
    if planned is None:
        return []
    return [
        {
            "site_id": site,
            "session_number": number,
            "perspective": perspective,
            "asked_only": planned.clients == "asked",
        }
        for site in planned.sites or study.site_ids
        for number in planned.sessions
        for perspective in planned.perspectives
    ]


def load_checks(duck: duckdb.DuckDBPyConnection, study: Study, commits: Sequence[Commit]) -> None:
    """Make the tables of what models cannot find: which sites are late, and the empty one that the expectations fill."""
    duck.execute("create schema checks")
    _load(duck, "checks.expectation", [])
    _load(duck, "checks.silence", silences(study, commits))


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


def _load(duck: duckdb.DuckDBPyConnection, name: str, rows: list[dict[str, Any]]) -> None:
    schema = TABLES[name]
    frame = pl.DataFrame(rows, schema={column: _wide(kind) for column, kind in schema.items()}, orient="row")
    frame = frame.with_columns(pl.col(column).cast(kind) for column, kind in schema.items())
    duck.register("rows_to_load", frame.to_arrow())
    duck.execute(f"create table {name} as select * from rows_to_load")
    duck.unregister("rows_to_load")


def _wide(kind: Any) -> Any:
    """Decimals are read as the floats that YAML gives and made exact afterwards."""
    return pl.Float64 if isinstance(kind, pl.Decimal) else kind
