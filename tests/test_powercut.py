"""Law: whatever a power cut leaves, acknowledged deliveries are there, whole, once; and the next night completes.

The log's own code runs on a simulated disk (`powercut.py`). After every system call all contents that a power cut
may leave are enumerated, and the log is opened on each of them. The same exploration with a step of the protocol
left out or moved must find a violation, else it would be blind.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from dyadlog.assets.event_log.log import EventLog, RacedError
from dyadlog.assets.event_log.quarantine import Quarantine
from dyadlog.assets.event_log.records import Act, Change, Commit, Kind, Receipt, Segment, Swap, sha256
from dyadlog.assets.event_log.remove import names_of_unused, remove_replaced
from dyadlog.assets.event_log.storage import LocalStorage
from dyadlog.schemas.errors import LogDamagedError
from tests.conftest import LONG
from tests.powercut import Image, PowerCut, SimulatedDisk, restart

STATES = 5_000_000 if LONG else 200_000
SHARES = 8  # independent parts, so that two workers can share the work
STORY = 1_000  # situations of one story and kind; the rest of a long story is left to other seeds
NOW = datetime(2026, 3, 14, 2, 0, tzinfo=UTC)


@dataclass(frozen=True)
class File:
    """A delivered file: its name, the bytes of its segments, and what is sealed away of it."""

    name: str
    parts: tuple[bytes, ...]
    sealed: bytes | None

    def without_secret(self) -> File:
        """The file as it comes in when the person it speaks of is blocked."""
        sealed = self.sealed.replace(SECRET, b"") if self.sealed else None
        return File(self.name, tuple(part.replace(SECRET, b"") for part in self.parts), sealed)


@dataclass(frozen=True)
class Deed:
    """What a person has done to a delivery: some of its lines released, or all of it voided."""

    kind: Kind
    of: File
    parts: tuple[bytes, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.kind} {self.of.name}"


def name_of(commit: Commit) -> str:
    told = commit.receipt.file_name
    return told if commit.kind == "delivery" else f"{commit.kind} {told}"


def bring(log: EventLog, quarantine: LocalStorage, file: File) -> None:
    """The steps of `deliver` that touch the disk, in its order."""
    while True:
        after = log.head()
        if known(log, file):
            return
        if file.sealed:
            quarantine.put(f"site-a/{sha256(file.sealed)}.ndjson", file.sealed)
        stored = tuple(log.put_segment(part, 1) for part in file.parts)
        try:
            commit(log, after, file, stored)
        except RacedError:
            continue
        return


SECRET = b"secret"  # what of a part is about the person who will be erased


def change(log: EventLog, sealing: LocalStorage, kind: Kind) -> None:
    """The steps of `erase` and `compact` that touch the disk, in their order."""
    quarantine = Quarantine(sealing)
    while True:
        after = log.head()
        files = log.layout.files("site-a")
        sealed: dict[str, str | None] = {}
        if kind == "erasure":
            touched = [[stored] for stored in files if SECRET in log.storage.read(stored.segment.name)]
            for digest in {c.quarantine_sha256 for c in log.commits()}:
                now = log.layout.sealed_now("site-a", digest)
                if now and SECRET in quarantine.sealed("site-a", now):
                    left = quarantine.sealed("site-a", now).replace(SECRET, b"")
                    sealing.put(quarantine.name_of("site-a", sha256(left)), left)
                    sealed[now] = sha256(left)
        else:
            touched = [files] if len(files) > 1 else []
        if not touched and not sealed:
            log.settle()
            break
        unused = names_of_unused(log, quarantine, "site-a")
        swaps = []
        for old in touched:
            data = b"".join(log.storage.read(stored.segment.name) for stored in old)
            new = log.put_segment(data.replace(SECRET, b"") if kind == "erasure" else data, 1)
            swaps.append(Swap(tuple(stored.segment.sha256 for stored in old), new))
        used = {swap.new.name for swap in swaps if swap.new}
        used |= {quarantine.name_of("site-a", digest) for digest in sealed.values() if digest}
        try:
            log.append(
                after,
                kind,
                Receipt("site-a", "", 0, ""),
                received_at=NOW,
                rules_digest="r",
                code_version="v",
                act=Act("x", "y", ()) if kind == "erasure" else None,
                change=Change(tuple(swaps), sealed, (), tuple(n for n in unused if n not in used)),
            )
        except RacedError:
            continue
        break
    clear(log, sealing)


def clear(log: EventLog, sealing: LocalStorage) -> None:
    """Remove what others stand for, and what writers that died have left."""
    remove_replaced(log, Quarantine(sealing), now=NOW, grace=timedelta(0))
    log.storage.remove_unfinished()
    sealing.remove_unfinished()


def delivered(log: EventLog, quarantine: LocalStorage, deed: Deed) -> None:
    if all(name_of(c) != deed.of.name for c in log.commits()):
        bring(log, quarantine, deed.of)


def act(log: EventLog, quarantine: LocalStorage, deed: Deed) -> None:
    """The steps of `release_held` and `void` that touch the disk, in their order."""
    delivered(log, quarantine, deed)
    while True:
        after = log.head()
        if known(log, deed):
            return
        stored = tuple(log.put_segment(part, 1) for part in deed.parts)
        try:
            commit_deed(log, after, deed, stored)
        except RacedError:
            continue
        return


def commit_deed(log: EventLog, after: Any, deed: Deed, stored: tuple[Segment, ...]) -> None:
    about = tuple(c.seq for c in log.commits() if name_of(c) == deed.of.name)
    log.append(
        after,
        deed.kind,
        Receipt("site-a", deed.of.name, 1, "0" * 64),
        received_at=NOW,
        rules_digest="r",
        code_version="v",
        segments=stored,
        act=Act("who", "why", about),
    )


def known(log: EventLog, file: File | Deed) -> bool:
    if all(name_of(c) != file.name for c in log.commits()):
        return False
    log.settle()
    return True


def commit(log: EventLog, after: Any, file: File, stored: tuple[Segment, ...]) -> None:
    receipt = Receipt("site-a", file.name, 1, "0" * 64)
    sealed = sha256(file.sealed) if file.sealed else None
    log.append(
        after,
        "delivery",
        receipt,
        received_at=NOW,
        rules_digest="r",
        code_version="v",
        segments=stored,
        quarantine_sha256=sealed,
    )


Work = File | Deed | Kind


@dataclass(frozen=True)
class Ways:
    """How the log is written: the real one, or one with a mistake."""

    storage: Callable[..., LocalStorage] = LocalStorage
    bring: Callable[[EventLog, LocalStorage, File], None] = bring
    act: Callable[[EventLog, LocalStorage, Deed], None] = act
    change: Callable[[EventLog, LocalStorage, Kind], None] = change

    def night(self, disk: SimulatedDisk, files: Sequence[Work], told: set[str]) -> None:
        """A process that receives some files; what it acknowledges is added to `told`."""
        log, quarantine = self.open(disk)
        with log.storage.writing():
            self.work(log, quarantine, files, told)

    def open(self, disk: SimulatedDisk) -> tuple[EventLog, LocalStorage]:
        log = EventLog(self.storage(Path("/study/log"), disk=disk))
        return log, self.storage(Path("/study/quarantine"), private=True, disk=disk)

    def work(self, log: EventLog, quarantine: LocalStorage, files: Sequence[Work], told: set[str]) -> None:
        for work in files:
            if isinstance(work, Deed):
                self.act(log, quarantine, work)
            elif isinstance(work, File):
                # A person who was erased stays out: the file is as if it did not say it.
                self.bring(log, quarantine, work.without_secret() if "erasure" in told else work)
            else:
                self.change(log, quarantine, work)
                if work == "erasure" and all(c.kind != "erasure" for c in log.commits()):
                    continue  # the log knew nothing of the person, and the steward was told so
            told.add(work if isinstance(work, str) else work.name)


class Enough(Exception):
    """Enough of this story."""


class ViolationError(AssertionError):
    """A promise of the log is broken."""


@dataclass
class Explorer:
    """Enumerates what power cuts leave and checks the promises; equal situations are looked at once.

    Args:
        ways: the protocol.
        seed: of the stories.
    """

    ways: Ways
    seed: int
    kinds: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)
        self._seen: set[int] = set()
        self._brought: dict[str, File] = {}
        self._left = 0

    @property
    def states(self) -> int:
        return sum(self.kinds.values())

    def run(self, states: int) -> None:
        """Explore stories until so many different situations were checked."""
        while self.states < states:
            self._seen.clear()  # the next story has other files: nothing repeats
            files = self._files()
            self._brought = {}
            for experiment in (
                self._changes,
                self._power_cuts,
                self._kill_then_power_cut,
                self._second_writer,
            ):
                self._left = STORY
                try:
                    experiment(files)
                except Enough:
                    continue
                except (LogDamagedError, OSError, ValueError) as error:
                    raise ViolationError(f"{type(error).__name__}: {error}") from error

    def _files(self) -> list[Work]:
        dice = self._dice
        shared = dice.randbytes(dice.randint(2, 40))
        files = [
            File(
                f"{dice.getrandbits(32):08x}",
                tuple(
                    shared if dice.random() < 0.3 else self._bytes(2, 40) for _ in range(dice.randint(0, 2))
                ),
                self._bytes(20, 20) if dice.random() < 0.5 else None,
            )
            for _ in range(dice.randint(1, 3))
        ]
        chance = dice.random()
        if chance < 0.2:
            return [files[0], Deed("release", files[0], (dice.randbytes(dice.randint(2, 40)),))]
        return [files[0], Deed("void", files[0])] if chance < 0.4 else [*files]

    def _bytes(self, least: int, most: int) -> bytes:
        """What a file says, sometimes about the person who will be erased."""
        data = self._dice.randbytes(self._dice.randint(least, most))
        return data + SECRET if self._dice.random() < 0.6 else data

    def _changes(self, files: list[Work]) -> None:
        """Power cuts while segments are merged and a person is erased, perhaps after a night that was killed."""
        self._brought = {file.name: file for file in files if isinstance(file, File)}
        for at in self._moments(files, 3):
            disk, told = SimulatedDisk(), set[str]()
            if self._dice.random() < 0.7:
                disk.after = _countdown(at, _pull)
            with suppress(PowerCut):
                self.ways.night(disk, files, told)
            disk.after = _ignore
            steps: list[Work] = ["compaction", "erasure"]
            self._dice.shuffle(steps)
            left = list(self._watch("power cut in a change", steps, disk, told))
            for image, before in self._dice.sample(left, min(len(left), 20 + len(left) // 20)):
                for _ in self._watch("power cut in a change, again", steps, restart(image), set(before)):
                    pass

    def _power_cuts(self, files: list[Work]) -> None:
        """Power cuts in a night; and, from a sample of what they leave, in the night after it."""
        left = list(self._watch("power cut", files, SimulatedDisk(), set()))
        for image, told in self._dice.sample(left, len(left) // 5):
            for _ in self._watch("power cut in recovery", files, restart(image), set(told)):
                pass

    def _kill_then_power_cut(self, files: list[Work]) -> None:
        """A night is killed and the machine stays up; the power fails in the next one."""
        for at in self._moments(files, 12):
            disk, told = SimulatedDisk(), set[str]()
            disk.after = _countdown(at, _pull)
            try:
                self.ways.night(disk, files, told)
            except PowerCut:
                disk.after = _ignore
                for _ in self._watch("power cut after a kill", files, disk, told):
                    pass

    def _second_writer(self, files: list[Work]) -> None:
        """Another night, that no lock kept out, does all its work between two calls of the first one.

        It began either just then, or before the first one.
        """
        assert isinstance(files[0], File)
        twin = File("twin", files[0].parts, files[0].sealed)
        for at in self._moments(files, 4):
            disk, told = SimulatedDisk(), set[str]()
            early = self.ways.open(disk)
            began_early = self._dice.random() < 0.5
            with early[0].storage.writing():
                pass
            others = [*self._files(), twin, *(files if self._dice.random() < 0.5 else ())]
            self._dice.shuffle(others)
            if isinstance(files[-1], Deed) and self._dice.random() < 0.5:
                others = files[-1:]
            night = partial(self.ways.work, *early) if began_early else None

            def interrupt(
                disk: SimulatedDisk = disk,
                told: set[str] = told,
                others: list[Work] = others,
                night: Any = night,
            ) -> None:
                disk.after = _ignore
                for _ in self._watch("two writers", others, disk, told, night):
                    pass

            disk.after = _countdown(at, interrupt)
            self.ways.night(disk, files, told)
            for image in disk.survivors(self._dice):
                self._check("two writers", image, told)

    def _moments(self, files: list[Work], most: int) -> list[int]:
        """Some of the calls of a night, by number."""
        calls = []
        disk = SimulatedDisk()
        disk.after = lambda call, path: calls.append(call)
        self.ways.night(disk, files, set())
        return self._dice.sample(range(1, len(calls)), min(most, len(calls) - 1))

    def _watch(
        self,
        kind: str,
        files: Sequence[Work],
        disk: SimulatedDisk,
        told: set[str],
        night: Callable[[Sequence[Work], set[str]], None] | None = None,
    ) -> Iterator[tuple[Image, frozenset[str]]]:
        """Run a night; check what a power cut would leave after each of its calls. Yields what was new."""
        found: list[tuple[Image, frozenset[str]]] = []

        def look(_call: str, _path: str) -> None:
            for image in disk.survivors(self._dice):
                if self._check(kind, image, told):
                    found.append((image, frozenset(told)))

        disk.after = look
        if night:
            night(files, told)
        else:
            self.ways.night(disk, files, told)
        look("", "")
        disk.after = _ignore
        yield from found

    def _check(self, kind: str, image: Image, told: set[str]) -> bool:
        """Open the log on what is left and see that no promise is broken. Returns whether this was new."""
        key = hash((image, frozenset(told)))
        if key in self._seen:
            return False
        self._seen.add(key)
        self.kinds[kind] += 1
        self._left -= 1
        if self._left < 0:
            raise Enough
        disk = restart(image)
        self._promises(disk, told)
        if self.states % 4 == 0:  # the next night completes
            late = File("late", (b"late",), b"sealed")
            self.ways.night(disk, [late], told := told | {"late"})
            self._promises(disk, told)
        return True

    def _promises(self, disk: SimulatedDisk, told: set[str]) -> None:
        storage = LocalStorage(Path("/study/log"), disk=disk)
        log = EventLog(storage)
        commits = log.commits()  # the chain is whole
        names = [name_of(c) for c in commits if not c.change]
        if not (told - {"erasure", "compaction"}).issubset(names):
            raise ViolationError("an acknowledged delivery is lost")
        if len(set(names)) < len(names):
            raise ViolationError("a delivery is there twice")
        if any(seq >= c.seq for c in commits if c.act for seq in c.act.commits):
            raise ViolationError("a deed stands before its delivery")
        if len(storage.names("commits")) > len(commits):
            raise ViolationError("a commit stands behind a gap")
        held = b""
        for stored in log.layout.files("site-a"):
            data = storage.read(stored.segment.name)
            if sha256(data) != stored.segment.sha256:
                raise ViolationError("a segment is not whole")
            held += data
        for commit in commits:
            sealed = log.layout.sealed_now("site-a", commit.quarantine_sha256)
            if sealed and sha256(disk.read(f"/study/quarantine/site-a/{sealed}.ndjson")) != sealed:
                raise ViolationError("held-back lines are not whole")
        parts = [part for name in told & self._brought.keys() for part in self._brought[name].parts]
        if any(part.removesuffix(SECRET) not in held for part in parts):
            raise ViolationError("rows are lost with the segment they were in")
        if "erasure" in told and any(SECRET in data for data in disk.bytes):
            raise ViolationError("an erased person is still there")


def _ignore(_call: str, _path: str) -> None:
    pass


def _pull() -> None:
    raise PowerCut


def _countdown(calls: int, then: Callable[[], None]) -> Callable[[str, str], None]:
    left = [calls]

    def count(_call: str, _path: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            then()

    return count


@pytest.mark.parametrize("share", range(SHARES))
def test_no_power_cut_breaks_a_promise(share: int) -> None:
    explorer = Explorer(Ways(), share)
    explorer.run(STATES // SHARES)
    print(f"{explorer.states:,} situations: {dict(explorer.kinds)}")
    assert explorer.states >= STATES // SHARES
    assert len(explorer.kinds) == 6
    assert min(explorer.kinds.values()) > 20


# --- protocols with a mistake -----------------------------------------------------------------

PUT = ("create", "sync", "link", "settle", "unlink")


class Broken(LocalStorage):
    """Puts the objects of one folder with other steps than the real one."""

    def __init__(self, root: Path, *, steps: tuple[str, ...], where: str, **more: Any) -> None:
        super().__init__(root, **more)
        self._steps, self._where = steps, where

    def put(self, name: str, data: bytes) -> bool:
        if not name.startswith(self._where):
            return super().put(name, data)
        disk, target = self._disk, self.locate(name)
        folder, tmp = self._made(target.rpartition("/")[0]), self._made(self.locate("tmp"))
        waiting = target if "unlink" not in self._steps else f"{tmp}/{random.getrandbits(64):016x}"
        created = not disk.exists(target)
        does = {
            "create": lambda: disk.create(waiting, data, 0o644),
            "sync": lambda: disk.sync(waiting),
            "link": lambda: created and disk.link(waiting, target),
            "overwrite": lambda: (created or not disk.unlink(target)) and disk.link(waiting, target),
            "settle": lambda: disk.sync_folder(folder),
            "settle if created": lambda: created and disk.sync_folder(folder),
            "settle the wrong folder": lambda: disk.sync_folder(tmp),
            "unlink": lambda: disk.unlink(waiting),
        }
        if created or waiting != target:
            for step in self._steps:
                does[step]()
        return created


class ForgetsFolders(LocalStorage):
    """Makes folders without making their names durable."""

    def _made(self, folder: str) -> str:
        if not self._disk.is_folder(folder):
            parent = folder.rpartition("/")[0]
            if not self._disk.is_folder(parent):
                self._made(parent)
            self._disk.make_folder(folder, 0o755)
        return folder


class TrustsFolders(LocalStorage):
    """Takes a folder that is there for durable, though a killed writer may have made it."""

    def _made(self, folder: str) -> str:
        return folder if self._disk.is_folder(folder) else super()._made(folder)


class SettlesNothing(LocalStorage):
    """Builds on what it reads, without making it durable first."""

    def settle(self, prefix: str) -> None:
        pass


def commit_first(log: EventLog, quarantine: LocalStorage, file: File) -> None:
    after = log.head()
    if known(log, file):
        return
    commit(log, after, file, tuple(Segment(sha256(part), len(part), 1) for part in file.parts))
    for part in file.parts:
        log.put_segment(part, 1)
    if file.sealed:
        quarantine.put(f"site-a/{sha256(file.sealed)}.ndjson", file.sealed)


def seal_last(log: EventLog, quarantine: LocalStorage, file: File) -> None:
    bring(log, LocalStorage(Path("/study/elsewhere"), disk=SimulatedDisk()), file)  # seals nothing here
    if file.sealed:
        quarantine.put(f"site-a/{sha256(file.sealed)}.ndjson", file.sealed)


def trust_what_is_known(log: EventLog, quarantine: LocalStorage, file: File) -> None:
    """Takes a delivery that it can read for durable."""
    if not any(c.receipt.file_name == file.name for c in log.commits()):
        bring(log, quarantine, file)


def append_blindly(log: EventLog, quarantine: LocalStorage, file: File) -> None:
    """Decides on one head and appends after another."""
    if known(log, file):
        return None
    if file.sealed:
        quarantine.put(f"site-a/{sha256(file.sealed)}.ndjson", file.sealed)
    stored = tuple(log.put_segment(part, 1) for part in file.parts)
    while True:
        with suppress(RacedError):
            return commit(log, log.head(), file, stored)


def give_up_the_race(log: EventLog, quarantine: LocalStorage, file: File) -> None:
    if known(log, file):
        return
    after = log.head()
    if file.sealed:
        quarantine.put(f"site-a/{sha256(file.sealed)}.ndjson", file.sealed)
    try:
        commit(log, after, file, tuple(log.put_segment(part, 1) for part in file.parts))
    except RacedError:
        return


def act_without_a_look(log: EventLog, quarantine: LocalStorage, deed: Deed) -> None:
    """Does not see, when it lost a race, that somebody else has done it."""
    delivered(log, quarantine, deed)
    done = known(log, deed)
    while not done:
        after = log.head()
        try:
            commit_deed(log, after, deed, tuple(log.put_segment(part, 1) for part in deed.parts))
        except RacedError:
            continue
        done = True


def release_commit_first(log: EventLog, quarantine: LocalStorage, deed: Deed) -> None:
    delivered(log, quarantine, deed)
    while not known(log, deed):
        with suppress(RacedError):
            commit_deed(log, log.head(), deed, tuple(Segment(sha256(p), len(p), 1) for p in deed.parts))
    for part in deed.parts:
        log.put_segment(part, 1)


def remove_first(log: EventLog, sealing: LocalStorage, kind: Kind) -> None:
    """Takes the segments away before the commit says what stands for them."""
    real = log.append

    def append(*args: Any, **more: Any) -> Any:
        for swap in more["change"].segments:
            for old in swap.old:
                log.storage.remove(Segment(old, 0, 0).name)
        return real(*args, **more)

    log.append = append  # type: ignore[method-assign]
    change(log, sealing, kind)


def forget_the_unused(log: EventLog, sealing: LocalStorage, kind: Kind) -> None:
    """Overlooks what writers that died had stored before their commit."""
    real = log.append

    def append(*args: Any, **more: Any) -> Any:
        return real(*args, **(more | {"change": replace(more["change"], unused=())}))

    log.append = append  # type: ignore[method-assign]
    change(log, sealing, kind)


def commit_before_the_new(log: EventLog, sealing: LocalStorage, kind: Kind) -> None:
    """Says what stands for old segments before it is stored."""
    real, late = log.put_segment, []

    def put_segment(data: bytes, rows: int, root: str | None = None) -> Segment:
        late.append(data)
        return Segment(sha256(data), len(data), rows, root)

    log.put_segment = put_segment  # type: ignore[method-assign]
    change(log, sealing, kind)
    for data in late:
        real(data, 1)


class ForgetsToRemove(LocalStorage):
    """Removes without making it durable."""

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._disk.unlink(self.locate(name))


class LeavesUnfinished(LocalStorage):
    """Does not look where half-written things lie."""

    def remove_unfinished(self) -> None:
        pass


def without(step: str) -> tuple[str, ...]:
    return tuple(other for other in PUT if other != step)


def instead(step: str, other: str) -> tuple[str, ...]:
    return tuple(other if each == step else each for each in PUT)


LINK_FIRST = ("create", "link", "sync", "settle", "unlink")
SETTLE_FIRST = ("create", "sync", "settle", "link", "unlink")
IN_PLACE = ("create", "sync", "settle")
STEPS = {
    f"{what} ({where})": partial(Broken, steps=steps, where=where)
    for where in ("segments", "commits", "site-a")
    for what, steps in {
        "no sync of the bytes": without("sync"),
        "no sync of the folder": without("settle"),
        "sync of the wrong folder": instead("settle", "settle the wrong folder"),
        "link before sync": LINK_FIRST,
        "folder before link": SETTLE_FIRST,
        "written in place": IN_PLACE,
    }.items()
}
MUTANTS = {name: Ways(storage=storage) for name, storage in STEPS.items()} | {
    "commits are overwritten": Ways(
        storage=partial(Broken, steps=instead("link", "overwrite"), where="commits")
    ),
    "a name that was taken is not settled": Ways(
        storage=partial(Broken, steps=instead("settle", "settle if created"), where="segments")
    ),
    "new folders are not settled": Ways(storage=ForgetsFolders),
    "folders found are taken for durable": Ways(storage=TrustsFolders),
    "what is found is taken for durable": Ways(storage=SettlesNothing),
    "a known delivery is taken for durable": Ways(bring=trust_what_is_known),
    "commit before segments": Ways(bring=commit_first),
    "sealed after the commit": Ways(bring=seal_last),
    "decided on one head, appended after another": Ways(bring=append_blindly),
    "the loser of a race gives up": Ways(bring=give_up_the_race),
    "the loser of a race does again what was done": Ways(act=act_without_a_look),
    "commit before the segments of a release": Ways(act=release_commit_first),
    "removed before the commit": Ways(change=remove_first),
    "removed, but not for good": Ways(storage=ForgetsToRemove),
    "half-written things are left": Ways(storage=LeavesUnfinished),
    "what no commit refers to is left": Ways(change=forget_the_unused),
    "a commit before what it puts in place": Ways(change=commit_before_the_new),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mistake_in_the_protocol_is_caught(mutant: str) -> None:
    with pytest.raises(ViolationError):
        Explorer(MUTANTS[mutant], 0).run(100_000)
