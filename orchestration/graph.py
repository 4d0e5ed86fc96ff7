"""The asset graph for Dagster.

Assets are thin: each calls a plain function of `assets`. Logs, errors and metadata hold counts, codes and names
of models only, never a value of a record: an unexpected error is kept in a private file and named here.
"""

import hashlib
import re
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import dagster as dg

from dyadlog.assets.intake.receive import open_log, receive, waiting_files
from dyadlog.assets.warehouse.models import models
from dyadlog.orchestration.guard import guarded
from dyadlog.orchestration.heartbeat import beat, miss
from dyadlog.orchestration.watch import BUILT, PUBLISHED, RECEIVED, begin, is_watched, watcher
from dyadlog.schemas.marts import contracts
from dyadlog.schemas.study import Study

JOB = "nightly"
INVARIANTS = ("conservation", "unique_keys", "contracts")

_SEVERITIES = {
    "to correct": dg.AssetCheckSeverity.ERROR,
    "to look at": dg.AssetCheckSeverity.WARN,
    "nothing open": dg.AssetCheckSeverity.WARN,
}


def build_definitions(study: Study, *, lineage: bool = True) -> dg.Definitions:
    """Assets, checks, job, schedule and sensor of one study.

    Args:
        study: the study.
        lineage: let the assets say which columns each column is made of; a night, which nobody looks at, can do without.
    """
    sites = dg.StaticPartitionsDefinition(study.site_ids)
    with warnings.catch_warnings():
        # One run over many partitions is beta in this Dagster; the lock file pins it and the tests cover it.
        warnings.simplefilter("ignore", dg.BetaWarning)
        assets = [_event_log(study, sites), _models(study, lineage), _published(study), _reports(study)]

    @dg.failure_hook(name="remember_failure")
    def remember_failure(context: dg.HookContext) -> None:
        if not is_watched():  # otherwise who watches says why
            miss(study, f"{context.step_key} failed; see the run in Dagster")

    job = dg.define_asset_job(JOB, selection=dg.AssetSelection.all(), hooks={remember_failure})
    tags = all_sites(study)

    @dg.schedule(
        name="nightly_schedule",
        job_name=JOB,
        cron_schedule=_cron(study),
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def nightly(_: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        return dg.RunRequest(tags=tags)

    @dg.sensor(name="new_deliveries", job_name=JOB, minimum_interval_seconds=300)
    def new_deliveries(_: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        _landing, waiting = waiting_files(study, open_log(study))
        if not waiting:
            return dg.SkipReason("no new file in any landing folder")
        newest = max(max(landed.stamp[:2]) for landed in waiting)
        return dg.RunRequest(run_key=f"{len(waiting)}-{newest}", tags=tags)

    return dg.Definitions(
        assets=assets,
        jobs=[job],
        schedules=[nightly],
        sensors=[new_deliveries],
        # One process: starting one per step would take longer than the steps.
        executor=dg.in_process_executor,
    )


def all_sites(study: Study) -> dict[str, str]:
    """Run tags that let one run cover the partitions of all sites."""
    return {
        "dagster/asset_partition_range_start": study.site_ids[0],
        "dagster/asset_partition_range_end": study.site_ids[-1],
    }


def _cron(study: Study) -> str:
    hour, minute = study.protocol.nightly_at.split(":")
    return f"{int(minute)} {int(hour)} * * *"


def _event_log(study: Study, sites: dg.PartitionsDefinition[str]) -> dg.AssetsDefinition:
    @dg.asset(
        name="event_log",
        partitions_def=sites,
        backfill_policy=dg.BackfillPolicy.single_run(),
        kinds={"parquet"},
        group_name="intake",
        description="Append-only log of everything the sites delivered; one delivery is one commit.",
    )
    def event_log(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        begin()
        log = open_log(study)
        rows = []
        with guarded(study, "event_log"), watcher().lap(RECEIVED):
            for landed, commit in receive(
                study, log, sites=set(context.partition_keys), progress=watcher().reading
            ):
                watcher().received(landed, commit)
                if commit is not None:
                    told = commit.receipt
                    rows.append(
                        (told.site_id, commit.kind, told.lines, told.accepted, told.duplicate, told.held_back)
                    )
        head = log.head()
        return dg.MaterializeResult(
            metadata={
                "commit": head.seq,
                "commit_sha256": head.sha256,
                "deliveries": len(rows),
                "receipts": dg.MetadataValue.md(
                    _markdown(("site", "outcome", "lines", "accepted", "duplicate", "held back"), rows)
                ),
            }
        )

    return event_log


def _models(study: Study, lineage: bool) -> dg.AssetsDefinition:
    """All models in one step: they share one working database, and a step each would cost more than the models."""
    specs = [_spec(name, lineage) for name in models()]
    checks = [
        dg.AssetCheckSpec(name, asset=dg.AssetKey(["quality", "receipt"]), blocking=True)
        for name in INVARIANTS
    ]

    @dg.multi_asset(name="models", specs=specs, check_specs=checks, can_subset=False)
    def build_models(context: dg.AssetExecutionContext) -> Iterator[Any]:
        from dyadlog.assets.quality.expectations import run_expectations
        from dyadlog.assets.warehouse.build import building
        from dyadlog.assets.warehouse.published import build_file

        log = open_log(study)
        head = log.head()
        with guarded(study, "models"), watcher().lap(BUILT), building(study, log, head) as made:
            for step in made.run(run_expectations):
                watcher().built(step)
                if step.model in models():
                    yield dg.MaterializeResult(
                        asset_key=dg.AssetKey(step.model.split(".")),
                        metadata={
                            "dagster/row_count": step.rows,
                            "seconds": round(step.seconds, 3),
                            "peak_megabytes": round(step.peak_megabytes),
                            "commit": head.seq,
                        },
                    )
            broken = made.broken()
            if not any(broken.values()):
                made.write(build_file(study, head))
                made.keep_only_this()
        for name in INVARIANTS:
            yield dg.AssetCheckResult(
                asset_key=dg.AssetKey(["quality", "receipt"]),
                check_name=name,
                passed=not broken[name],
                metadata={"broken": "; ".join(broken[name]) or "nothing"},
            )
        context.log.info("models built")

    return build_models


def _spec(name: str, lineage: bool) -> dg.AssetSpec:
    model = models()[name]
    upstream = sorted(
        {_asset_key(read) for read in model.reads if read in models() or read.startswith("log.")}
    )
    metadata: dict[str, Any] = {"scope": model.scope, "grain": ", ".join(model.grain)}
    contract = contracts().get(name)
    if contract:
        metadata["dagster/column_schema"] = dg.TableSchema(
            columns=[dg.TableColumn(c, spec.type, spec.comment) for c, spec in contract.columns.items()]
        )
        if lineage:
            metadata["dagster/column_lineage"] = _lineage(name)
    return dg.AssetSpec(
        name.split("."),
        deps=upstream,
        group_name=model.schema,
        kinds={"duckdb", "sql", *(["python"] if model.python else [])},
        description=f"{model.notes}\n\n```sql\n{model.sql}\n```",
        metadata=metadata,
    )


def _lineage(name: str) -> dg.TableColumnLineage:
    from dyadlog.assets.warehouse.lineage import column_lineage

    return dg.TableColumnLineage(
        {
            column: [
                dg.TableColumnDep(key, source)
                # the tables of the log are one asset
                for key, source in dict.fromkeys((_asset_key(table), source) for table, source in sources)
            ]
            for column, sources in column_lineage(name).items()
        }
    )


def _asset_key(table: str) -> dg.AssetKey:
    return dg.AssetKey("event_log") if table.startswith("log.") else dg.AssetKey(table.split("."))


def _published(study: Study) -> dg.AssetsDefinition:
    @dg.asset(
        name="published_database",
        deps=[dg.AssetKey(name.split(".")) for name in contracts()],
        kinds={"duckdb"},
        group_name="publication",
        description="`marts/current.duckdb`: what analysts open, read-only.",
    )
    def published_database() -> dg.MaterializeResult[None]:
        from dyadlog.assets.warehouse.published import build_file, newest_built, show

        with guarded(study, "published_database"), watcher().lap(PUBLISHED):
            # Not the log's head: another night may have added to the log since the models were built.
            head = newest_built(study, open_log(study))
            target = build_file(study, head)
            show(study, target)
            watcher().published(target)
        return dg.MaterializeResult(
            metadata={"commit": head.seq, "file": target.name, "bytes": target.stat().st_size}
        )

    return published_database


def _reports(study: Study) -> dg.AssetsDefinition:
    names = site_checks(study)

    @dg.asset(
        name="site_reports",
        deps=["published_database"],
        group_name="publication",
        kinds={"html"},
        description="A page for every site and the night sheet for the study team.",
        check_specs=[
            dg.AssetCheckSpec(
                names[site_id], asset="site_reports", description=f"What is open at {site_id}; its page."
            )
            for site_id in study.site_ids
        ],
    )
    def site_reports() -> Iterator[Any]:
        with guarded(study, "site_reports"):
            from dyadlog.orchestration.reports import summaries, write_reports

            pages = write_reports(study, watcher(), tell=True)
            beat(study, "completed")
            told = summaries(pages)
        sheet = (study.folder / "reports" / "index.html").resolve()
        yield dg.MaterializeResult(
            metadata={"pages": len(pages), "night_sheet": dg.MetadataValue.url(sheet.as_uri())}
        )
        for one in told:
            yield dg.AssetCheckResult(
                check_name=names[one.site_id],
                passed=one.standing == "nothing open",
                severity=_SEVERITIES[one.standing],
                metadata={
                    "verdict": one.headline,
                    "to_do": one.todo,
                    "accepted": one.accepted,
                    "held_back": one.held_back,
                    "page": dg.MetadataValue.url(one.page.as_uri()),
                },
            )

    return site_reports


def site_checks(study: Study) -> dict[str, str]:
    """The name of each site's check: its id in the letters that Dagster takes, and still another one for each site."""
    plain = {site_id: re.sub(r"[^A-Za-z0-9_]", "_", site_id) for site_id in study.site_ids}
    shared = {name for name, n in Counter(plain.values()).items() if n > 1}
    return {
        site_id: f"{name}_{hashlib.sha256(site_id.encode()).hexdigest()[:8]}" if name in shared else name
        for site_id, name in plain.items()
    }


def _markdown(header: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
