"""Law: what `receive`, `release`, `void`, `compact` and `erase` really do to the disk survives a power cut after any call.

`test_powercut.py` enumerates millions of situations, with the steps of these acts written out small. Here the acts
themselves run, on a real folder; each of their system calls is made on the simulated disk too, and what a power cut may
leave of that is looked at, and, now and then, put into a folder in which the next night runs.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dyadlog.assets.event_log import storage, witness
from dyadlog.assets.event_log.log import EventLog
from dyadlog.assets.event_log.quarantine import Quarantine
from dyadlog.assets.event_log.records import sha256
from dyadlog.assets.event_log.storage import LocalStorage
from dyadlog.assets.intake.files import scan
from dyadlog.assets.intake.receive import at_work, merge_segments, open_log, remove_merged
from dyadlog.schemas.errors import LogDamagedError
from tests.conftest import LONG, STUDY, client, phq, session
from tests.powercut import FOLDER, Image, SimulatedDisk, restart
from tests.test_acts import ABSOLUTE, Steward, dated
from tests.test_acts_properties import delivery_of
from tests.test_erasure import GONE, MARK, holding, lines, prove, take_out

SITUATIONS = 60 if LONG else 4  # looked at after each call
NIGHTS = 200 if LONG else 6  # of them followed by a night
CHANGES = ("create", "sync", "sync_folder", "link", "unlink", "make_folder")
FILES = {
    "1.ndjson": [
        client(GONE),
        session(1, GONE),
        client(),
        session(1),
        dated(2),
        {"event_id": MARK, "client_id": GONE},
    ],
    "2.ndjson": [session(1), session(2, GONE), phq(1, 1), dated(3), {"event_id": "bad"}],
    "3.ndjson": [session(4), phq(4, 2)],
}


class Killed(BaseException):
    """The process ended here."""


class Shadow:
    """Makes each call on a real study folder on a simulated disk, too.

    Args:
        lab: the study.
    """

    def __init__(self, lab: Steward) -> None:
        self.disk = SimulatedDisk()
        self.calls: list[str] = []
        self.after: Callable[[], None] = lambda: None
        self._root = lab.folder.absolute().as_posix()

    @contextmanager
    def following(self) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patched:
            for name in CHANGES:
                patched.setattr(storage.PosixDisk, name, self._both(name, getattr(storage.PosixDisk, name)))
            patched.setattr(witness, "write_durably", self._signed)
            yield

    def _both(self, name: str, real: Callable[..., None]) -> Any:
        def call(disk: storage.PosixDisk, path: str, *more: Any) -> None:
            before = disk.is_folder(path)
            real(disk, path, *more)
            if not path.startswith(self._root):  # what lies above the study is there
                return
            self._there(self._in_shadow(path).rpartition("/")[0])
            told = [self._in_shadow(one) if isinstance(one, str) else one for one in more]
            if name != "make_folder" or not before:
                getattr(self.disk, name)(self._in_shadow(path), *told)
            self.calls.append(name)
            self.after()

        return call

    def _signed(self, path: Path, data: bytes) -> None:
        """The steps of `write_durably`, by which the signed head appears."""
        storage.write_durably(path, data)
        target = self._in_shadow(path.as_posix())
        folder, waiting = target.rpartition("/")[0], f"{target}.new"
        for step in (
            lambda: self.disk.make_folder(folder, 0o755),
            lambda: self.disk.create(waiting, data, 0o644),
            lambda: self.disk.sync(waiting),
            lambda: self.disk.replace(waiting, target),
            lambda: self.disk.sync_folder(folder),
        ):
            step()
            self.after()

    def _in_shadow(self, path: str) -> str:
        return path.replace(self._root, "/study", 1)

    def _there(self, folder: str) -> None:
        """A folder that somebody else has made is there for good."""
        if folder and folder not in self.disk.now:
            parent, _, name = folder.rpartition("/")
            self._there(parent)
            self.disk.now[folder], self.disk.safe[folder] = {}, {}
            self.disk.now[parent][name] = self.disk.safe[parent][name] = FOLDER


def promises(image: Image, acknowledged: list[str], gone: set[str]) -> None:
    """What was acknowledged is there, whole, and in its place; what had to go is gone."""
    disk = restart(image)
    log = EventLog(LocalStorage(Path("/study/log"), disk=disk))
    quarantine = Quarantine(LocalStorage(Path("/study/quarantine"), private=True, disk=disk))
    commits = log.commits()
    assert [log.digest_of(c.seq) for c in commits[: len(acknowledged)]] == acknowledged
    for site_id in ("site-a",):
        for stored in log.layout.files(site_id):
            assert sha256(log.storage.read(stored.segment.name)) == stored.segment.sha256
    for commit in commits:
        sealed = log.layout.sealed_now(commit.receipt.site_id, commit.quarantine_sha256)
        assert sealed is None or sha256(quarantine.sealed(commit.receipt.site_id, sealed)) == sealed
    assert gone.isdisjoint(f"{path}/{name}" for path, entries in disk.now.items() for name in entries)


class Story:
    """A study in which everything is done once, with a look at the disk after each call.

    Args:
        lab: the study.
        dice: which situations are looked at.
    """

    def __init__(self, lab: Steward, dice: random.Random) -> None:
        self.lab, self.dice = lab, dice
        self.shadow = Shadow(lab)
        self.acknowledged: list[str] = []
        self.gone: set[str] = set()
        self.looked_at: list[tuple[Image, tuple[str, ...]]] = []

    def acts(self) -> dict[str, Callable[[], object]]:
        lab = self.lab
        first = FILES["1.ndjson"]
        return {
            "receive": lambda: self._drop("1.ndjson") and lab.receive(),
            "receive what is known in part": lambda: self._drop("2.ndjson") and lab.receive(),
            "receive what is known": lambda: (
                lab.drop("site-a", "1-again.ndjson", lines(first)) and lab.receive()
            ),
            "release": lambda: lab.allow(ABSOLUTE) or lab.release(),
            "compact": self._compact,
            "erase": self._erase,
            "void": lambda: lab.void("site-a", delivery_of(open_log(lab.study), "site-a", FILES["2.ndjson"])),
            "receive after all that": lambda: self._drop("3.ndjson") and lab.receive(),
        }

    def _drop(self, name: str) -> Path:
        return self.lab.drop("site-a", name, lines(FILES[name]))

    def _compact(self) -> None:
        log = open_log(self.lab.study)
        with at_work(self.lab.study, log):
            assert merge_segments(self.lab.study, log, "site-a", 2, clock=lambda: self.lab.clock)
            self.lab.clock += timedelta(days=99)
            remove_merged(self.lab.study, log, clock=lambda: self.lab.clock)

    def _erase(self) -> None:
        held = holding(self.lab.folder)
        take_out(self.lab)
        self.gone |= {f"/study/{name}" for name in held if name.startswith(("log/", "quarantine/"))}

    def run(self, look: Callable[[], None] | None = None) -> None:
        self.shadow.after = look or self.look
        with self.shadow.following():
            for act in self.acts().values():
                act()
                self.acknowledge()

    def acknowledge(self) -> None:
        log = open_log(self.lab.study)
        self.acknowledged = [log.digest_of(c.seq) for c in log.commits()]
        self.look()

    def look(self) -> None:
        for image in self.shadow.disk.some_survivors(self.dice, SITUATIONS):
            promises(image, self.acknowledged, self.gone)
            self.looked_at.append((image, tuple(sorted(f.path.name for f in scan(self.lab.study).files))))


def test_no_power_cut_in_a_real_act_breaks_a_promise(tmp_path: Path) -> None:
    story = Story(Steward(tmp_path / "study"), random.Random(1))
    story.run()
    assert len(story.acknowledged) == 9  # of two deliveries lines were released
    assert len(story.shadow.calls) > 150
    assert len(story.looked_at) > 150 * SITUATIONS
    for number, (image, names) in enumerate(story.dice.sample(story.looked_at, NIGHTS)):
        the_next_night_completes(tmp_path / str(number), image, names)


def the_next_night_completes(folder: Path, image: Image, names: tuple[str, ...]) -> None:
    """All files that lie there are in the log afterwards, and the log proves itself."""
    lab = Steward(folder, STUDY + ABSOLUTE)
    for path, entries in restart(image).now.items():
        place = folder / path.removeprefix("/study").lstrip("/")
        place.mkdir(parents=True, exist_ok=True)
        for name, what in entries.items():
            if what != FOLDER:
                (place / name).write_bytes(restart(image).read(f"{path}/{name}"))
    for name in names:
        lab.drop("site-a", name, lines(FILES[name.replace("-again", "")]))
    lab.receive()
    log = open_log(lab.study)
    assert {c.receipt.file_name for c in log.commits()} >= set(names)
    assert prove(lab) == len(log.commits())
    lab.build()


def test_no_power_cut_after_a_kill_breaks_a_promise(tmp_path: Path) -> None:
    """A night is killed after some call and the machine stays up; the power fails after the next night has spoken."""
    whole = Story(Steward(tmp_path / "whole"), random.Random(2))
    with whole.shadow.following():
        whole.acts()["receive"]()
    calls = whole.shadow.calls
    moments = [n for n, call in enumerate(calls, 1) if LONG or call == "link" or n % 6 == 0]
    for moment in moments:
        story = Story(Steward(tmp_path / str(moment)), random.Random(moment))

        def kill(story: Story = story, moment: int = moment) -> None:
            if len(story.shadow.calls) == moment:
                raise Killed

        story.shadow.after = kill
        with story.shadow.following():
            with suppress(Killed):
                story.acts()["receive"]()
            story.lab.receive()
            story.acknowledge()


def late_seals(patched: pytest.MonkeyPatch) -> None:
    """Sealed lines are stored after the commit that speaks of them."""
    keep, append, late = Quarantine.keep, EventLog.append, []

    def kept(self: Quarantine, site_id: str, held: Any) -> str:
        class Nowhere(Quarantine):
            def __init__(self) -> None:
                self._storage: Any = type("Storage", (), {"put": staticmethod(lambda *_: True)})()

        late.append((self, site_id, held))
        return keep(Nowhere(), site_id, held)

    def appended(self: EventLog, *args: Any, **more: Any) -> Any:
        found = append(self, *args, **more)
        while late:
            keep(*late.pop())
        return found

    patched.setattr(Quarantine, "keep", kept)
    patched.setattr(EventLog, "append", appended)


def no_settling(patched: pytest.MonkeyPatch) -> None:
    """What is found in the log is taken for durable."""
    patched.setattr(EventLog, "settle", lambda _self: None)
    patched.setattr(LocalStorage, "settle", lambda _self, _prefix: None)


def early_removal(patched: pytest.MonkeyPatch) -> None:
    """Segments go before the commit that puts another in their place."""
    append = EventLog.append

    def appended(self: EventLog, *args: Any, **more: Any) -> Any:
        for swap in more["change"].segments if more.get("change") else ():
            for stored in self.layout.files("site-a"):
                if stored.segment.sha256 in swap.old:
                    self.storage.remove(stored.segment.name)
        return append(self, *args, **more)

    patched.setattr(EventLog, "append", appended)


@pytest.mark.parametrize("mistake", [late_seals, no_settling, early_removal])
def test_a_mistake_in_a_real_act_is_caught(
    tmp_path: Path, mistake: Callable[[pytest.MonkeyPatch], None]
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        mistake(patched)
        explored = test_no_power_cut_in_a_real_act_breaks_a_promise
        if mistake is no_settling:
            explored = test_no_power_cut_after_a_kill_breaks_a_promise
        with pytest.raises((AssertionError, OSError, LogDamagedError)):
            explored(tmp_path)
