"""Answers to items: a graded response model, and how answers are written."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyadlog.assets.simulation.answers import (
    MISSING,
    answer,
    as_cells,
    as_gaps,
    as_json,
    as_lists,
    as_matrix,
    form_of,
    keyed,
)
from dyadlog.assets.simulation.chance import Chance
from dyadlog.schemas.instruments import shipped_instruments
from dyadlog.schemas.simulation import Parameters, simulation

MODELS = simulation().answering
name = "{0.instrument}/{0.version}".format


@pytest.mark.parametrize("model", MODELS, ids=name)
def test_every_answer_is_one_of_the_form(model) -> None:  # type: ignore[no-untyped-def]
    form = form_of(model)
    answers = answer(model, Chance(1, "latent").normal(2000), Chance(1, "answers"), missing=0.1)
    assert answers.shape == (2000, len(form.items))
    assert set(np.unique(answers)) == {MISSING, *range(int(form.min), int(form.max) + 1)}
    assert len(model.thresholds) == form.max - form.min
    assert abs((answers == MISSING).mean() - 0.1) < 0.01


@pytest.mark.parametrize("model", MODELS, ids=name)
def test_answers_rise_with_the_latent_value_and_fall_where_the_item_is_reversed(model) -> None:  # type: ignore[no-untyped-def]
    form = form_of(model)
    latent = Chance(2, "latent").normal(3000)
    answers = answer(model, latent, Chance(2, "answers"), missing=0)
    for place, item in enumerate(form.items):
        r = np.corrcoef(latent, answers[:, place])[0, 1]
        assert (r < -0.2) if item in form.reversed else (r > 0.2), item
    assert np.corrcoef(latent, keyed(answers, form).sum(axis=1))[0, 1] > 0.85


def test_a_graded_response_model_it_is() -> None:
    """Shares of answers at a latent value are those of Samejima's model."""
    model = Parameters().answering["phq-9", "1"]
    latent = 0.4
    answers = answer(model, np.full(60_000, latent), Chance(3, "grm"), missing=0)
    for item in (0, 8):
        easier = model.easier[item % len(model.easier)]
        for step, threshold in enumerate(model.thresholds, 1):
            expected = 1 / (1 + np.exp(-model.discrimination * (latent - threshold + easier)))
            assert abs((answers[:, item] >= step).mean() - expected) < 0.008


def test_every_form_of_the_study_has_a_model_and_every_model_a_shipped_form() -> None:
    shipped = {
        (instrument.instrument, name)
        for instrument in shipped_instruments().values()
        for name, form in instrument.versions.items()
        if form.whole
    }
    modelled = {(model.instrument, model.version) for model in MODELS}
    assert modelled <= shipped
    assert {(due.instrument, due.version) for due in Parameters().battery} <= modelled


def test_the_study_uses_forms_with_reversed_items() -> None:
    p = Parameters()
    assert any(form_of(p.answering[due.instrument, due.version]).reversed for due in p.battery)


# Also what no form allows: a fault may have planted it.
some_answer = st.sampled_from([MISSING, 0, 1, 2, 3, 4]) | st.integers(-99, 999)
given_answers = st.lists(st.lists(some_answer, min_size=10, max_size=10), max_size=8)


@given(given_answers)
def test_written_answers_are_read_as_they_were(rows: list[list[int]]) -> None:
    form = shipped_instruments()["core-10"].versions["1"]
    answers = np.array(rows, np.int16).reshape(-1, 10)
    texts, gaps = as_json(answers, form), as_gaps(answers, form, "declined")
    for row, text, gap, cells in zip(rows, texts, gaps, as_cells(answers, ";"), strict=True):
        said = [None if value == MISSING else value for value in row]
        assert list(json.loads(text).items()) == list(zip(form.items, said, strict=True))
        empty = {item: "declined" for item, value in zip(form.items, said, strict=True) if value is None}
        assert (json.loads(gap) if gap else {}) == empty
        assert cells.split(";") == ["" if value is None else str(value) for value in said]


@given(given_answers)
def test_lists_and_matrices_are_the_same(rows: list[list[int]]) -> None:
    answers = np.array(rows, np.int16).reshape(-1, 10)
    lists = as_lists(answers)
    assert lists.dtype == pl.List(pl.Int16)
    assert (as_matrix(lists, 10) == answers).all()
