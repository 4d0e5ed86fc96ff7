"""Runs nights on a disk of a given size, in a mount namespace of its own: `unshare -rm python -m tests.full_disk ...`.

Prints one JSON line per size: what the night said, what stands after it, and, for every n-th size, what the next night
made of it once there was room.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb

from dyadlog.assets.event_log.verify import verify
from dyadlog.assets.intake.receive import open_log, open_quarantine, open_witness
from dyadlog.orchestration.night import NightFailedError, night, yesterday
from dyadlog.orchestration.watch import Watcher
from dyadlog.schemas.study import Study, read_study

ROOM = 1 << 28


def mount(place: Path, size: int, *more: str) -> None:
    options = ",".join([f"size={size}", *more])
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], check=True)


def attempt(study: Study) -> str:
    """A night. Returns what it says if it fails."""
    try:
        night(study, Watcher())
    except (NightFailedError, OSError) as error:
        return f"{error}" if isinstance(error, NightFailedError) else f"{error.filename}: {error.strerror}"
    return ""


def stands(study: Study) -> dict[str, Any]:
    """What analysts get, and whether the log is whole."""
    with duckdb.connect(str((study.folder / "marts/current.duckdb").resolve()), read_only=True) as duck:
        ((digest,),) = duck.execute("select marts_digest from meta.build").fetchall()
        ((sessions,),) = duck.execute("select count(*) from marts.session").fetchall()
    log = open_log(study)
    checked = verify(log, witness=open_witness(study), quarantine=open_quarantine(study))
    return {"digest": digest, "sessions": sessions, "commits": checked, "said": yesterday(study)}


def main() -> None:
    source, place, every, *sizes = sys.argv[1:]
    disk = Path(place)
    for number, size in enumerate(map(int, sizes)):
        mount(disk, ROOM)
        shutil.copytree(source, disk / "study", symlinks=True)
        study = read_study(disk / "study")
        used = shutil.disk_usage(disk).used
        subprocess.run(["mount", "-o", f"remount,size={used + size}", disk], check=True)
        told: dict[str, Any] = {"free": size, "failure": attempt(study), "then": stands(study)}
        if number % int(every) == 0:
            subprocess.run(["mount", "-o", f"remount,size={ROOM}", disk], check=True)
            told |= {"again": attempt(study), "after": stands(study)}
        print(json.dumps(told), flush=True)
        subprocess.run(["umount", "--lazy", disk], check=True)


if __name__ == "__main__":
    main()
