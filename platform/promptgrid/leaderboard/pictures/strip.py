"""All means of a board on one line: the first and the reference by name, the others as dots."""

from __future__ import annotations

import math

from markupsafe import Markup

from promptgrid.leaderboard.leaderboard import Board, Leaderboard, Row
from promptgrid.leaderboard.numbers import points
from promptgrid.leaderboard.pictures.figures import colour
from promptgrid.leaderboard.text import shorten

WIDTH, HEIGHT, LINE, SIDE = 360.0, 44.0, 26.0, 8.0


def strip(board: Board, leaderboard: Leaderboard) -> Markup:
    """The means of complete rows, those apart from the ranks small; empty with fewer than two."""
    rows = [row for row in leaderboard.rows if row.complete and not math.isnan(row.mean.value)]
    if len(rows) < 2:
        return Markup("")
    values = [row.metric.factor * row.mean.value for row in rows]
    low, high = min(values), max(values)
    scale = (WIDTH - 2 * SIDE) / max(high - low, 1e-9)

    def across(row: Row) -> float:
        return SIDE + scale * (row.metric.factor * row.mean.value - low)

    first = next((row for row in rows if row.place == 1), None)
    reference = next((row for row in rows if row.reference and row is not first), None)
    dots = Markup("").join(_dot(board, row, across(row), row is first) for row in reversed(rows))
    labels = Markup("").join(_label(row, across(row), y) for row, y in ((first, 12), (reference, 42)) if row)
    return Markup(
        '<svg class="strip" viewBox="0 0 {0:.0f} {1:.0f}" role="img" aria-label="means of {2} methods">'
        '<line x1="{3}" x2="{4}" y1="{5}" y2="{5}"/>{6}{7}</svg>'
    ).format(WIDTH, HEIGHT, len(rows), SIDE, WIDTH - SIDE, LINE, dots, labels)


def _dot(board: Board, row: Row, x: float, first: bool) -> Markup:
    kind = "apart" if row.apart else "reference" if row.reference else "first" if first else "other"
    fill = colour(board, row.label) if kind == "first" else "currentColor"
    told = f"{shorten(row.label)} {points(row.mean.value, metric=row.metric)}"
    radius = {"apart": 2.2, "other": 3.4, "reference": 4.4, "first": 5.4}[kind]
    return Markup('<circle class="{}" cx="{:.1f}" cy="{}" r="{}" fill="{}"><title>{}</title></circle>').format(
        kind, x, LINE, radius, fill, told
    )


def _label(row: Row, x: float, y: float) -> Markup:
    """The name and mean of ``row``, kept inside the drawing."""
    anchor = "start" if x < WIDTH / 3 else "end" if x > 2 * WIDTH / 3 else "middle"
    place = {"start": x - SIDE / 2, "middle": x, "end": x + SIDE / 2}[anchor]
    told = f"{shorten(row.label, 34)} {points(row.mean.value, metric=row.metric)}"
    return Markup('<text x="{:.1f}" y="{}" text-anchor="{}">{}</text>').format(place, y, anchor, told)
