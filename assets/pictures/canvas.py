"""From matplotlib to SVG that belongs to a page.

The colours are the page's own (CSS variables), so that light, dark and print all fit; marks and lines differ in form too, so
that colour is never the only carrier. Matplotlib is imported when something is drawn, because the import takes long.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Matplotlib wants colours, the page has variables: unlikely colours stand in for them.
_VARIABLES = {
    "#010203": "--ink",
    "#010204": "--muted",
    "#010205": "--rule",
    "#010206": "--accent",
    "#010207": "--accent-soft",
    "#010208": "--bad",
    "#010209": "--paper",
    "#01020a": "--good",
    "#01020b": "--tint",
}
INK, MUTED, RULE, ACCENT, SOFT, BAD, PAPER, GOOD, TINT = _VARIABLES

# Inches; the page scales a picture to its own width.
WIDTH = 7.6


@dataclass(frozen=True)
class Picture:
    """A drawing, how to read it, and its figures as a table.

    Args:
        name: a short name, for the place in a page.
        title: what is shown, as a heading.
        svg: the drawing for a page that knows the variables of `colours.css`; None where there is nothing to draw.
        caption: how to read it; without a drawing the sentence that stands in its place.
        columns: heads of the table.
        rows: its cells, in words and figures.
    """

    name: str
    title: str
    svg: str | None
    caption: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


@contextmanager
def figure(height: float, width: float = WIDTH) -> Iterator[Figure]:
    """A figure, by default as wide as the page, to be drawn on while the settings hold.

    Args:
        height: inches.
        width: inches.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings: dict[Any, Any] = {
        "svg.hashsalt": "dyadlog",
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 8,
        "hatch.linewidth": 1.2,
        "hatch.color": BAD,
        "text.color": INK,
        "axes.labelcolor": MUTED,
        "legend.frameon": False,
    }
    with mpl.rc_context(settings):
        drawn = Figure(figsize=(width, height), facecolor="none")
        FigureCanvasSVG(drawn)
        yield drawn


def quiet(axes: Axes, grid: str = "y") -> Axes:
    """Axes without a frame: a base line, and lines across at the ticks of one axis (`x`, `y`, or neither)."""
    axes.set_facecolor("none")
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(RULE)
    axes.tick_params(length=0, colors=MUTED)
    if grid:
        axes.grid(visible=True, axis="x" if grid == "x" else "y", color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    return axes


def label(axes: Axes, text: str) -> None:
    """What a panel shows, above it on the left."""
    axes.set_title(text, loc="left", fontsize=8, color=INK, pad=5)


def beside(axes: Axes, x: float, y: float, words: str) -> None:
    """Words to the right of a point."""
    small: dict[str, Any] = {"va": "center", "fontsize": 7, "color": MUTED}
    axes.annotate(words, (x, y), xytext=(4, 0), textcoords="offset points", **small)


def signs(axes: Axes) -> None:
    """The legend of a panel, above it on the right."""
    where: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "ncols": 8}
    axes.legend(**where, fontsize=7.5, borderpad=0.1, columnspacing=1.2, handletextpad=0.4)


def stamp(drawn: Figure) -> None:
    """Say on the picture itself that its data are invented, because a picture travels without its page."""
    above = 1 - 0.1 / drawn.get_figheight()
    drawn.text(0.995, above, "SIMULATED DATA", ha="right", va="top", color=BAD, weight="bold")


def inline(drawn: Figure, name: str = "") -> str:
    """The drawing as a part of a page: its colours and its type, no addresses, no fixed size.

    Args:
        drawn: the figure.
        name: goes before ids, so that several drawings fit on one page.
    """
    out = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    drawn.savefig(out, format="svg", transparent=True, metadata=nothing)
    text = out.getvalue()
    svg = text[text.index("<svg") :]
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    svg = re.sub(r' (width|height)="[\d.]+pt"', "", svg, count=2)
    svg = re.sub(r" font-family: [^;]+;", "", svg)
    svg = re.sub(r' xmlns(:xlink)?="[^"]+"', "", svg)
    svg = re.sub(r"\s*<defs>\s*<style[^>]*>.*?</style>\s*</defs>", "", svg, count=1, flags=re.DOTALL)
    used = set(re.findall(r'(?:url\(|href=")#([\w-]+)', svg))
    svg = re.sub(r' id="([\w.-]+)"', lambda found: found[0] if found[1] in used else "", svg)
    if name:
        svg = re.sub(r'(id="|url\(#|href="#)', rf"\1{name}-", svg)
    return svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1)


@dataclass(frozen=True)
class Plan:
    """A picture that is still to be drawn.

    Args:
        name: a short name, for the place in a page.
        title: what is shown, as a heading.
        caption: how to read it; without a drawing the sentence that stands in its place.
        height: inches.
        draw: draws on a figure; None where there is nothing to draw.
        columns: heads of the table.
        rows: its cells.
    """

    name: str
    title: str
    caption: str
    height: float = 0.0
    draw: Callable[[Figure], None] | None = None
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()

    def picture(self, *, simulated: bool) -> Picture:
        """The picture; a simulated study says so on it."""
        if self.draw is None:
            return Picture(self.name, self.title, None, self.caption)
        with figure(self.height) as drawn:
            self.draw(drawn)
            if simulated:
                stamp(drawn)
            svg = inline(drawn, self.name)
        return Picture(self.name, self.title, svg, self.caption, self.columns, self.rows)


def figured(value: float | None, digits: int = 2) -> str:
    """A figure in a table; nothing where it is missing."""
    return "" if value is None else f"{value:.{digits}f}"
