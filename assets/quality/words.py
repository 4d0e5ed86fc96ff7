"""Numbers, dates and counts as people read them. English, whatever the machine's locale is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)


def plain(text: str) -> str:
    """A name from outside with everything invisible in it made visible: control and direction marks, broken bytes."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def number(value: int) -> str:
    """`4812` -> `4,812`."""
    return f"{value:,}"


def counted(value: int, one: str, many: str | None = None) -> str:
    """`1 line`, `4,812 lines`, `no lines`."""
    noun = one if value == 1 else many or f"{one}s"
    return f"{number(value) if value else 'no'} {noun}"


def percent(share: float) -> str:
    """`0.034` -> `3.4 %`; whole percents from 10 on. Nothing and everything only if it is exactly that."""
    figure = 100 * share
    if figure in (0, 100):
        return f"{figure:.0f} %"
    if figure < 0.1:
        return "< 0.1 %"
    if figure > 99:
        return f"{min(figure, 99.9):.1f} %"
    return f"{figure:.0f} %" if figure >= 9.95 else f"{figure:.1f} %"


def days(value: float) -> str:
    """`1 day`, `6.5 days`."""
    return f"{value:g} {'day' if value == 1 else 'days'}"


def size(value: int) -> str:
    """Bytes in the unit that keeps the figure short."""
    figure = float(value)
    for unit in ("bytes", "kB", "MB", "GB"):
        if figure < 1000 or unit == "GB":
            return f"{figure:.0f} {unit}" if unit == "bytes" or figure >= 10 else f"{figure:.1f} {unit}"
        figure /= 1000
    raise AssertionError


def day(stamp: str | date) -> str:
    """`2026-11-23...` -> `23 November 2026`."""
    when = stamp if isinstance(stamp, date) else date.fromisoformat(stamp[:10])
    return f"{when.day} {_MONTHS[when.month - 1]} {when.year}"


def short_day(when: date) -> str:
    """`23 Nov`."""
    return f"{when.day} {_MONTHS[when.month - 1][:3]}"


def moment(stamp: str) -> str:
    """`2026-11-23T02:19:07+00:00` -> `23 November 2026, 02:19 UTC`; all stamps of the log are UTC."""
    return f"{day(stamp)}, {datetime.fromisoformat(stamp):%H:%M} UTC"


def days_between(earlier: str, later: str) -> int:
    """Calendar days between two stamps."""
    return (date.fromisoformat(later[:10]) - date.fromisoformat(earlier[:10])).days


def listing(parts: Sequence[str], word: str = "and") -> str:
    """`a, b and c`."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {word} {parts[-1]}"


def sentence(text: str) -> str:
    """With a capital first letter and a full stop."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}"
