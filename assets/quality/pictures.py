"""Pictures as files: a page that needs nothing beside it, or one SVG."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from markupsafe import Markup, escape

from dyadlog.assets.pictures.canvas import Picture
from dyadlog.assets.quality.facts import Origin
from dyadlog.assets.quality.page import render

# Points of the SVG; letters of a line of a caption.
_MARGIN, _TITLE, _LINE, _LETTERS = 18.0, 22.0, 11.0, 118


@cache
def _colours() -> str:
    return (Path(__file__).with_name("templates") / "colours.css").read_text("utf-8")


def pictures_page(
    title: str, eyebrow: str, note: str, pictures: Sequence[Picture], origin: Origin, *, kind: str
) -> str:
    """A page of pictures, each with its figures as a table: HTML without script, links or addresses.

    Args:
        title: what is shown.
        eyebrow: the study.
        note: who may see it.
        pictures: in their order.
        origin: where the figures come from.
        kind: what sort of page it is, in words.
    """
    drawings = [Markup(picture.svg) if picture.svg else None for picture in pictures]  # noqa: S704 - our own
    return render(
        "pictures.html.j2",
        title=title,
        eyebrow=eyebrow,
        note=note,
        shown=list(zip(pictures, drawings, strict=True)),
        origin=origin,
        kind=kind,
    )


def pictures_svg(title: str, note: str, pictures: Sequence[Picture]) -> str:
    """All pictures below each other as one SVG, light or dark as the viewer is."""
    width, parts = 0.0, []
    top = _MARGIN + 16
    parts.append(_text(top, title, 15, "600"))
    top = _paragraph(parts, top + 4, note)
    for picture in pictures:
        top += _MARGIN + _TITLE
        parts.append(_text(top, picture.title, 12, "600"))
        if picture.svg:
            wide, high = _size(picture.svg)
            width = max(width, wide)
            place = f'<svg x="{_MARGIN}" y="{top + 6:.1f}" width="{wide}" height="{high}" '
            parts.append(picture.svg.replace("<svg ", place, 1))
            top += high + 6
        top = _paragraph(parts, top + 2, picture.caption)
    width, height = (width or 547.2) + 2 * _MARGIN, top + _MARGIN
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" role="img" '
        f'viewBox="0 0 {width:.1f} {height:.1f}" width="{width:.0f}pt" height="{height:.0f}pt">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_colours()}\ntext {{ font-family: var(--sans); }}\n</style>\n"
        '<rect width="100%" height="100%" style="fill: var(--paper)"/>\n' + "\n".join(parts) + "\n</svg>\n"
    )


def _size(svg: str) -> tuple[float, float]:
    found = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    assert found
    return float(found[1]), float(found[2])


def _text(top: float, words: str, size: float, weight: str = "400", colour: str = "--ink") -> str:
    style = f"font-size: {size:g}px; font-weight: {weight}; fill: var({colour})"
    return f'<text x="{_MARGIN}" y="{top:.1f}" style="{style}">{escape(words)}</text>'


def _paragraph(parts: list[str], top: float, words: str) -> float:
    for line in textwrap.wrap(words, _LETTERS):
        top += _LINE
        parts.append(_text(top, line, 8.5, colour="--muted"))
    return top
