"""The one door through which all bytes of the log pass.

The log needs few operations only, so that the same log can lie on object storage: put a new object that must
not exist yet, read an object, list names. A put that returns has survived a power cut.

On a file system, what survives a power cut is decided by the order of a handful of system calls. They stand
behind `Disk`, so that the tests can run the very same protocol on a simulated disk and pull the plug after
each call.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Protocol
from uuid import uuid4

ABANDONED_SECONDS = 24 * 3600.0
_WAITING = "tmp"
_LONGEST_LINE = 1 << 20


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

    def remove(self, name: str) -> None:
        """Take an object away, durably; it may be gone already."""

    def remove_unfinished(self) -> None:
        """Take away what writers that died have left half-written, however young; only for who is `writing`."""

    def locate(self, name: str) -> str:
        """Address of an object for Parquet readers."""

    def settle(self, prefix: str) -> None:
        """Make all objects that can be read in one folder survive a power cut, whoever put them there."""

    def writing(self) -> AbstractContextManager[None]:
        """Let one writer at a time through, where that can be had. Saves work; correctness rests on `put` alone."""


class Disk(Protocol):
    """The system calls under `LocalStorage`."""

    def create(self, path: str, data: bytes, mode: int) -> None:
        """Make a new file with these bytes; nothing of it is durable yet."""

    def sync(self, path: str) -> None:
        """Make the bytes of a file survive a power cut; its name may still be lost."""

    def sync_folder(self, path: str) -> None:
        """Make the names in a folder survive a power cut."""

    def link(self, path: str, new: str) -> None:
        """Give a file a second name. Raises FileExistsError if the name is taken."""

    def unlink(self, path: str) -> None:
        """Take a name away. Raises FileNotFoundError."""

    def make_folder(self, path: str, mode: int) -> None:
        """Make a folder, unless it exists."""

    def read(self, path: str) -> bytes:
        """Bytes of a file. Raises FileNotFoundError."""

    def exists(self, path: str) -> bool:
        """Whether there is a file of this name."""

    def is_folder(self, path: str) -> bool:
        """Whether there is a folder of this name."""

    def entries(self, path: str) -> list[str]:
        """Names of the files in a folder, without those of its folders."""

    def modified(self, path: str) -> float:
        """When a file was last written (seconds since 1970). Raises FileNotFoundError."""

    def lock(self, path: str) -> AbstractContextManager[None]:
        """Keep other writers out; a lock falls with its holder."""


class PosixDisk:
    """The operating system's disk. The methods are those of `Disk`."""

    def create(self, path: str, data: bytes, mode: int) -> None:
        """See `Disk.create`."""
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(handle, view) :]
        finally:
            os.close(handle)

    def sync(self, path: str) -> None:
        """See `Disk.sync`."""
        fsync(path)

    def sync_folder(self, path: str) -> None:
        """See `Disk.sync_folder`."""
        fsync(path)

    def link(self, path: str, new: str) -> None:
        """See `Disk.link`."""
        os.link(path, new)

    def unlink(self, path: str) -> None:
        """See `Disk.unlink`."""
        Path(path).unlink()

    def make_folder(self, path: str, mode: int) -> None:
        """See `Disk.make_folder`."""
        Path(path).mkdir(mode=mode, exist_ok=True)

    def read(self, path: str) -> bytes:
        """See `Disk.read`."""
        handle = os.open(path, os.O_RDONLY)  # a third of the time that `Path.read_bytes` takes
        try:
            size = os.fstat(handle).st_size
            data = os.read(handle, size)
            while len(data) < size and (more := os.read(handle, size - len(data))):
                data += more
            return data
        finally:
            os.close(handle)

    def exists(self, path: str) -> bool:
        """See `Disk.exists`."""
        return Path(path).is_file()

    def is_folder(self, path: str) -> bool:
        """See `Disk.is_folder`."""
        return Path(path).is_dir()

    def entries(self, path: str) -> list[str]:
        """See `Disk.entries`."""
        with os.scandir(path) as entries:
            return [entry.name for entry in entries if entry.is_file()]

    def modified(self, path: str) -> float:
        """See `Disk.modified`."""
        return Path(path).stat().st_mtime

    @contextmanager
    def lock(self, path: str) -> Iterator[None]:
        """See `Disk.lock`."""
        import fcntl

        with Path(path).open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


class LocalStorage:
    """A folder of a POSIX file system.

    An object appears by `link()`, which fails if the name is taken, after its bytes were fsynced; then its
    folder is fsynced. So no name ever stands for half an object, and no acknowledged object is lost.

    Args:
        root: the folder; made if it does not exist.
        private: whether only the owner may read (quarantine).
        disk: system calls; the operating system's, except in tests.
    """

    def __init__(self, root: Path, *, private: bool = False, disk: Disk | None = None) -> None:
        self.root = root.absolute().as_posix()
        self._disk = disk or PosixDisk()
        self._file_mode = 0o600 if private else 0o644
        self._folder_mode = 0o700 if private else 0o755
        self._durable: set[str] = set()

    def put(self, name: str, data: bytes) -> bool:
        """See `Storage.put`."""
        disk, target = self._disk, self.locate(name)
        folder = self._made(_above(target))
        waiting = f"{self._made(self.locate(_WAITING))}/{uuid4().hex}"
        disk.create(waiting, data, self._file_mode)
        disk.sync(waiting)
        created = True
        try:
            disk.link(waiting, target)
        except FileExistsError:
            created = False
        # If the name was taken, whoever took it may have died before this line: the name must not be lost again.
        disk.sync_folder(folder)
        disk.unlink(waiting)
        return created

    def read(self, name: str) -> bytes:
        """See `Storage.read`."""
        return self._disk.read(self.locate(name))

    def exists(self, name: str) -> bool:
        """See `Storage.exists`."""
        return self._disk.exists(self.locate(name))

    def names(self, prefix: str) -> list[str]:
        """See `Storage.names`."""
        folder = self.locate(prefix)
        if not self._disk.is_folder(folder):
            return []
        return sorted(f"{prefix}/{entry}" for entry in self._disk.entries(folder))

    def remove(self, name: str) -> None:
        """See `Storage.remove`."""
        path = self.locate(name)
        with suppress(FileNotFoundError):
            self._disk.unlink(path)
        # Whoever took it away before may have died before this line.
        if self._disk.is_folder(_above(path)):
            self._disk.sync_folder(_above(path))

    def remove_unfinished(self) -> None:
        """See `Storage.remove_unfinished`."""
        waiting = self._made(self.locate(_WAITING))
        self._sweep(waiting, 0.0)
        # What was put long ago left a name here, and a power cut would show it again.
        self._disk.sync_folder(waiting)

    def locate(self, name: str) -> str:
        """See `Storage.locate`."""
        return f"{self.root}/{name}"

    def settle(self, prefix: str) -> None:
        """See `Storage.settle`."""
        self._disk.sync_folder(self._made(self.locate(prefix)))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """See `Storage.writing`. Clears away, too, what writers that died have left half-written."""
        root = self._made(self.root)
        with self._disk.lock(f"{root}/.lock"):
            self._sweep(self._made(self.locate(_WAITING)), ABANDONED_SECONDS)
            yield

    def _sweep(self, folder: str, age: float) -> None:
        for entry in self._disk.entries(folder):
            with suppress(FileNotFoundError):
                if not age or time.time() - self._disk.modified(f"{folder}/{entry}") > age:
                    self._disk.unlink(f"{folder}/{entry}")

    def _made(self, folder: str) -> str:
        """A folder, with its own name and those of the folders above it up to the storage's made durable once."""
        if folder not in self._durable:
            parent = _above(folder)
            if len(folder) > len(self.root) or not self._disk.is_folder(parent):
                self._made(parent)
            self._disk.make_folder(folder, self._folder_mode)
            self._disk.sync_folder(parent)
            self._durable.add(folder)
        return folder


class Scratch:
    """A local file that may be lost: nothing in it is durable, nothing rests on it.

    Args:
        path: where it lies.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> bytes:
        """All bytes; none if there is no file."""
        try:
            return self._path.read_bytes()
        except OSError:
            return b""

    def last_line(self) -> tuple[bytes, int]:
        """The last line and the size of the file."""
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - _LONGEST_LINE))
                tail = file.read(size)
        except OSError:
            return b"", 0
        return (tail.splitlines(keepends=True) or [b""])[-1], size

    def append(self, data: bytes, *, after: int) -> int | None:
        """Add bytes at the end if the file still has the size `after`.

        Returns:
            the new size, or None if nothing was added.
        """
        try:
            with self._path.open("ab", buffering=0) as file:
                if file.seek(0, os.SEEK_END) != after or file.write(data) != len(data):
                    return None
        except OSError:
            return None
        return after + len(data)

    def begin(self, data: bytes) -> int | None:
        """Put bytes in place of all others. Returns the new size, or None if it could not be done."""
        waiting = self._path.with_name(f"{self._path.name}.{uuid4().hex}")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            waiting.write_bytes(data)
            waiting.replace(self._path)
        except OSError:
            return None
        return len(data)


def write_durably(path: Path, data: bytes) -> None:
    """Let a small file appear or change in one step that survives a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True)
    waiting = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        waiting.write_bytes(data)
        fsync(waiting)
        waiting.replace(path)
    finally:
        waiting.unlink(missing_ok=True)
    fsync(path.parent)


def _above(path: str) -> str:
    return path.rpartition("/")[0] or "/"


def fsync(path: Path | str) -> None:
    """Make a file's bytes, or a folder's entries, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
