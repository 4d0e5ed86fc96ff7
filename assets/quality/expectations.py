"""Great Expectations over each site's slice of the marts, as rows of `checks.expectation`.

One suite per site, built in code; nothing of Great Expectations' own stores, actions or pages is used. Its result and
error texts contain values of records: only names and counts leave this module.
"""

from __future__ import annotations

import contextlib
import json
import logging
import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb

from dyadlog.assets.quality.memory import Memory, looked_at
from dyadlog.schemas.expectations import Expectation, expected
from dyadlog.schemas.study import Study

if TYPE_CHECKING:  # it takes four seconds to import
    import great_expectations as gx
    import pandas as pd
    from great_expectations.core.batch_definition import BatchDefinition
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult

FAILED, CRASHED = "EXPECTATION_FAILED", "CHECK_CRASHED"
# What has crashed if no expectation could be asked at all.
ENGINE = "great_expectations"
_VERDICTS = {"critical": "fail", "warning": "warn", "info": "pass"}
# Counts without any example of what was found.
_COUNTS_ONLY = {"result_format": "BASIC", "partial_unexpected_count": 0}


class Row(NamedTuple):
    """A row of `checks.expectation`; the first three fields are its key and its order."""

    site_id: str
    code: str
    subject: str
    n_violated: int
    n_denominator: int
    verdict: str | None


def run_expectations(
    duck: duckdb.DuckDBPyConnection, study: Study, *, site_keys: Mapping[str, str] | None = None
) -> None:
    """Fill `checks.expectation` for all sites of the study. Never raises for what a check or the data did.

    Args:
        duck: the working database with all marts in place.
        study: the protocol.
        site_keys: a key for what each site's own models gave; with them, judgements of earlier nights are used again
            where nothing that was looked at has changed.
    """
    wanted = expected(study)
    known = {name: each for name, each in wanted.items() if _can_be_asked(duck, each)}
    memory = Memory(study, looked_at(duck, known, site_keys) if site_keys else {})
    found = {site_id: memory.recall(site_id) for site_id in study.site_ids}
    rows = [Row(*row) for told in found.values() if told is not None for row in told]
    new = [site_id for site_id, told in found.items() if told is None]
    with _quiet():
        batches = _batches() if new else None
        for site_id in new:
            if batches is None:
                rows.append(_crash(site_id, ENGINE))
                continue
            judged = _judge(duck, site_id, wanted, known, batches)
            if all(row.code != CRASHED for row in judged):
                memory.learn(site_id, judged)
            rows += judged
    memory.save()
    duck.executemany("insert into checks.expectation values (?, ?, ?, ?, ?, ?)", sorted(rows))


def export_suite(study: Study, site_id: str) -> dict[str, Any]:
    """The suite of a site as Great Expectations' own JSON, for a site that uses it.

    `meta["sql"]` is the query over the published marts whose result is the suite's batch; `meta["least"]` of an
    expectation is the number of rows below which its result says nothing.

    Raises:
        KeyError: there is no such site.
    """
    if site_id not in study.site_ids:
        raise KeyError(site_id)
    wanted = expected(study)
    with _quiet():
        suite: dict[str, Any] = json.loads(json.dumps(_suite(site_id, wanted).to_json_dict()))
    suite["meta"] |= {"study": study.protocol.study, "site_id": site_id, "sql": _sql(site_id, wanted)}
    return suite


def _crash(site_id: str, subject: str) -> Row:
    return Row(site_id, CRASHED, subject, 0, 0, "crashed")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Great Expectations' warnings and log lines, which can hold values, to itself.

    It imports modules that Python calls deprecated (`sre_constants`): where warnings are errors the import would fail
    for a reason that has nothing to do with the data.
    """
    logger = logging.getLogger("great_expectations")
    before = logger.propagate, logger.handlers
    logger.propagate, logger.handlers = False, [logging.NullHandler()]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.propagate, logger.handlers = before


def _batches() -> BatchDefinition[Any] | None:
    """What makes batches of frames, in a context that keeps nothing; None if Great Expectations cannot be used."""
    try:
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
        asset = context.data_sources.add_pandas("marts").add_dataframe_asset("site")
        return asset.add_batch_definition_whole_dataframe("slice")
    except Exception:  # whatever is wrong with a dependency, the night goes on
        return None


def _can_be_asked(duck: duckdb.DuckDBPyConnection, each: Expectation) -> bool:
    """Whether the marts have what an expectation looks at; if not, only that one crashes."""
    try:
        duck.execute(f"select t.site_id, {each.value} from {each.table} as t limit 0")
    except duckdb.Error:
        return False
    return True


def _sql(site_id: str, wanted: dict[str, Expectation]) -> str:
    """One query for the batch: a column per expectation, NULL where a row is not looked at.

    The tables lie side by side. Every expectation looks at its own column only, so that it does not matter which rows
    of two tables meet; the shorter ones are filled up with NULL.
    """
    site = site_id.replace("'", "''")
    tables: dict[str, list[str]] = {}
    for name, each in wanted.items():
        quoted = name.replace('"', '""')
        tables.setdefault(each.table, []).append(f'{each.value} as "{quoted}"')
    slices = [
        f"(select {', '.join(columns)} from {table} as t where t.site_id = '{site}')"
        for table, columns in sorted(tables.items())
    ]
    return f"select * from {' positional join '.join(slices)}"


def _suite(site_id: str, wanted: dict[str, Expectation]) -> gx.ExpectationSuite:
    import great_expectations as gx

    made = [
        {
            "type": each.type,
            "kwargs": {"column": name, **each.arguments},
            "severity": each.severity,
            "meta": {"table": each.table, "least": each.least, "says": each.says},
        }
        for name, each in wanted.items()
    ]
    return gx.ExpectationSuite(name=f"dyadlog.{site_id}", expectations=made)


def _judge(
    duck: duckdb.DuckDBPyConnection,
    site_id: str,
    wanted: dict[str, Expectation],
    known: dict[str, Expectation],
    batches: BatchDefinition[Any],
) -> list[Row]:
    rows = {name: Row(site_id, FAILED, name, 0, 0, None) for name in wanted}
    try:
        frame: pd.DataFrame = duck.execute(_sql(site_id, known)).df()
        there = frame.count()
        # What has nothing to look at is not run; what the marts do not have is, so that it comes back as an error.
        asked = {name: each for name, each in wanted.items() if there.get(name, each.least) >= each.least}
        if frame.empty or not asked:
            return list(rows.values())
        batch = batches.get_batch({"dataframe": frame})
        results = batch.validate(_suite(site_id, asked), result_format=_COUNTS_ONLY).results
    except Exception:  # a site that cannot be looked at is not a site with bad data
        return [_crash(site_id, name) for name in wanted]
    found = {each.expectation_config.kwargs["column"]: each for each in results if each.expectation_config}
    judged = {name: _row(site_id, each, found.get(name)) for name, each in asked.items()}
    return list((rows | judged).values())


def _row(site_id: str, each: Expectation, found: ExpectationValidationResult | None) -> Row:
    if found is None or not _has_run(found):
        return _crash(site_id, each.name)
    looked_at = found.result["element_count"] - found.result["missing_count"]
    verdict = "pass" if found.success else _VERDICTS[each.severity]
    return Row(site_id, FAILED, each.name, found.result["unexpected_count"], looked_at, verdict)


def _has_run(found: ExpectationValidationResult) -> bool:
    """Whether an expectation was judged at all: an error inside the engine comes back as "no success", too.

    `exception_info` is one entry, or one per figure that could not be computed.
    """
    told = found.exception_info or {}
    entries = [told] if "raised_exception" in told else list(told.values())
    counted = {"element_count", "missing_count", "unexpected_count"} <= set(found.result)
    return counted and not any(entry["raised_exception"] for entry in entries)
