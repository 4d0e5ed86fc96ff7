"""What a person sees while a night runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dyadlog.assets.event_log.records import Commit
from dyadlog.assets.intake.files import Landed

if TYPE_CHECKING:
    from dyadlog.assets.warehouse.build import Step


# Parts of the night.
RECEIVED, BUILT, PUBLISHED = "deliveries received", "marts", "marts published"


@dataclass(frozen=True)
class Lap:
    """What a part of the night took: seconds, and the process' peak memory so far (MB)."""

    name: str
    seconds: float
    peak_megabytes: float


@dataclass
class Watcher:
    """Collects what a night did; a subclass may also show it.

    Args:
        commits: new commits.
        steps: models built.
        laps: parts of the night, in order.
        target: file that was published.
        pages: reports written.
        unsent: sentences about messages that could not be sent.
    """

    commits: list[Commit] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    laps: list[Lap] = field(default_factory=list)
    target: Path | None = None
    pages: list[Path] = field(default_factory=list)
    unsent: list[str] = field(default_factory=list)

    @contextmanager
    def lap(self, name: str) -> Iterator[None]:
        """Measure a part of the night."""
        start = time.perf_counter()
        yield
        from dyadlog.assets.warehouse.work import peak_megabytes

        self.laps.append(Lap(name, time.perf_counter() - start, peak_megabytes()))

    def reading(self, landed: Landed, size: int) -> None:
        """Some of a file was read."""

    def received(self, landed: Landed, commit: Commit | None) -> None:  # noqa: ARG002 - for those who show it
        """A file was dealt with."""
        if commit is not None:
            self.commits.append(commit)

    def built(self, step: Step) -> None:
        """A model was built."""
        self.steps.append(step)

    def published(self, target: Path) -> None:
        """The marts were published."""
        self.target = target

    def reported(self, page: Path) -> None:
        """A report was written."""
        self.pages.append(page)


_current: ContextVar[Watcher | None] = ContextVar("watcher", default=None)
_collector: ContextVar[Watcher | None] = ContextVar("collector", default=None)


def is_watched() -> bool:
    """Whether somebody watches, and so will say how the night went."""
    return _current.get() is not None


def watcher() -> Watcher:
    """Who watches this night; somebody who only collects if nobody does."""
    return _current.get() or _collector.get() or Watcher()


def begin() -> None:
    """A night begins: where nobody watches, somebody new collects."""
    _collector.set(None if is_watched() else Watcher())


@contextmanager
def watched_by(someone: Watcher) -> Iterator[Watcher]:
    """Let someone watch what runs inside."""
    token = _current.set(someone)
    try:
        yield someone
    finally:
        _current.reset(token)
