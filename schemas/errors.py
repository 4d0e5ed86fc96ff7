"""The errors that are meant for people."""

from __future__ import annotations


class UserError(Exception):
    """A mistake that the person at the keyboard can mend; shown without a traceback, exit code 2.

    The text says what is wrong, where, and how to fix it, and never holds a value from a record.
    """


class StudyError(UserError):
    """`study.yaml`, a mapping or an instrument file does not say what it must.

    Args:
        problems: one sentence per mistake, each with file, line and key.
    """

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


class LogDamagedError(Exception):
    """The event log does not verify; the text names the file and the commit."""
