"""What a person sees while a night runs."""

from __future__ import annotations

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


@dataclass
class Watcher:
    """Collects what a night did; a subclass may also show it.

    Args:
        commits: new commits.
        steps: models built.
        target: file that was published.
        pages: reports written.
    """

    commits: list[Commit] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    target: Path | None = None
    pages: list[Path] = field(default_factory=list)

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


def watcher() -> Watcher:
    """Who watches this night; somebody who only collects if nobody does."""
    return _current.get() or Watcher()


@contextmanager
def watched_by(someone: Watcher) -> Iterator[Watcher]:
    """Let someone watch what runs inside."""
    token = _current.set(someone)
    try:
        yield someone
    finally:
        _current.reset(token)
