"""What Dagster loads: `dagster dev -w workspace.yaml`."""

from __future__ import annotations

import os
from pathlib import Path

import dyadlog.examples
from dyadlog.orchestration.graph import build_definitions
from dyadlog.schemas.study import read_study

STUDY_VARIABLE = "DYADLOG_STUDY"


def study_folder() -> Path:
    """The study that Dagster works on: `$DYADLOG_STUDY`, by default the example study."""
    chosen = os.environ.get(STUDY_VARIABLE)
    return Path(chosen) if chosen else Path(next(iter(dyadlog.examples.__path__))) / "quickstart"


defs = build_definitions(read_study(study_folder()))
