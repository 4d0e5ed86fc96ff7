"""Proof that a copy of a study folder can take the place of the study."""

from __future__ import annotations

from dataclasses import dataclass

from dyadlog.assets.event_log.log import EventLog
from dyadlog.assets.event_log.storage import LocalStorage
from dyadlog.assets.event_log.verify import verify
from dyadlog.assets.intake.receive import open_quarantine, open_witness
from dyadlog.schemas.errors import LogDamagedError, UserError
from dyadlog.schemas.study import Study


@dataclass(frozen=True)
class Copy:
    """What a good copy holds.

    Args:
        commits: commits in the copy, from the first on.
        newer: commits that the study has beyond these; to be delivered or copied again.
        erasures: those of them that erased somebody whom the copy still holds.
    """

    commits: int
    newer: int
    erasures: list[int]


def check_copy(study: Study, copy: Study, log: EventLog) -> Copy:
    """Verify a copy by what it holds itself, and see that the study's log is the same one and goes on from there.

    Args:
        study: the study.
        copy: the copied study folder.
        log: the study's log.

    Raises:
        UserError: the copy is no copy of this study's folder.
        LogDamagedError: naming the file of the copy that is wrong or missing, or the log that is another one.
    """
    if copy.protocol.study != study.protocol.study:
        raise UserError(
            f"{copy.folder}: a copy of the study {copy.protocol.study}, not of {study.protocol.study}"
        )
    if not (copy.folder / "log").is_dir():
        raise UserError(f"{copy.folder}: the folder log/ was not copied")
    copied = EventLog(LocalStorage(copy.folder / "log"))
    verify(copied, witness=open_witness(copy), quarantine=open_quarantine(copy))
    last, head = copied.head(), log.head()
    if last.seq > head.seq or log.digest_of(last.seq) != last.sha256:
        raise LogDamagedError(f"commit {last.seq} of the copy is not in the log of {study.folder}")
    erasures = [c.seq for c in log.commits()[last.seq :] if c.kind == "erasure"]
    return Copy(last.seq, head.seq - last.seq, erasures)
