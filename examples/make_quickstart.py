"""Makes the data of the example study `quickstart`: simulated, the same bytes in every run.

Run as `python examples/make_quickstart.py`; it writes `examples/quickstart/landing/`. Faults are planted in
`north`, `harbour` and `valley` below and listed in `examples/quickstart/README.md`.
"""

from __future__ import annotations

import json
import random
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

SEED = 20260314
NIGHT_ONE_ENDS = 35  # study day

Event = dict[str, object]
Answers = dict[str, int | None]

# Alliance: mean answer at the start, growth per session, fall in a session with a rupture (points of 1 to 5).
ALLIANCE_START, ALLIANCE_GROWTH, RUPTURE_FALL = 3.0, 0.09, 1.5
MISSED_REASONS = ("illness", "work", "forgot", "transport", "unknown")
END_REASONS = ("goals_reached", "protocol_completed", "dissatisfied", "no_contact", "moved")


@dataclass
class Session:
    """One planned session; forms that were not filled in are None."""

    number: int
    day: int
    status: str
    absent_by: str = ""
    reason: str = ""
    minutes: int = 50
    seconds: float = 0.0
    ruptured: bool = False
    client_form: Answers | None = None
    therapist_form: Answers | None = None
    phq: Answers | None = None


@dataclass
class Client:
    """One simulated treatment."""

    id: str
    therapist: str
    arm: str
    age: int
    intake: Answers
    sessions: list[Session] = field(default_factory=list)
    end_day: int | None = None
    end_reason: str = ""
    end: Answers | None = None


class Dice:
    """Chance that is the same on every machine: only `random()` is used."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - simulation, no secrets

    def chance(self, share: float) -> bool:
        """True in this share of throws."""
        return self._chance.random() < share

    def between(self, low: float, high: float) -> float:
        """A number between two bounds."""
        return low + (high - low) * self._chance.random()

    def whole(self, low: int, high: int) -> int:
        """A whole number from low to high."""
        return low + int(self._chance.random() * (high - low + 1))

    def one_of(self, values: tuple[str, ...]) -> str:
        """One of some words."""
        return values[self.whole(0, len(values) - 1)]


# --- simulation ---------------------------------------------------------------------------------


def answers(dice: Dice, items: int, mean: float, low: int, high: int) -> Answers:
    """Answers around a mean; now and then one is missing."""
    given: Answers = {}
    for item in range(1, items + 1):
        answer = min(high, max(low, round(mean + dice.between(-0.9, 0.9))))
        given[str(item)] = None if dice.chance(0.004) else answer
    return given


def clients(dice: Dice, letter: str, count: int, therapist_share: float) -> list[Client]:
    """Clients of one site. `therapist_share`: share of sessions with a therapist form."""
    return [client(dice, letter, number, therapist_share) for number in range(1, count + 1)]


def client(dice: Dice, letter: str, number: int, therapist_share: float) -> Client:
    """One client: intake, sessions, perhaps an end."""
    burden = dice.between(1.3, 2.3)
    made = Client(
        id=f"{letter}-{number:02d}",
        therapist=f"{letter}-T{1 + number % 3}",
        arm="standard" if number % 2 else "feedback",
        age=dice.whole(19, 68),
        intake=answers(dice, 9, burden, 0, 3),
    )
    planned = dice.whole(6, 9)
    # Every fourth client has a rupture in the second half of the treatment.
    rupture = dice.whole(4, planned - 1) if number % 4 == 0 else 0
    warmth, relief = dice.between(-0.2, 0.4), dice.between(0.03, 0.14)
    day = dice.whole(0, 6)
    for session_number in range(1, planned + 1):
        session = Session(session_number, day, "held")
        made.sessions.append(session)
        day += 7 * dice.whole(1, 4) // 3 if dice.chance(0.2) else 7
        if session_number > 1 and session_number not in (rupture - 1, rupture) and dice.chance(0.1):
            absent(dice, session)
            continue
        session.minutes = dice.whole(44, 55)
        session.seconds = round(dice.between(60, 240), 1)
        session.ruptured = session_number == rupture
        mean = ALLIANCE_START + warmth + ALLIANCE_GROWTH * session_number
        mean -= RUPTURE_FALL if session.ruptured else 0
        if session.ruptured or dice.chance(0.93):
            session.client_form = answers(dice, 12, mean, 1, 5)
        if dice.chance(therapist_share):
            session.therapist_form = answers(dice, 12, mean - 0.2, 1, 5)
        if dice.chance(0.95):
            session.phq = answers(dice, 9, burden - relief * session_number, 0, 3)
    if dice.chance(0.8):
        made.end_day = day
        made.end_reason = dice.one_of(END_REASONS)
        made.end = answers(dice, 9, burden - relief * planned, 0, 3) if dice.chance(0.85) else None
    return made


def absent(dice: Dice, session: Session) -> None:
    """The session did not take place."""
    session.status = "missed" if dice.chance(0.6) else "cancelled"
    session.absent_by = "client" if session.status == "missed" or dice.chance(0.6) else "therapist"
    session.reason = dice.one_of(MISSED_REASONS) if session.absent_by == "client" else "illness"


# --- events (north, harbour) --------------------------------------------------------------------


def fact(event_id: str, event_type: str, site: str, **fields: object) -> Event:
    """One event; fields without a value are left out."""
    stated = {name: value for name, value in fields.items() if value is not None}
    return {"event_id": event_id, "event_type": event_type, "schema_version": 1, "site_id": site} | stated


def form(
    site: str, who: Client, name: str, given: Answers, payload: dict[str, object], **fields: object
) -> Event:
    """A filled-in questionnaire."""
    said = payload | {"items": given}
    if gaps := {item: "not_answered" for item, answer in given.items() if answer is None}:
        said["missing"] = gaps
    return fact(
        f"{who.id}-{name}",
        "instrument.completed",
        site,
        client_id=who.id,
        therapist_id=who.therapist,
        **fields,
        payload=said,
    )


PHQ: dict[str, object] = {"instrument": "phq-9", "version": "1", "rater": "client"}


def wai(rater: str) -> dict[str, object]:
    """What a WAI-SR form says about itself."""
    return {"instrument": "wai-sr", "version": f"{rater}-1-5", "rater": rater, "occasion": "post_session"}


def events_of(site: str, who: Client) -> list[tuple[int, Event]]:
    """All events of a treatment with the study day on which the site captured them."""
    base = {"client_id": who.id, "therapist_id": who.therapist}
    made: list[tuple[int, Event]] = [
        (
            0,
            fact(
                f"{who.id}-enrolled",
                "client.enrolled",
                site,
                client_id=who.id,
                payload={"arm": who.arm, "age_years": who.age},
            ),
        ),
        (0, fact(f"{who.id}-dyad", "dyad.formed", site, **base)),
        (0, form(site, who, "phq-intake", who.intake, PHQ | {"occasion": "intake"}, study_day=0)),
    ]
    for session in who.sessions:
        made += [(session.day, event) for event in session_events(site, who, session)]
    if who.end_day is not None:
        payload = {"initiator": "client", "reason": who.end_reason, "planned": who.end_reason != "no_contact"}
        ended = fact(
            f"{who.id}-ended", "treatment.ended", site, **base, study_day=who.end_day, payload=payload
        )
        made.append((who.end_day, ended))
        if who.end is not None:
            last = form(site, who, "phq-end", who.end, PHQ | {"occasion": "end"}, study_day=who.end_day)
            made.append((who.end_day, last))
    return made


def session_events(site: str, who: Client, session: Session) -> list[Event]:
    """A session with its forms."""
    name = f"{who.id}-s{session.number:02d}"
    place: dict[str, object] = {"session_number": session.number, "study_day": session.day}
    base = {"client_id": who.id, "therapist_id": who.therapist}
    if session.status != "held":
        # Whether a missed session has a day depends on how the site books it.
        day = session.day if session.number % 2 else None
        payload = {"by": session.absent_by, "reason": session.reason}
        place["study_day"] = day
        return [fact(name, f"session.{session.status}", site, **base, **place, payload=payload)]
    held = {"format": "in_person", "duration_minutes": session.minutes}
    made = [fact(name, "session.held", site, **base, **place, payload=held)]
    if session.phq is not None:
        said = PHQ | {"occasion": "pre_session"}
        if None not in session.phq.values():
            said["claimed_total"] = sum(answer or 0 for answer in session.phq.values())
        made.append(form(site, who, f"s{session.number:02d}-phq", session.phq, said, **place))
    if session.client_form is not None:
        said = wai("client") | {"seconds": session.seconds, "medium": "tablet"}
        made.append(form(site, who, f"s{session.number:02d}-wai-c", session.client_form, said, **place))
    if session.therapist_form is not None:
        made.append(
            form(site, who, f"s{session.number:02d}-wai-t", session.therapist_form, wai("therapist"), **place)
        )
    if session.ruptured:
        marked = {"perspective": "therapist", "kind": "withdrawal"}
        made.append(fact(f"{name}-rupture", "rupture.marked", site, **base, **place, payload=marked))
    return made


def nights(site: str, people: list[Client]) -> tuple[list[Event], list[Event]]:
    """Events of the first and the second delivery, in the order of capture."""
    first: list[Event] = [
        fact(
            f"{therapist}-enrolled",
            "therapist.enrolled",
            site,
            therapist_id=therapist,
            payload={"years_experience": 2.5 + 3 * number},
        )
        for number, therapist in enumerate(sorted({who.therapist for who in people}))
    ]
    second: list[Event] = []
    captured = sorted(
        ((day, event) for who in people for day, event in events_of(site, who)), key=lambda pair: pair[0]
    )
    for day, event in captured:
        (first if day <= NIGHT_ONE_ENDS else second).append(event)
    return first, second


def line(event: Event) -> str:
    """An event as a line of NDJSON."""
    return json.dumps(event, separators=(",", ":")) + "\n"


def lines(events: Iterable[Event]) -> list[str]:
    """Events as lines."""
    return [line(event) for event in events]


def find(events: list[Event], ending: str, nth: int) -> Event:
    """A copy of the nth event whose id ends so, to plant a fault in."""
    found: Event = json.loads(line([e for e in events if str(e["event_id"]).endswith(ending)][nth]))
    return found


def payload(event: Event) -> dict[str, object]:
    """The payload of an event."""
    said = event["payload"]
    assert isinstance(said, dict)
    return said


def changed(event: Event, item: str, answer: int) -> Event:
    """The same form with another answer, and no claim about its total."""
    said = payload(event)
    said.pop("claimed_total", None)
    items = said["items"]
    assert isinstance(items, dict)
    items[item] = answer
    return event


# --- the three sites, with what is wrong in them ------------------------------------------------


def north(dice: Dice) -> dict[str, bytes]:
    """Event files; faults of single lines, a wrong total, an empty file."""
    first, second = nights("north", clients(dice, "N", 14, 0.9))
    one = lines(first)
    out_of_range = changed(find(first, "wai-c", 3), "7", 8) | {"event_id": "N-fault-range"}
    unknown_item = changed(find(first, "wai-c", 5), "13", 4) | {"event_id": "N-fault-item"}
    one.insert(40, line(out_of_range))
    one.insert(90, line(unknown_item))
    one.insert(120, line(find(first, "wai-c", 7))[:97] + "\n")  # cut off in transfer
    one.insert(150, one[149])  # sent twice
    two = lines(second)
    foreign = find(second, "phq", 2) | {"event_id": "N-fault-site", "site_id": "harbour"}
    two.insert(30, line(foreign))
    wrong_total = next(e for e in second if "claimed_total" in payload(e))
    position = second.index(wrong_total)
    wrong_total = json.loads(line(wrong_total))
    payload(wrong_total)["claimed_total"] = 27
    two[two.index(line(second[position]))] = line(wrong_total)
    return {"night-1.ndjson": text(one), "night-2.ndjson": text(two), "night-3.ndjson": b""}


def harbour(dice: Dice) -> dict[str, bytes]:
    """Event files, one compressed; facts that wait or contradict, a correction, a retraction; few therapist forms."""
    first, second = nights("harbour", clients(dice, "H", 14, 0.65))
    pending = find(first, "wai-c", 4) | {"event_id": "H-fault-pending", "session_number": 40}
    one = [*lines(first), line(pending)]
    conflict = find(second, "wai-c", 1)
    two = [*lines(second), line(flipped(conflict))]
    correction = flipped(find(first, "phq", 6)) | {
        "revision": 2,
        "op": "correct",
        "reason_code": "data_entry_error",
    }
    retraction = find(first, "wai-t", 2) | {"revision": 2, "op": "retract", "reason_code": "wrong_session"}
    held = next(e for e in second if e["event_type"] == "session.held")
    missed = {name: held[name] for name in ("client_id", "therapist_id", "session_number")}
    contradiction = fact(
        "H-fault-absence",
        "session.missed",
        "harbour",
        **missed,
        payload={"by": "client", "reason": "no_show"},
    )
    three = lines([correction, retraction, contradiction])
    return {
        "night-1.ndjson": text(one),
        "night-2.ndjson.gz": gzipped(text(two)),
        "night-3.ndjson": text(three),
    }


def flipped(event: Event) -> Event:
    """The same form with its first answer moved by one."""
    items = payload(event)["items"]
    assert isinstance(items, dict)
    return changed(event, "1", 2 if items["1"] != 2 else 3)


STATUS = {"held": "1", "missed": "2", "cancelled": "3"}
BY = {"client": "P", "therapist": "T", "": "NA"}
SESSION_COLUMNS = (
    [
        "pat",
        "ther",
        "session",
        "day",
        "status",
        "by",
        "reason",
        "minutes",
        "p_form",
        "p_sum",
        "c_form",
        "c_sec",
        "t_form",
    ]
    + [f"p{n}" for n in range(1, 10)]
    + [f"c{n}" for n in range(1, 13)]
    + [f"t{n}" for n in range(1, 13)]
)


def valley(dice: Dice) -> dict[str, bytes]:
    """Tables with `;`, read through mappings; a broken row, a code without a rule, a renamed column."""
    people = clients(dice, "V", 12, 0.85)
    rows = [(session.day, session_row(who, session)) for who in people for session in who.sessions]
    rows.sort(key=lambda pair: pair[0])
    early = [row for day, row in rows if day <= NIGHT_ONE_ENDS]
    late = [row for day, row in rows if NIGHT_ONE_ENDS < day <= NIGHT_ONE_ENDS + 14]
    last = [row for day, row in rows if day > NIGHT_ONE_ENDS + 14]
    early[12] = {**early[12], "status": "9"}  # a code that nobody agreed on
    high = next(row for row in early[20:] if row["p_form"] == "1")
    high["p4"], high["p_sum"] = "5", "NA"  # PHQ-9 answers go up to 3
    wrong_sum = next(row for row in late if row["p_form"] == "1" and row["p_sum"] != "NA")
    wrong_sum["p_sum"] = "26.0"
    two = table(SESSION_COLUMNS, late).split("\n")
    two[5] = two[5].rsplit(";", 3)[0]  # three cells lost
    three = table(SESSION_COLUMNS, last).replace(";day;", ";Tag;", 1)
    return {
        "clients-1.csv": table_of_clients(people).encode(),
        "sessions-1.csv": table(SESSION_COLUMNS, early).encode(),
        "sessions-2.csv": "\n".join(two).encode(),
        "sessions-3.csv": three.encode(),
        "endings-2.csv": table_of_endings(people).encode(),
    }


def session_row(who: Client, session: Session) -> dict[str, str]:
    """One row of the session table; what is missing is `NA`, a skipped answer is `-9`."""
    row = {
        "pat": who.id,
        "ther": who.therapist,
        "session": str(session.number),
        "day": str(session.day) if session.status == "held" else "NA",
        "status": STATUS[session.status],
        "by": BY[session.absent_by],
        "reason": session.reason or "NA",
        "minutes": str(session.minutes) if session.status == "held" else "NA",
        "c_sec": f"{session.seconds:.1f}" if session.client_form else "NA",
    }
    phq = session.phq
    row["p_sum"] = f"{sum(v or 0 for v in phq.values())}.0" if phq and None not in phq.values() else "NA"
    forms = (("p", 9, session.phq), ("c", 12, session.client_form), ("t", 12, session.therapist_form))
    for letter, items, given in forms:
        row |= {f"{letter}_form": "1" if given else "0"} | cells(letter, items, given)
    return row


def cells(letter: str, items: int, given: Answers | None) -> dict[str, str]:
    """The answers of a form as cells."""
    if given is None:
        return {f"{letter}{n}": "NA" for n in range(1, items + 1)}
    return {f"{letter}{item}": "-9" if answer is None else str(answer) for item, answer in given.items()}


def table_of_clients(people: list[Client]) -> str:
    """Clients with their intake form."""
    columns = ["pat", "ther", "arm", "age", *(f"p{n}" for n in range(1, 10))]
    rows = [
        {"pat": who.id, "ther": who.therapist, "arm": who.arm, "age": str(who.age)}
        | cells("p", 9, who.intake)
        for who in people
    ]
    return table(columns, rows)


def table_of_endings(people: list[Client]) -> str:
    """Treatments that ended, with the last form."""
    columns = ["pat", "ther", "day", "reason", "planned", "p_form", *(f"p{n}" for n in range(1, 10))]
    rows = []
    for who in people:
        if who.end_day is None:
            continue
        row = {"pat": who.id, "ther": who.therapist, "day": str(who.end_day), "reason": who.end_reason}
        row |= {"planned": "0" if who.end_reason == "no_contact" else "1", "p_form": "1" if who.end else "0"}
        rows.append(row | cells("p", 9, who.end))
    return table(columns, rows)


def table(columns: list[str], rows: list[dict[str, str]]) -> str:
    """A table with `;` between the cells."""
    head = ";".join(columns)
    return "".join(text + "\n" for text in [head, *(";".join(row[name] for name in columns) for row in rows)])


# --- files --------------------------------------------------------------------------------------


def text(parts: list[str]) -> bytes:
    """Lines as the bytes of a file."""
    return "".join(parts).encode()


def gzipped(content: bytes) -> bytes:
    """A gzip file without time and system in its header; Python's own header differs between versions."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = squeeze.compress(content) + squeeze.flush()
    head = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
    return head + body + struct.pack("<II", zlib.crc32(content), len(content))


def files() -> dict[str, bytes]:
    """All files of the landing folders by their path below `landing/`."""
    dice = Dice(SEED)
    sites = {"north": north(dice), "harbour": harbour(dice), "valley": valley(dice)}
    return {
        f"{site}/{name}": content for site, delivered in sites.items() for name, content in delivered.items()
    }


def main() -> None:
    """Write the landing folders of the example."""
    landing = Path(__file__).parent / "quickstart" / "landing"
    for name, content in files().items():
        path = landing / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        print(f"{name}: {len(content)} bytes")


if __name__ == "__main__":
    main()
