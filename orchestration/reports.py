"""The pages of a night, for Dagster and the command line alike."""

from __future__ import annotations

from pathlib import Path

from dyadlog.assets.intake.receive import open_log
from dyadlog.assets.warehouse.published import build_key, marts_folder
from dyadlog.orchestration.watch import Watcher
from dyadlog.schemas.study import Study


def write_reports(study: Study, watcher: Watcher) -> list[Path]:
    """Write the page of every site and the night sheet."""
    log = open_log(study)
    target = marts_folder(study) / f"{build_key(study, log.head())}.duckdb"
    return [target]
