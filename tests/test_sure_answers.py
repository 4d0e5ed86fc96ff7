"""Law: the pattern that spares a look at right answers never lets a wrong one pass."""

from __future__ import annotations

import json
import re
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dyadlog.schemas.frames import answer_mistakes, failures, form_schema, sure_answers
from dyadlog.schemas.instruments import Version, shipped_instruments

FORMS = {
    f"{i.instrument} {v}": form for i in shipped_instruments().values() for v, form in i.versions.items()
}
ODD = [True, False, "3", "", [], {}, 1.5, -1, 99, 3.0, 1e2, None, "null", '"', "\\"]


def wrong(form: Version, answers: dict[str, Any]) -> bool:
    """What the schema and the exact look say."""
    if any(isinstance(a, bool) or not isinstance(a, int | float | None) for a in answers.values()):
        return True
    known = {f"item.{k}": [None if a is None else float(a)] for k, a in answers.items() if k in form.items}
    frame = pl.DataFrame(known, schema=dict.fromkeys(known, pl.Float64))
    return bool(list(failures(form_schema(form), frame)) if frame.width else []) or bool(
        list(answer_mistakes(answers, form))
    )


@pytest.mark.parametrize("name", list(FORMS))
@given(data=st.data())
def test_what_the_pattern_takes_the_schema_takes(name: str, data: st.DataObject) -> None:
    form = FORMS[name]
    pattern = sure_answers(form)
    if pattern is None:
        assert not form.whole
        return
    right = st.one_of(st.none(), st.integers(int(form.min), int(form.max)))
    some = st.dictionaries(st.sampled_from(form.items), st.one_of(right, st.sampled_from(ODD)), max_size=4)
    answers = data.draw(some)
    ((written,),) = duckdb.execute("select json($1)::varchar", [json.dumps(answers)]).fetchall()
    taken = re.search(pattern, written) is not None
    assert taken == pl.Series([written]).str.contains(pattern)[0]
    if taken:
        assert not wrong(form, answers)
    if all(a is None or (type(a) is int and form.min <= a <= form.max) for a in answers.values()):
        assert taken, "right answers must take the short way, else it spares nothing"
