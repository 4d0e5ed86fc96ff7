"""The centre's page of files that were not sent yet: the centre's own steps in a study folder that lives for a moment."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from dyadlog.assets.intake.files import Landed
from dyadlog.assets.intake.receive import open_log, receive
from dyadlog.assets.quality.report import write_check
from dyadlog.assets.warehouse.build import build_all
from dyadlog.schemas.study import Study


def report_before_sending(study: Study, files: Sequence[Landed], folder: Path) -> Path:
    """Write the page of files as if they had been delivered to an empty study.

    Args:
        study: the protocol.
        files: files of one site, each of another name.
        folder: where the page and what lies beside it go.

    Returns:
        the page.
    """
    with TemporaryDirectory(prefix="dyadlog-") as place:  # readable by the owner only
        protocol = study.protocol.model_copy(update={"log_storage": None})
        scratch = replace(study, folder=Path(place), protocol=protocol)
        for landed in files:
            target = scratch.folder / "landing" / landed.site_id / landed.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(landed.path, target, follow_symlinks=False)
        log = open_log(scratch)
        for _ in receive(scratch, log):
            pass
        return write_check(scratch, build_all(scratch, log).path, files[0].site_id, folder)
