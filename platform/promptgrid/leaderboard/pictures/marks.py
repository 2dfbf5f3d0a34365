"""Small drawings inside table cells: only numbers and our own colours go into them."""

from __future__ import annotations

import math
from typing import Any

from markupsafe import Markup

from promptgrid.leaderboard.leaderboard import Leaderboard, Row

WIDTH, HEIGHT = 120, 16


def dot(colour: str) -> Markup:
    """A round patch of a method's colour."""
    return Markup(
        '<svg class="dot" viewBox="0 0 8 8" aria-hidden="true"><circle cx="4" cy="4" r="4" fill="{}"/></svg>'
    ).format(colour)


def forest(leaderboard: Leaderboard) -> dict[str, Any]:
    """One interval plot a row of the difference to the reference, and the ends of their common axis, as printed."""
    factor = leaderboard.metric.factor
    ends = [factor * end for row in leaderboard.rows for end in _ends(row)]
    left, right = (min([0.0, *ends]), max([0.0, *ends])) if ends else (0.0, 0.0)
    room = max(right - left, 0.1) * 0.04
    left, right = left - room, right + room
    return {
        "left": f"{left:.0f}".replace("-", "−") if left < -0.5 else "",
        "right": f"+{right:.0f}" if right > 0.5 else "",
        "marks": [_mark(row, left, right) for row in leaderboard.rows],
    }


def _ends(row: Row) -> list[float]:
    if row.seeds is None or math.isnan(row.seeds.value):
        return []
    both = [row.seeds, row.datasets] if row.datasets else [row.seeds]
    told = [end for interval in both if interval.firm for end in (interval.low, interval.high) if end is not None]
    return [row.seeds.value, *told]


def _mark(row: Row, left: float, right: float) -> Markup:
    def place(value: float) -> str:
        return f"{min(max((row.metric.factor * value - left) / (right - left), 0.0), 1.0) * WIDTH:.1f}"

    zero = Markup('<line class="zero" x1="{0}" x2="{0}" y1="0" y2="{1}"/>').format(place(0.0), HEIGHT)
    body = Markup("")
    if row.seeds is not None and not math.isnan(row.seeds.value):
        for interval, kind in ((row.datasets, "wide"), (row.seeds, "narrow")):
            if interval is not None and interval.low is not None and interval.high is not None:
                shown = kind if interval.firm else f"{kind} loose"  # it may reach beyond the ends
                body += Markup('<line class="{}" x1="{}" x2="{}" y1="8" y2="8"/>').format(
                    shown, place(interval.low), place(interval.high)
                )
        body += Markup('<circle cx="{}" cy="8" r="3.2"/>').format(place(row.seeds.value))
    return Markup('<svg class="forest" viewBox="0 0 {} {}" aria-hidden="true">{}{}</svg>').format(
        WIDTH, HEIGHT, zero, body
    )
