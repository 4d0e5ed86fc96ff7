"""The one door through which all bytes of the log pass.

The log needs three operations only, so that the same log can later lie on object storage: put a new object
that must not exist yet, read an object, list names. A put that returns has survived a power cut.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from uuid import uuid4

ABANDONED_SECONDS = 24 * 3600.0


class Storage(Protocol):
    """What the event log asks of a place to keep bytes. Names are relative, with `/` between folders."""

    def put(self, name: str, data: bytes) -> bool:
        """Store `data` under a new name, durably.

        Returns:
            False if the name exists already (nothing is changed then).
        """

    def read(self, name: str) -> bytes:
        """Bytes of an object. Raises FileNotFoundError."""

    def exists(self, name: str) -> bool:
        """Whether an object of this name is stored."""

    def names(self, prefix: str) -> list[str]:
        """Sorted names of the objects in one folder."""

    def locate(self, name: str) -> str:
        """Address of an object for Parquet readers."""


class LocalStorage:
    """A folder of a POSIX file system.

    An object appears by `link()`, which fails if the name is taken, after its bytes were fsynced; then its
    folder is fsynced. So no name ever stands for half an object, and no acknowledged object is lost.

    Args:
        root: the folder; made if it does not exist.
        private: whether only the owner may read (quarantine).
    """

    def __init__(self, root: Path, *, private: bool = False) -> None:
        self.root = root
        self._file_mode = 0o600 if private else 0o644
        self._folder_mode = 0o700 if private else 0o755

    def put(self, name: str, data: bytes) -> bool:
        """See `Storage.put`."""
        target = self.root / name
        self._make(target.parent)
        waiting = self._make(self.root / "tmp") / uuid4().hex
        handle = os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_EXCL, self._file_mode)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(handle, view) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        try:
            os.link(waiting, target)
            created = True
        except FileExistsError:
            # Whoever made it may have died before the fsyncs below: make it durable before we build on it.
            fsync(target)
            created = False
        fsync(target.parent)
        waiting.unlink()
        return created

    def read(self, name: str) -> bytes:
        """See `Storage.read`."""
        return (self.root / name).read_bytes()

    def exists(self, name: str) -> bool:
        """See `Storage.exists`."""
        return (self.root / name).exists()

    def names(self, prefix: str) -> list[str]:
        """See `Storage.names`."""
        folder = self.root / prefix
        if not folder.is_dir():
            return []
        return sorted(f"{prefix}/{entry.name}" for entry in folder.iterdir() if entry.is_file())

    def locate(self, name: str) -> str:
        """See `Storage.locate`."""
        return str(self.root / name)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Let one writer at a time through. Saves work; correctness rests on `put` alone."""
        import fcntl

        self._make(self.root)
        with (self.root / ".lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def sweep(self) -> None:
        """Remove what writers that died left half-written, once it is surely abandoned."""
        folder = self.root / "tmp"
        if folder.is_dir():
            for entry in folder.iterdir():
                if time.time() - entry.stat().st_mtime > ABANDONED_SECONDS:
                    entry.unlink(missing_ok=True)

    def _make(self, folder: Path) -> Path:
        if not folder.is_dir():
            parent = folder.parent
            if not parent.is_dir():
                self._make(parent)
            folder.mkdir(mode=self._folder_mode, exist_ok=True)
            fsync(parent)
        return folder


def fsync(path: Path) -> None:
    """Make a file's bytes, or a folder's entries, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
