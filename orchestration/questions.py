"""The cookbook: 32 questions of analysts, each one SELECT on the published marts (`examples/questions/`)."""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import dyadlog.examples
from dyadlog.schemas.errors import UserError
from dyadlog.schemas.study import Study

_HEADER = re.compile(
    r"-- (?P<number>\d+)\. (?P<question>.+?)\nReading: (?P<reading>.+?)\nCaveats: (?P<caveats>.+)", re.DOTALL
)
# Rows of a result on the page.
_SHOWN = 6


@dataclass(frozen=True)
class Question:
    """One question.

    Args:
        number: its number.
        question: the question.
        reading: how to read the result.
        caveats: what it does not say.
        sql: one SELECT, with the header comment.
    """

    number: int
    question: str
    reading: str
    caveats: str
    sql: str


@cache
def questions() -> dict[int, Question]:
    """All questions by number."""
    folder = Path(next(iter(dyadlog.examples.__path__))) / "questions"
    found = [_read(path.read_text("utf-8")) for path in sorted(folder.glob("*.sql"))]
    return {question.number: question for question in found}


def _read(sql: str) -> Question:
    comment = [line for line in sql.splitlines() if line.startswith("--")]
    text = "\n".join(line.removeprefix("-- ") if ": " in line[:12] else line for line in comment)
    header = _HEADER.fullmatch(text)
    if header is None:
        raise ValueError(f"a question needs number, reading and caveats: {comment[:1]}")
    parts = {name: re.sub(r"\s*\n--\s*", " ", said) for name, said in header.groupdict().items()}
    number = int(parts.pop("number"))
    return Question(number, **{name: said[0].upper() + said[1:] for name, said in parts.items()}, sql=sql)


def list_questions() -> None:
    """Print all questions."""
    from rich.table import Table

    from dyadlog.orchestration.screen import console

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(justify="right")
    table.add_column()
    for question in questions().values():
        table.add_row(str(question.number), question.question)
    console().print(table)


def ask_question(number: int, study: Callable[[], Study], *, as_csv: bool, as_of: str | None = None) -> None:
    """Print the answer to a question, and how to read it.

    Args:
        number: the question.
        study: reads the study.
        as_csv: only the result, as text with commas.
        as_of: ask the marts of an earlier commit or day.

    Raises:
        UserError: there is no such question, or nothing is published yet.
    """
    from dyadlog.orchestration.query import ask
    from dyadlog.orchestration.screen import console

    known = questions()
    if number not in known:
        raise UserError(f"there is no question {number}; `dyadlog ask` lists {min(known)} to {max(known)}")
    question, of = known[number], study()
    if as_csv:
        ask(of, question.sql, as_csv=True, as_of=as_of)
        return
    out = console()
    out.print(f"{number}. {question.question}", style="bold", highlight=False)
    ask(of, question.sql, as_csv=False, as_of=as_of)
    out.print(f"Reading: {question.reading}", highlight=False)
    out.print(f"Caveats: {question.caveats}", highlight=False)


# --- the page -------------------------------------------------------------------------------


def page() -> str:
    """The page of all questions with their results on the example study, as Markdown."""
    from dyadlog.assets.intake.receive import open_log, receive
    from dyadlog.assets.warehouse.build import build_all
    from dyadlog.orchestration.examples import init_study
    from dyadlog.orchestration.query import connect
    from dyadlog.schemas.study import read_study

    lines = [
        "# Questions",
        "",
        "`dyadlog ask` lists them, `dyadlog ask 9 -s my-study` answers one; the statements stand in `examples/questions/`, to be",
        "copied and changed. The results below are those of the example `quickstart`: 36 simulated clients at three sites, so that",
        f"intervals are wide and some cells empty. Nothing in them is evidence about people. Of long results the first {_SHOWN} rows.",
        "",
    ]
    with tempfile.TemporaryDirectory() as folder:
        init_study(Path(folder) / "study", "quickstart", None)
        study = read_study(Path(folder) / "study")
        log = open_log(study)
        list(receive(study, log, clock=lambda: datetime(2026, 3, 14, 2, tzinfo=UTC)))
        build_all(study, log)
        with connect(study) as duck:
            for question in questions().values():
                result = duck.execute(question.sql)
                names = [column[0] for column in result.description or []]
                lines += _section(question, names, result.fetchall())
    return "\n".join(lines)


def _section(question: Question, names: list[str], rows: list[tuple[object, ...]]) -> list[str]:
    table = [names, ["---"] * len(names), *([_cell(cell) for cell in row] for row in rows[:_SHOWN])]
    more = [f"{len(rows)} rows in all.", ""] if len(rows) > _SHOWN else []
    return [
        f"## {question.number}. {question.question}",
        "",
        question.reading,
        "",
        *(["| " + " | ".join(row) + " |" for row in table] if rows else ["No rows in this study."]),
        "",
        *more,
        f"*{question.caveats}*",
        "",
    ]


def _cell(cell: object) -> str:
    return "" if cell is None else f"{cell:.3g}" if isinstance(cell, float) else str(cell)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), "utf-8")
