"""Lines per delivery over time as a small inline SVG.

Drawn only where it shows something that the table beside it does not: rhythm and gaps. The colours are the
page's own (CSS variables), so that light, dark and print all fit, and held-back lines are hatched, so that colour
is not the only carrier. Matplotlib is imported when a chart is drawn, because the import takes long.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from dyadlog.assets.quality.facts import File
from dyadlog.assets.quality.words import counted, day, number, short_day

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DAYS_SHOWN = 42
WEEKS_SHOWN = 26

# Matplotlib wants colours, the page has variables: unlikely colours stand in for them.
_VARIABLES = {
    "#010203": "--ink",
    "#010204": "--muted",
    "#010205": "--rule",
    "#010206": "--accent",
    "#010207": "--accent-soft",
    "#010208": "--bad",
    "#010209": "--paper",
}
INK, MUTED, RULE, ACCENT, SOFT, BAD, PAPER = _VARIABLES


@dataclass(frozen=True)
class Period:
    """Lines delivered in a day or week.

    Args:
        start: its first day.
        files: files received.
        accepted: lines with something new and nothing refused.
        already_had: lines that say what is known already.
        held_back: lines that were held back.
    """

    start: str
    files: int
    accepted: int
    already_had: int
    held_back: int

    @property
    def lines(self) -> int:
        """All lines."""
        return self.accepted + self.already_had + self.held_back


@dataclass(frozen=True)
class Chart:
    """A drawing and what it says."""

    svg: str
    caption: str
    unit: str


def periods(files: Sequence[File], as_of: str | None) -> list[Period]:
    """Days (six weeks or less) or weeks from the first delivery, at most half a year back, to the night."""
    if not files or as_of is None:
        return []
    last = date.fromisoformat(as_of[:10])
    first = date.fromisoformat(min(file.received_at for file in files)[:10])
    step = timedelta(days=1 if (last - first).days < DAYS_SHOWN else 7)
    if step.days == 7:
        last -= timedelta(days=last.weekday())
        first = max(first - timedelta(days=first.weekday()), last - (WEEKS_SHOWN - 1) * step)
    found = []
    for index in range((last - first) // step + 1):
        start = first + index * step
        inside = [f for f in files if start <= date.fromisoformat(f.received_at[:10]) < start + step]
        found.append(
            Period(
                start.isoformat(),
                len(inside),
                sum(f.accepted for f in inside),
                sum(f.duplicate for f in inside),
                sum(f.held_back for f in inside),
            )
        )
    return found


def chart(shown: Sequence[Period]) -> Chart | None:
    """The drawing; None if it would add nothing (fewer than three periods, or fewer than two with lines)."""
    if len(shown) < 3 or sum(period.lines > 0 for period in shown) < 2:
        return None
    unit = "day" if _step(shown) == 1 else "week"
    silent = sum(not period.files for period in shown)
    caption = (
        f"Lines received per {unit}, {day(shown[0].start)} to {day(shown[-1].start)}. "
        f"{counted(silent, unit).capitalize()} without a delivery."
    )
    return Chart(_draw(shown), caption, unit)


def _step(shown: Sequence[Period]) -> int:
    return (date.fromisoformat(shown[1].start) - date.fromisoformat(shown[0].start)).days


def _draw(shown: Sequence[Period]) -> str:
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context(drawing_settings()):
        figure = Figure(figsize=(7.6, 1.55), facecolor="none")
        FigureCanvasSVG(figure)
        _bars(_axes(figure), shown)
        return as_inline(figure, "deliveries")


def drawing_settings() -> dict[Any, Any]:
    """Settings of Matplotlib for a drawing that is a part of a page and always the same bytes."""
    return {
        "svg.hashsalt": "dyadlog",
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 8,
        "hatch.linewidth": 1.2,
        "hatch.color": BAD,
    }


def _axes(figure: Figure) -> Axes:
    axes = figure.add_axes((0.055, 0.16, 0.94, 0.78))
    axes.set_facecolor("none")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(RULE)
    axes.tick_params(length=0, colors=MUTED)
    axes.yaxis.grid(visible=True, color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    return axes


def _bars(axes: Axes, shown: Sequence[Period]) -> None:
    places = range(len(shown))
    accepted = [period.accepted for period in shown]
    had = [period.already_had for period in shown]
    held = [period.held_back for period in shown]
    below = [a + b for a, b in zip(accepted, had, strict=True)]
    _stack(axes, [0] * len(shown), accepted, color=ACCENT)
    _stack(axes, accepted, had, color=SOFT, edgecolor=ACCENT, linewidth=0.6)
    _stack(axes, below, held, color=PAPER, edgecolor=BAD, linewidth=0.8, hatch="////")
    silent = [place for place, period in zip(places, shown, strict=True) if not period.files]
    top = max(period.lines for period in shown)
    # A hollow ring on the base line: nothing came. An empty place would look like a small bar.
    axes.plot(silent, [top * 0.03] * len(silent), "o", ms=3, mfc="none", mec=MUTED, mew=0.8, clip_on=False)
    axes.set_xlim(-0.6, max(len(shown), 8) - 0.4)
    axes.set_ylim(0, top * 1.06)
    axes.set_yticks([0, _round_figure(top)], ["0", number(_round_figure(top))])
    every = -(-len(shown) // 9)
    marked = list(places)[::-every][::-1]
    axes.set_xticks(marked, [short_day(date.fromisoformat(shown[place].start)) for place in marked])


def _stack(axes: Axes, below: Sequence[int], heights: Sequence[int], **style: Any) -> None:
    """One layer of bars; a bar of nothing is left out, because its edge would show as a line."""
    drawn = [(place, low, high) for place, (low, high) in enumerate(zip(below, heights, strict=True)) if high]
    if drawn:
        places, lows, highs = zip(*drawn, strict=True)
        axes.bar(places, highs, width=0.72, bottom=lows, **style)


def _round_figure(top: int) -> int:
    """The largest of 1, 2, 5 times a power of ten that is not above `top`."""
    power = int("1" + "0" * (len(str(top)) - 1))
    return max(step * power for step in (1, 2, 5) if step * power <= top)


def as_inline(figure: Figure, name: str) -> str:
    """A drawing as a part of a page: the page's colours and type, no addresses, no fixed size.

    Args:
        figure: the drawing.
        name: its name, which sets its ids apart from those of other drawings on the page.
    """
    out = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(out, format="svg", transparent=True, metadata=nothing)
    text = out.getvalue()
    svg = text[text.index("<svg") :]
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    svg = re.sub(r' (width|height)="[\d.]+pt"', "", svg, count=2)
    svg = re.sub(r" font-family: [^;]+;", "", svg)
    svg = re.sub(r' xmlns(:xlink)?="[^"]+"', "", svg)
    svg = re.sub(r"\s*<defs>\s*<style[^>]*>.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r' id="(?=\w)', f' id="{name}-', svg)
    svg = re.sub(r'((?:xlink:)?href="#|url\(#)', rf"\g<1>{name}-", svg).replace("xlink:href", "href")
    return svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)
