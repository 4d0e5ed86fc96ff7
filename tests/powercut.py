"""A disk that forgets: what a power cut may leave of a series of system calls.

The model is the weakest that POSIX allows. The bytes of a file are safe only up to its last `sync`; before that
they may be all there, empty, cut, or zeros of the right length. A name (made, linked or taken away) is safe only
after a `sync_folder` of its folder; of the changes since then any subset may have reached the platter.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import combinations, product

FOLDER = -1
Entries = dict[str, int]  # name -> number of a file, or FOLDER
Image = tuple[tuple[tuple[str, tuple[tuple[str, bytes | int], ...]], ...], ...]

# Up to this many unsettled names of a folder, all their subsets are tried; of more, all prefixes and a sample.
ALL_SUBSETS = 4


class PowerCut(Exception):
    """The process was stopped here."""


class SimulatedDisk:
    """Implements `Disk` in memory and remembers what is durable.

    Args:
        folders: folders and files that are there and durable.
    """

    def __init__(self, folders: dict[str, dict[str, bytes | int]] | None = None) -> None:
        self.bytes: list[bytes] = []
        self.unsynced: set[int] = set()
        self.now: dict[str, Entries] = {}
        self.safe: dict[str, Entries] = {}
        self.pending: dict[str, list[tuple[str, int | None]]] = {}
        self.after: Callable[[str, str], None] = lambda _call, _path: None
        for path, held in (folders or {"/study": {}}).items():
            self.now[path] = {name: self._add(what) for name, what in held.items()}
            self.safe[path] = dict(self.now[path])

    def _add(self, data: bytes | int) -> int:
        if isinstance(data, int):
            return data
        self.bytes.append(data)
        return len(self.bytes) - 1

    def _change(self, path: str, number: int | None) -> None:
        folder, _, name = path.rpartition("/")
        if number is None:
            del self.now[folder][name]
        else:
            self.now[folder][name] = number
        self.pending.setdefault(folder, []).append((name, number))

    def _number(self, path: str) -> int:
        folder, _, name = path.rpartition("/")
        number = self.now.get(folder, {}).get(name, FOLDER)
        if number == FOLDER:
            raise FileNotFoundError(path)
        return number

    # --- Disk ------------------------------------------------------------------------------------

    def create(self, path: str, data: bytes, mode: int) -> None:
        if self.exists(path):
            raise FileExistsError(path)
        number = self._add(data)
        self.unsynced.add(number)
        self._change(path, number)
        self.after("create", path)

    def sync(self, path: str) -> None:
        self.unsynced.discard(self._number(path))
        self.after("sync", path)

    def sync_folder(self, path: str) -> None:
        self.safe[path] = dict(self.now[path])
        self.pending.pop(path, None)
        self.after("sync_folder", path)

    def link(self, path: str, new: str) -> None:
        if self.exists(new):
            raise FileExistsError(new)
        self._change(new, self._number(path))
        self.after("link", new)

    def unlink(self, path: str) -> None:
        self._number(path)
        self._change(path, None)
        self.after("unlink", path)

    def replace(self, path: str, new: str) -> None:
        """Give a file another name, in the place of whatever had it."""
        self._change(new, self._number(path))
        self._change(path, None)
        self.after("replace", new)

    def make_folder(self, path: str, mode: int) -> None:
        if path not in self.now:
            self.now[path], self.safe[path] = {}, {}
            self._change(path, FOLDER)
            self.after("make_folder", path)

    def read(self, path: str) -> bytes:
        return self.bytes[self._number(path)]

    def exists(self, path: str) -> bool:
        folder, _, name = path.rpartition("/")
        return self.now.get(folder, {}).get(name, FOLDER) != FOLDER

    def is_folder(self, path: str) -> bool:
        return path in self.now

    def entries(self, path: str) -> list[str]:
        return [name for name, number in self.now[path].items() if number != FOLDER]

    def modified(self, path: str) -> float:
        self._number(path)
        return float("inf")  # never old enough to be swept

    def lock(self, path: str) -> AbstractContextManager[None]:
        return nullcontext()

    # --- the plug --------------------------------------------------------------------------------

    def survivors(self, dice: random.Random) -> Iterator[Image]:
        """Every content of the disk that a power cut at this moment may leave."""
        folders = [(path, list(self._entries(path, dice))) for path in self.now]
        unsynced = sorted(self.unsynced)
        for bytes_left in product(*(_left_of(self.bytes[number]) for number in unsynced)):
            changed = dict(zip(unsynced, bytes_left, strict=True))
            parts = [
                [
                    (
                        path,
                        tuple(
                            (name, FOLDER if n == FOLDER else changed.get(n, self.bytes[n]))
                            for name, n in sorted(entries.items())
                        ),
                    )
                    for entries in choices
                ]
                for path, choices in folders
            ]
            yield from product(*parts)  # type: ignore[misc]

    def some_survivors(self, dice: random.Random, count: int) -> Iterator[Image]:
        """Some of them, for disks with so many files that all would be too many: nothing was kept, all was, and by chance."""
        folders = {path: list(self._entries(path, dice)) for path in self.now}
        for nth in range(count):
            keep = [lambda of: of[0], lambda of: of[-1], dice.choice][min(nth, 2)]
            left = {number: keep(_left_of(self.bytes[number])[::-1]) for number in sorted(self.unsynced)}
            yield tuple(
                (
                    path,
                    tuple(
                        (name, FOLDER if n == FOLDER else left.get(n, self.bytes[n]))
                        for name, n in sorted(keep(folders[path]).items())
                    ),
                )
                for path in self.now
            )

    def _entries(self, path: str, dice: random.Random) -> Iterator[Entries]:
        pending = self.pending.get(path, [])
        n = len(pending)
        if n <= ALL_SUBSETS:
            kept = [chosen for size in range(n + 1) for chosen in combinations(range(n), size)]
        else:
            kept = [tuple(range(size)) for size in range(n + 1)]
            kept += [tuple(i for i in range(n) if dice.random() < 0.5) for _ in range(4)]
        for chosen in kept:
            entries = dict(self.safe[path])
            for index in chosen:
                name, number = pending[index]
                if number is None:
                    entries.pop(name, None)
                else:
                    entries[name] = number
            yield entries


def _left_of(data: bytes) -> tuple[bytes, ...]:
    return data, b"", data[: len(data) // 2], bytes(len(data))


def restart(image: Image) -> SimulatedDisk:
    """The machine after the power cut: what survived is there and durable; what has no folder any more is gone."""
    held = {path: dict(entries) for path, entries in image}  # type: ignore[misc]
    for path in sorted(held, key=len):
        folder, _, name = path.rpartition("/")
        if path != "/study" and held.get(folder, {}).get(name) != FOLDER:
            del held[path]
    return SimulatedDisk(held)
