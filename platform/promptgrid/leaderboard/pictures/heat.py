"""A matrix as SVG text, written out by hand: one rectangle and one number a cell, small enough to stand in the page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from promptgrid.leaderboard.pictures.svg import INK, LINE, MUTED, PAPER
from promptgrid.leaderboard.text import shorten

UP, DOWN = "#2f6fde", "#e0792b"
"""Above and below the middle: blue and orange, which the colour-blind tell apart."""
STRONGEST = 0.7
"""Opacity of the strongest colour: numbers stay readable on it, in ink on paper and in light on dark."""
FONT = 'font-family="DejaVu Sans, sans-serif"'
NAME = 22
Mark = Literal["", "some", "all"]


@dataclass(frozen=True)
class HeatCell:
    """One cell: its text, colour in -1..1 (None: none), a mark, a tooltip; ``quiet`` is grey text, ``framed`` a box."""

    text: str
    tint: float | None = None
    mark: Mark = ""
    about: str = ""
    quiet: bool = False
    framed: bool = False


@dataclass(frozen=True)
class Swatch:
    """One field of the colour key."""

    text: str
    tint: float


@dataclass(frozen=True)
class Heat:
    """What is drawn: names of rows and columns in order, cells row by row, the colour key, and what the mark means."""

    rows: Sequence[str]
    columns: Sequence[str]
    cells: Sequence[Sequence[HeatCell]]
    key: Sequence[Swatch]
    row_axis: str = "learned on"
    column_axis: str = "scored on"
    marked: str = ""


def heat_svg(heat: Heat) -> str:
    """The picture: width and height in pt, no ids, no style sheet, names escaped and shortened."""
    wide, high = max(43.0, min(64.0, 800 / max(1, len(heat.columns)))), 25.0
    left = 30 + 5.9 * max((len(shorten(name, NAME)) for name in heat.rows), default=0)
    head = 34 + 4.2 * max((len(shorten(name, NAME)) for name in heat.columns), default=0)
    lean = 4.2 * max((len(shorten(name, NAME)) for name in heat.columns[-2:]), default=0)
    width = max(left + wide * len(heat.columns) + lean, 620)
    height = head + high * len(heat.rows) + 44
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}pt" height="{height:.0f}pt" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" {FONT} font-size="10.5">',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="{PAPER}"/>',
        _names(heat, left, head, wide, high),
        _cells(heat, left, head, wide, high),
        _key(heat, left, head + high * len(heat.rows) + 14),
        "</svg>\n",
    ]
    return "\n".join(parts)


def _names(heat: Heat, left: float, head: float, wide: float, high: float) -> str:
    rows = "".join(
        f'<text x="{left - 7:.1f}" y="{head + high * (i + 0.5) + 3.7:.1f}">{_name(name)}</text>'
        for i, name in enumerate(heat.rows)
    )
    columns = "".join(
        f'<text transform="translate({left + wide * (j + 0.5):.1f} {head - 7:.1f}) rotate(-45)">{_name(name)}</text>'
        for j, name in enumerate(heat.columns)
    )
    middle = head + high * len(heat.rows) / 2
    upright = f'transform="translate(11 {middle:.1f}) rotate(-90)" text-anchor="middle"'
    return (
        f'<g fill="{INK}"><g text-anchor="end">{rows}</g>{columns}</g>\n<g fill="{MUTED}" font-size="11.5">'
        f"<text {upright}>← {escape(heat.row_axis)}</text>"
        f'<text x="{left:.1f}" y="11">{escape(heat.column_axis)} →</text></g>'
    )


def _cells(heat: Heat, left: float, head: float, wide: float, high: float) -> str:
    boxes: list[str] = []
    loud: list[str] = []
    quiet: list[str] = []
    marks: list[str] = []
    for i, row in enumerate(heat.cells):
        for j, cell in enumerate(row):
            x, y = left + wide * j, head + high * i
            boxes.append(_box(cell, x, y, wide, high))
            if cell.text:
                shift = 3.5 if cell.mark else 0.0
                place = f'x="{x + wide / 2 - shift:.1f}" y="{y + high / 2 + 3.7:.1f}"'
                (quiet if cell.quiet else loud).append(f"<text {place}>{escape(cell.text)}</text>")
            if cell.mark:
                marks.append(_triangle(x + wide - 8.5, y + high / 2 - 2, cell.mark))
    return (
        f'<g stroke="{PAPER}" stroke-width="1">{"".join(boxes)}</g>\n'
        f'<g text-anchor="middle" pointer-events="none"><g fill="{INK}">{"".join(loud)}</g>'
        f'<g fill="{MUTED}" font-style="italic">{"".join(quiet)}</g></g>\n'
        f'<g stroke="{INK}" stroke-width=".9" pointer-events="none">{"".join(marks)}</g>'
    )


def _box(cell: HeatCell, x: float, y: float, wide: float, high: float) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.0f}"'
    paint = _paint(cell.tint)
    if cell.framed:
        place = f'x="{x + 1:.1f}" y="{y + 1:.1f}" width="{wide - 2:.1f}" height="{high - 2:.0f}"'
        paint = f'{paint} stroke="{LINE}"'
    if not cell.about:
        return f"<rect {place} {paint}/>"
    return f"<rect {place} {paint}><title>{escape(cell.about)}</title></rect>"


def _paint(tint: float | None) -> str:
    if tint is None or math.isnan(tint):
        return f'fill="{PAPER}"'
    strength = min(1.0, abs(tint)) * STRONGEST
    return f'fill="{UP if tint >= 0 else DOWN}" fill-opacity="{strength:.2f}"'


def _triangle(x: float, y: float, mark: Mark) -> str:
    """Pointing down, 6 wide: filled where every test agrees, hollow where one does."""
    fill = INK if mark == "all" else "none"
    return f'<path d="M{x:.1f} {y:.1f}h6l-3 5z" fill="{fill}"/>'


def _key(heat: Heat, left: float, top: float) -> str:
    step = 44.0
    fields = "".join(
        f'<rect x="{left + step * k:.1f}" y="{top:.1f}" width="{step:.0f}" height="10" {_paint(swatch.tint)}/>'
        for k, swatch in enumerate(heat.key)
    )
    words = "".join(
        f'<text x="{left + step * (k + 0.5):.1f}" y="{top + 22:.1f}" text-anchor="middle">{escape(swatch.text)}</text>'
        for k, swatch in enumerate(heat.key)
    )
    mark = ""
    if heat.marked:
        x = left + step * len(heat.key) + 24
        both = _triangle(x, top + 2, "all") + _triangle(x + 10, top + 2, "some")
        mark = (
            f'<g stroke="{INK}" stroke-width=".9">{both}</g>'
            f'<text x="{x + 22:.1f}" y="{top + 9:.1f}">{escape(heat.marked)}</text>'
        )
    return f'<g fill="{MUTED}" font-size="10">{fields}{words}{mark}</g>'


def _name(text: str) -> str:
    return escape(shorten(text, NAME))
