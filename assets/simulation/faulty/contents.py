"""Faults in what lines say: answers, sessions, days, revisions."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import polars as pl

from dyadlog.assets.simulation.chance import Flags
from dyadlog.assets.simulation.faulty.plot import Plot, Row
from dyadlog.schemas.frames import PAYLOAD_PREFIX
from dyadlog.schemas.instruments import Version, shipped_instruments

CLAIM = PAYLOAD_PREFIX + "claimed_total"
INSTRUMENT, VERSION = PAYLOAD_PREFIX + "instrument", PAYLOAD_PREFIX + "version"
FORM = "instrument.completed"
# Forms from this length on can show how they were filled in.
LONG = 8
_YEAR = 365
# A form with seven steps sent under the name of its twin with five: what its answers would have been.
_SEVEN_STEPS = {1: 1, 2: 3, 3: 4, 4: 6, 5: 7}
_SEVEN_OF = {("wai-sr", "client-1-5"), ("wai-sr", "therapist-1-5")}
# Markers that a drifting coder adds to each pass.
_DRIFT = 5
# Double-coded passes of the coder after that, without which nobody could see it.
_DRIFT_SEEN = 5


def plant_contents(plot: Plot) -> None:
    """Plant all faults in content. Sessions and sites come first, because they leave least choice."""
    _withdrawn(plot)
    _reversed_twice(plot)
    _coder_drift(plot)
    _missing_session(plot)
    _two_on_a_day(plot)
    _after_ending(plot)
    _clock_off(plot)
    _forms(plot)
    _revisions(plot)


def form_of(row: Row) -> Version:
    """The registered form of a row."""
    return shipped_instruments()[row[INSTRUMENT]].versions[row[VERSION]]


def is_form(plot: Plot) -> Flags:
    """Which facts are forms in deliveries that are not faulty as a whole."""
    return _are(plot, FORM)


def _are(plot: Plot, *kinds: str) -> Flags:
    usual = ~pl.col("night").is_in(sorted(plot.quiet))
    found: Flags = plot.facts.select(pl.col("event_type").is_in(kinds) & usual).to_series().to_numpy()
    return found


def _session_key(client: str, session: int) -> str:
    return f"{client}/1/{session}"


# --- clients and sites ---


def _withdrawn(plot: Plot) -> None:
    """Nothing is planted here: the model has clients who withdraw. Nothing else happens to their facts."""
    gone = plot.facts.filter(
        (pl.col("event_type") == "consent.withdrawn")
        & pl.col(PAYLOAD_PREFIX + "mode").is_in(["exclude", "erase"])
    )
    for row in gone.iter_rows(named=True):
        plot.note(
            "withdrawn_consent",
            night=row["night"],
            event_id=row["event_id"],
            client_id=row["client_id"],
            subject=row["client_id"],
        )
    plot.free &= ~plot.facts["client_id"].is_in(gone["client_id"].to_list()).fill_null(value=False).to_numpy()


def _reversed_twice(plot: Plot) -> None:
    if "reversed_twice" not in plot.rates:
        return
    turned: dict[tuple[str, str], list[int]] = {}
    for place in np.flatnonzero(is_form(plot) & plot.free).tolist():
        row = plot.row(place)
        if form_of(row).reversed:
            turned.setdefault((row[INSTRUMENT], row[VERSION]), []).append(place)
    for (instrument, version), places in turned.items():
        form = shipped_instruments()[instrument].versions[version]
        at = [form.items.index(item) for item in form.reversed]
        for place in places:
            row = plot.row(place)
            given = list(row["items"])
            for item in at:
                given[item] = None if given[item] is None else int(form.min + form.max) - given[item]
            plot.rewrite(place, row | {"items": given, CLAIM: None})
        plot.note("reversed_twice", subject=f"{instrument} {version}")


def _coder_drift(plot: Plot) -> None:
    if "coder_drift" not in plot.rates:
        return
    passes = plot.facts.with_row_index("at").filter(
        (pl.col("event_type") == "coding.pass") & pl.Series(plot.free)
    )
    twice = passes.filter(pl.struct("client_id", "session_number").is_duplicated())
    if twice.is_empty():
        return
    coder = twice.group_by("actor_id").len().sort("len", "actor_id", descending=[True, False])["actor_id"][0]
    own = passes.filter(pl.col("actor_id") == coder)
    drifted = own.tail(len(own) * 2 // 3)
    if drifted.join(twice, on="event_id", how="semi").height < _DRIFT_SEEN:
        return
    for at in drifted["at"].to_list():
        row = plot.row(at)
        for nth in range(1, _DRIFT + 1):
            said = {
                PAYLOAD_PREFIX + "coded_minutes": None,
                PAYLOAD_PREFIX + "extent_resolved": None,
                PAYLOAD_PREFIX + "code": "minimal_response",
                PAYLOAD_PREFIX + "family": "withdrawal",
                PAYLOAD_PREFIX + "start_second": 60.0 * nth,
                PAYLOAD_PREFIX + "end_second": 60.0 * nth + 20,
                PAYLOAD_PREFIX + "significance": 1,
            }
            more = row | {"event_type": "coding.segment", "event_id": f"{row['event_id']}-drift{nth}"} | said
            plot.add("coder_drift", at, more, noted=False)
    plot.note("coder_drift", subject=f"{coder} {drifted[PAYLOAD_PREFIX + 'scheme'][0]}")


# --- sessions ---


def _sessions(plot: Plot) -> Iterator[tuple[str, list[int], dict[int, list[int]]]]:
    """Of each client whose sessions are all untouched: numbers of the sessions, and places of their reports."""
    reports = (
        plot.facts.with_row_index("at")
        .select("at", "event_type", "client_id", "session_number", pl.Series("free", plot.free))
        .filter(pl.col("event_type").str.starts_with("session."))
    )
    for (client,), some in reports.partition_by("client_id", as_dict=True, maintain_order=True).items():
        if some["free"].all():
            places: dict[int, list[int]] = {}
            for at, number in some.select("at", "session_number").iter_rows():
                places.setdefault(number, []).append(at)
            yield str(client), sorted(places), places


def _keep_off(plot: Plot, client: str) -> None:
    """Nothing else is planted in the facts of this client."""
    plot.free &= ~(plot.facts["client_id"] == client).fill_null(value=False).to_numpy()


def _missing_session(plot: Plot) -> None:
    choices = [
        (client, number, after, places[number])
        for client, numbers, places in _sessions(plot)
        for number, after in itertools.pairwise(numbers[1:])
    ]
    done: set[str] = set()
    for nth in plot.pick("missing_session", np.arange(len(choices))):
        client, number, after, reports = choices[nth]
        if client in done:
            continue
        done.add(client)
        where = plot.row(reports[0])
        for at in reports:
            plot.drop(at)
        _keep_off(plot, client)
        plot.note(
            "missing_session",
            night=where["night"],
            client_id=client,
            session_number=number,
            subject=_session_key(client, after),
        )


def _two_on_a_day(plot: Plot) -> None:
    held = _are(plot, "session.held")
    choices = []
    for client, numbers, places in _sessions(plot):
        for before, number in itertools.pairwise(numbers):
            first, second = ([at for at in places[n] if held[at]] for n in (before, number))
            if first and second:
                choices.append((client, first[0], second[0]))
    done: set[str] = set()
    for nth in plot.pick("two_on_a_day", np.arange(len(choices))):
        client, one, other = choices[nth]
        if client in done:
            continue
        done.add(client)
        row = plot.row(other) | {"study_day": plot.row(one)["study_day"]}
        plot.change("two_on_a_day", other, row, subject=_session_key(client, row["session_number"]))
        _keep_off(plot, client)


def _after_ending(plot: Plot) -> None:
    held = _are(plot, "session.held")
    ended = {
        row["client_id"]: row for row in plot.facts.filter(event_type="treatment.ended").iter_rows(named=True)
    }
    choices = [
        (client, max(numbers), [at for n in numbers for at in places[n] if held[at]])
        for client, numbers, places in _sessions(plot)
        if client in ended
    ]
    choices = [choice for choice in choices if choice[2]]
    for nth in plot.pick("after_ending", np.arange(len(choices))):
        client, last, places_held = choices[nth]
        row, number = plot.row(places_held[-1]), last + 1
        day = ended[client]["study_day"] + 7
        more = row | {
            "event_id": f"{client}-s{number:02d}",
            "session_number": number,
            "study_day": day,
            "recorded_day": day,
            "night": plot.later("after_ending", ended[client]["night"]),
        }
        plot.add("after_ending", places_held[-1], more, subject=_session_key(client, number))
        _keep_off(plot, client)


def _clock_off(plot: Plot) -> None:
    nights = np.array(sorted(set(plot.facts["night"].to_list()) - plot.quiet), np.int64)
    dated = plot.facts["recorded_day"].is_not_null() & (plot.facts["event_type"] != "session.scheduled")
    for night in plot.pick("clock_off", nights):
        for place in np.flatnonzero(dated.to_numpy() & (plot.facts["night"] == night).to_numpy() & plot.free):
            row = plot.row(int(place))
            row["recorded_day"] -= _YEAR
            plot.change("clock_off", int(place), row, subject=row["event_id"])
        plot.quiet.add(night)


# --- forms ---


def _forms(plot: Plot) -> None:
    forms = is_form(plot)
    for place in plot.pick("total_disagrees", forms & _complete(plot)):
        row = plot.row(place)
        plot.change("total_disagrees", place, row | {CLAIM: row[CLAIM] + 2})
    for place in plot.pick("out_of_range", forms):
        row = plot.row(place)
        given = list(row["items"])
        given[len(given) // 2] = int(form_of(row).max) * 2 + 2
        plot.change("out_of_range", place, row | {"items": given})
    for place in plot.pick("wrong_version", forms & _high(plot)):
        row = plot.row(place)
        given = [_SEVEN_STEPS.get(answer) for answer in row["items"]]
        plot.change("wrong_version", place, row | {"items": given, CLAIM: None})
    for place in plot.pick("wrong_site", forms):
        plot.change("wrong_site", place, plot.row(place) | {"site_id": "another-site"})
    if plot.site.delivers != "table":  # a table has no column for the version of an event
        for place in plot.pick("new_version", forms):
            plot.change("new_version", place, plot.row(place) | {"schema_version": 99})
    for place in plot.pick("identifier", forms):
        plot.change("identifier", place, plot.row(place) | {"actor_id": "someone@clinic.example"})
    for place in plot.pick("straight_lined", forms & _long(plot)):
        row = plot.row(place)
        form = form_of(row)
        middle = int(form.min + form.max + 1) // 2
        filled = {"items": [middle] * len(row["items"]), CLAIM: None}
        plot.change("straight_lined", place, row | filled, subject=row["event_id"])
    _copied_forward(plot, forms & _long(plot))


def _complete(plot: Plot) -> Flags:
    claims: Flags = plot.facts[CLAIM].is_not_null().to_numpy()
    return claims


def _long(plot: Plot) -> Flags:
    long: Flags = (plot.facts["items"].list.len().fill_null(0) >= LONG).to_numpy()
    return long


def _high(plot: Plot) -> Flags:
    """Forms whose twin with seven steps would have answers above five."""
    twins = pl.concat_str(INSTRUMENT, VERSION, separator=" ").is_in([" ".join(twin) for twin in _SEVEN_OF])
    high: Flags = (
        plot.facts.select((twins & (pl.col("items").list.max() >= 4)).fill_null(value=False))
        .to_series()
        .to_numpy()
    )
    return high


def _copied_forward(plot: Plot, forms: Flags) -> None:
    same = ["client_id", INSTRUMENT, VERSION, PAYLOAD_PREFIX + "rater", PAYLOAD_PREFIX + "occasion"]
    # Also forms of faulty deliveries come before others: they are sent again.
    filled = plot.facts.with_row_index("at").filter(event_type=FORM).drop_nulls("session_number")
    before = filled.sort("session_number", "study_day", "event_id").select(
        "at", pl.col("at").shift(1).over(same).alias("before")
    )
    varied = plot.facts["items"].list.drop_nulls().list.n_unique().fill_null(0) >= 3
    pairs = {
        at: first
        for at, first in before.drop_nulls().sort("at").iter_rows()
        if forms[at] and plot.free[at] and plot.free[first] and varied[first]
    }
    taken: set[int] = set()
    for place in plot.pick("copied_forward", np.array([*pairs], np.int64)):
        first = pairs[place]
        if {place, first} & taken:
            continue
        taken |= {place, first}
        row, source = plot.row(place), plot.row(first)
        copied = {"items": source["items"], CLAIM: source[CLAIM]}
        plot.change("copied_forward", place, row | copied, subject=row["event_id"])
        plot.free[first] = False


# --- lines said twice, corrected, taken back ---


def _revisions(plot: Plot) -> None:
    forms = is_form(plot)
    for place in plot.pick("duplicate_line", forms):
        row = plot.row(place)
        plot.add("duplicate_line", place, row | {"night": plot.later("duplicate_line", row["night"])})
    for place in plot.pick("correction", forms):
        row = plot.row(place)
        right = {"revision": 2, "op": "correct", "reason_code": "data_entry_error"}
        plot.rewrite(place, _mistyped(row))
        plot.add("correction", place, row | right | {"night": plot.later("correction", row["night"])})
    for place in plot.pick("retraction", forms):
        row = plot.row(place)
        wrong = row | {"event_id": row["event_id"] + "-again"}
        back = {"revision": 2, "op": "retract", "reason_code": "duplicate_entry"}
        plot.add("retraction", place, wrong, noted=False)
        plot.add("retraction", place, wrong | back | {"night": plot.later("retraction", row["night"])})
    for place in plot.pick("conflicting_twin", forms):
        row = plot.row(place)
        night = plot.later("conflicting_twin", row["night"])
        plot.add("conflicting_twin", place, _mistyped(row) | {"night": night})


def _mistyped(row: Row) -> Row:
    """The same form with one answer one step off; no total is sent with it."""
    form, given = form_of(row), list(row["items"])
    place = next(at for at, answer in enumerate(given) if answer is not None)
    given[place] += 1 if given[place] < form.max else -1
    return row | {"items": given, CLAIM: None}
