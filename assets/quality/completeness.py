"""Expected and received forms as a small matrix: measures by session numbers, in bands if there are many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dyadlog.assets.quality.facts import Forms
from dyadlog.assets.quality.words import counted, listing, number
from dyadlog.schemas.protocol import Every, Measure
from dyadlog.schemas.study import Study

COLUMNS = 12
_WIDTHS = (1, 2, 3, 4, 5, 10, 20, 25, 50, 100, 200, 250, 500, 1000)

State = Literal["not_due", "none", "few", "some", "most", "all"]

_OCCASIONS = {"pre_session": "before", "post_session": "after", "between_sessions": "between"}


@dataclass(frozen=True)
class Cell:
    """Forms of one measure in one band.

    Args:
        expected: forms expected.
        received: forms in use.
        state: the shade: `most` reaches the study's limit, `some` is at least half.
    """

    expected: int
    received: int
    state: State


@dataclass(frozen=True)
class Row:
    """One measure of study.yaml.

    Args:
        measure_id: its id.
        instrument: name of the instrument.
        rater: who fills it in.
        due: when it is due, in words.
        expected: forms expected.
        received: forms in use.
        verdict: the row in words.
        cells: one per band.
    """

    measure_id: str
    instrument: str
    rater: str
    due: str
    expected: int
    received: int
    verdict: str
    cells: list[Cell]


@dataclass(frozen=True)
class Matrix:
    """The whole matrix.

    Args:
        bands: heads of the columns.
        rows: one per measure, in the order of study.yaml.
        expected: all forms expected.
        received: those in use.
    """

    bands: list[str]
    rows: list[Row]
    expected: int
    received: int


def matrix(study: Study, forms: Sequence[Forms]) -> Matrix:
    """Arrange a site's forms."""
    edges = _bands([f.session_number for f in forms if f.session_number is not None])
    once = any(f.session_number is None for f in forms)
    bands = (["once"] if once else []) + [str(a) if a == b else f"{a}–{b}" for a, b in edges]
    rows = [
        _row(study, measure, [f for f in forms if f.measure_id == measure.id], edges, once)
        for measure in study.protocol.measures
    ]
    return Matrix(bands, rows, sum(row.expected for row in rows), sum(row.received for row in rows))


def _bands(sessions: Sequence[int]) -> list[tuple[int, int]]:
    """First and last session number of each column. Session 0 (before treatment) is never mixed with others."""
    if not sessions:
        return []
    low, high = min(sessions), max(sessions)
    width = next(w for w in _WIDTHS if -(-(high - low + 1) // w) <= COLUMNS)
    if width == 1:
        return [(number, number) for number in range(low, high + 1)]
    zero = [(0, 0)] if low == 0 else []
    start = max(1, low - (low - 1) % width)
    return zero + [(a, min(a + width - 1, high)) for a in range(start, high + 1, width)]


def _row(study: Study, measure: Measure, forms: list[Forms], edges: list[tuple[int, int]], once: bool) -> Row:
    enough = study.protocol.thresholds.completeness_warn
    groups = [[f for f in forms if f.session_number is None]] if once else []
    for low, high in edges:
        groups.append([f for f in forms if f.session_number is not None and low <= f.session_number <= high])
    expected, received = sum(f.expected for f in forms), sum(f.received for f in forms)
    return Row(
        measure_id=measure.id,
        instrument=study.instruments[measure.instrument].name,
        rater=measure.rater,
        due=_due(measure),
        expected=expected,
        received=received,
        verdict=_verdict(study, measure, expected, received),
        cells=[_cell(group, enough) for group in groups],
    )


def _cell(forms: list[Forms], enough: float) -> Cell:
    expected, received = sum(f.expected for f in forms), sum(f.received for f in forms)
    return Cell(expected, received, _state(expected, received, enough))


def _state(expected: int, received: int, enough: float) -> State:
    if not expected:
        return "not_due"
    if not received:
        return "none"
    if received >= expected:
        return "all"
    if received >= expected * enough:
        return "most"
    return "some" if 2 * received >= expected else "few"


def _verdict(study: Study, measure: Measure, expected: int, received: int) -> str:
    """The row in words; nothing is said of nothing, and little of little."""
    if measure.occasion == "follow_up":
        return "not judged: no due date for follow-ups yet"
    if not expected:
        return "nothing due yet"
    missing = expected - received
    if not missing:
        return "complete"
    if expected < study.protocol.thresholds.completeness_min_expected:
        return f"{number(missing)} missing; too few due to judge"
    low = received < expected * study.protocol.thresholds.completeness_warn
    return f"{number(missing)} missing{', below the study’s limit' if low else ''}"


def _due(measure: Measure) -> str:
    """When the form is due, in words."""
    if measure.occasion in ("intake", "end", "follow_up"):
        return {"intake": "once at intake", "end": "once at the end", "follow_up": "at follow-up"}[
            measure.occasion
        ]
    where = _OCCASIONS[measure.occasion]
    sessions = measure.sessions
    if isinstance(sessions, Every):
        every = "every session" if sessions.every == 1 else f"every {sessions.every}th session"
        return f"{where} {every} from {sessions.start}"
    if isinstance(sessions, tuple):
        return (
            f"{where} {'session' if len(sessions) == 1 else 'sessions'} {listing([str(s) for s in sessions])}"
        )
    return f"{where} every session" if sessions == "all" else f"{where} one session"


def in_words(found: Matrix) -> str:
    """The matrix in one sentence."""
    if not found.rows:
        return "study.yaml names no questionnaires."
    if not found.expected:
        return "No questionnaire is due yet, so nothing can be said about completeness."
    missing = found.expected - found.received
    rest = (
        "nothing is missing"
        if missing <= 0
        else f"{counted(missing, 'form')} {'is' if missing == 1 else 'are'} missing"
    )
    return f"{number(found.received)} of {number(found.expected)} expected forms are in use; {rest}."
