"""From latent values to answers: a graded response model per form (Samejima 1969)."""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np
import numpy.typing as npt
import polars as pl

from dyadlog.assets.simulation.chance import Chance, Floats
from dyadlog.schemas.instruments import Version, shipped_instruments
from dyadlog.schemas.simulation import Answering

Answers = npt.NDArray[np.int16]

MISSING = int(np.iinfo(np.int16).min)


def form_of(model: Answering) -> Version:
    """The registered form that a model fills in."""
    return shipped_instruments()[model.instrument].versions[model.version]


def answer(model: Answering, latent: Floats, chance: Chance, missing: float) -> Answers:
    """Answers of forms, as they stand on the paper (reversed items are answered the other way round).

    An item's answer is the number of thresholds `b` with `a (latent + subscale - b + easier) + e > 0`, `e` standard
    logistic: Samejima's graded response model.

    Args:
        model: discrimination and thresholds.
        latent: one latent value per form, high in the direction of the items that are not reversed.
        chance: where random numbers come from.
        missing: share of answers that are left out.

    Returns:
        forms x items; MISSING where an answer was left out.
    """
    form = form_of(model)
    count, items = len(latent), len(form.items)
    pull = chance.logistic(count, items)
    pull += model.discrimination * latent[:, None]
    if model.subscale_sd:
        for members in form.subscales.values():
            places = [form.items.index(item) for item in members]
            pull[:, places] += model.discrimination * model.subscale_sd * chance.normal(count, 1)
    easier = np.resize(np.array(model.easier), items)
    keyed = np.zeros((count, items), np.int16)
    for threshold in model.thresholds:
        keyed += pull > model.discrimination * (threshold - easier)
    answers = keyed + np.int16(form.min)
    turned = [form.items.index(item) for item in form.reversed]
    answers[:, turned] = np.int16(form.min + form.max) - answers[:, turned]
    answers[chance.uniform(count, items) < missing] = MISSING
    return answers


def as_lists(answers: Answers) -> pl.Series:
    """Rows of answers as a column of lists; MISSING becomes null."""
    flat = pl.Series(answers.ravel(), dtype=pl.Int16)
    flat = flat.set(flat == MISSING, None)
    return flat.reshape(answers.shape).arr.to_list()


def as_matrix(items: pl.Series, width: int) -> Answers:
    """The reverse of `as_lists`, for lists of the same length."""
    return items.explode().fill_null(MISSING).to_numpy().reshape(-1, width).astype(np.int16)


def as_json(answers: Answers, form: Version) -> pl.Series:
    """Each row of answers as a JSON object by item."""
    return _written(answers, tuple(f'"{item}":' for item in form.items), ",", "null", "{", "}")


def as_gaps(answers: Answers, form: Version, code: str) -> pl.Series:
    """Why answers are missing, as a JSON object by item; null where none is."""
    gaps = answers == MISSING
    some = np.flatnonzero(gaps.any(axis=1))
    texts: list[str | None] = [None] * len(answers)
    for row in some:
        named = ",".join(f'"{form.items[place]}":"{code}"' for place in np.flatnonzero(gaps[row]))
        texts[row] = f"{{{named}}}"
    return pl.Series(texts, dtype=pl.String)


def as_cells(answers: Answers, separator: str) -> pl.Series:
    """Each row of answers as cells of a table; missing answers are empty."""
    return _written(answers, ("",) * answers.shape[1], separator, "", "", "")


def keyed(answers: Answers, form: Version) -> npt.NDArray[np.int64]:
    """Answers in the direction of the scale."""
    turned = [form.items.index(item) for item in form.reversed]
    made = answers.astype(np.int64)
    made[:, turned] = int(form.min + form.max) - made[:, turned]
    return made


# Answers that are looked up together: three of them are one entry of a table of a few hundred texts. Answers far out
# of the form's range, which a fault may have planted, are looked up one by one.
_TOGETHER, _MANY = 3, 12


def _written(
    answers: Answers, names: tuple[str, ...], separator: str, empty: str, head: str, tail: str
) -> pl.Series:
    given = answers[answers != MISSING].astype(np.int64)
    low, high = int(given.min(initial=0)), int(given.max(initial=0))
    together = _TOGETHER if high - low < _MANY else 1
    # 0 stands for a missing answer, 1 for the lowest one.
    rank = np.where(answers == MISSING, 0, answers.astype(np.int64) - low + 1)
    parts: list[pl.Series] = []
    for first in range(0, answers.shape[1], together):
        some = rank[:, first : first + together]
        place = np.zeros(len(some), np.int64)
        for column in range(some.shape[1]):
            place = place * (high - low + 2) + some[:, column]
        lead = separator if first else ""
        texts = _texts(names[first : first + together], (low, high), lead, separator, empty)
        parts.append(texts.gather(pl.Series(place)))
    frame = pl.DataFrame([part.alias(str(nth)) for nth, part in enumerate(parts)])
    return frame.select(pl.concat_str(pl.lit(head), pl.all(), pl.lit(tail))).to_series()


@cache
def _texts(
    names: tuple[str, ...], bounds: tuple[int, int], lead: str, separator: str, empty: str
) -> pl.Series:
    """All combinations of a few answers (missing, lowest, ..., highest) as text."""
    values = [empty, *(str(value) for value in range(bounds[0], bounds[1] + 1))]
    return pl.Series(
        [
            lead + separator.join(name + value for name, value in zip(names, some, strict=True))
            for some in product(values, repeat=len(names))
        ]
    )
