"""The command `expectations`: a site's suite and its slice of the marts, for a site that uses Great Expectations itself."""

from __future__ import annotations

import json
import os
from pathlib import Path

from dyadlog.assets.quality.expectations import export_suite
from dyadlog.orchestration.query import connect
from dyadlog.schemas.errors import UserError
from dyadlog.schemas.study import Study

SUITE, SLICE = "suite.json", "slice.parquet"


def export_expectations(study: Study, site_id: str, folder: Path) -> list[Path]:
    """Write a site's suite, in Great Expectations' own JSON, and the batch that it is about.

    The suite holds no value of a record. The batch does: it is for the site alone, and for its owner on this machine.

    Args:
        study: the study.
        site_id: the site.
        folder: where; made if it is not there.

    Returns:
        the suite and the batch (Parquet; a column per expectation, empty where a row is not looked at).

    Raises:
        UserError: there is no such site, or nothing is published.
    """
    if site_id not in study.site_ids:
        raise UserError(f"{site_id}: no site of this study; expected one of {', '.join(study.site_ids)}")
    suite = export_suite(study, site_id)
    with connect(study) as duck:
        frame = duck.execute(suite["meta"]["sql"]).df()
    folder.mkdir(parents=True, exist_ok=True)
    batch = folder / SLICE
    with os.fdopen(os.open(batch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        frame.to_parquet(file, index=False)
    told = folder / SUITE
    told.write_text(json.dumps(suite, indent=1, sort_keys=True) + "\n", "utf-8")
    return [told, batch]
