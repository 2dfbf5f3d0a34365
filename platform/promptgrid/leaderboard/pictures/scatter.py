"""Gains against similarities as SVG text: small panels side by side, every dot a pair of tasks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from matplotlib.ticker import MaxNLocator

from promptgrid.leaderboard.pictures.heat import FONT, UP
from promptgrid.leaderboard.pictures.svg import INK, LINE, MUTED, PAPER
from promptgrid.leaderboard.text import shorten

WIDE, HIGH, LEFT, TOP, GAP = 196.0, 150.0, 44.0, 34.0, 40.0


@dataclass(frozen=True)
class Panel:
    """One cloud: its heading, a line that says what goes with what, and the dots; NaN is not drawn."""

    title: str
    told: str
    x: Sequence[float]
    y: Sequence[float]


def scatter_svg(panels: Sequence[Panel], y_axis: str, factor: float = 100.0) -> str:
    """Panels on one vertical axis; a line at 0. Values are printed ``factor`` times as large: fractions as points."""
    every = [factor * y for panel in panels for y in panel.y if math.isfinite(y)] or [0.0]
    low, high = min(0.0, *every), max(0.0, *every)
    room = max(high - low, 1e-9) * 0.05
    low, high = low - room, high + room
    width = LEFT + len(panels) * (WIDE + GAP)
    height = TOP + HIGH + 34
    body = "".join(_panel(panel, LEFT + k * (WIDE + GAP), low, high, factor) for k, panel in enumerate(panels))
    middle = TOP + HIGH / 2
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}pt" height="{height:.0f}pt" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" {FONT} font-size="10">\n'
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="{PAPER}"/>\n'
        f'<text transform="translate(10 {middle:.1f}) rotate(-90)" text-anchor="middle" fill="{MUTED}">'
        f"{escape(y_axis)}</text>\n{body}</svg>\n"
    )


def _panel(panel: Panel, left: float, low: float, high: float, factor: float) -> str:
    x, y = np.asarray(panel.x, dtype=float), factor * np.asarray(panel.y, dtype=float)
    seen = np.isfinite(x) & np.isfinite(y)
    x, y = x[seen], y[seen]
    first, last = (float(x.min()), float(x.max())) if len(x) else (0.0, 1.0)
    room = max(last - first, 1e-9) * 0.04
    first, last = first - room, last + room

    def across(value: float) -> float:
        return left + WIDE * (value - first) / (last - first)

    def down(value: float) -> float:
        return TOP + HIGH * (high - value) / (high - low)

    # A tiny cell under a round joint is a dot that every renderer draws; a line of no length is one to some only.
    dots = "".join(
        f"M{across(a) - 0.5:.1f} {down(b) - 0.5:.1f}h1v1h-1z" for a, b in zip(x.tolist(), y.tolist(), strict=True)
    )
    lines, words = [], []
    for tick in _ticks(low, high, 5):
        colour = MUTED if tick == 0 else LINE
        lines.append(f'<path d="M{left:.1f} {down(tick):.1f}h{WIDE:.0f}" stroke="{colour}" stroke-width=".8"/>')
        words.append(f'<text x="{left - 5:.1f}" y="{down(tick) + 3.5:.1f}" text-anchor="end">{_number(tick)}</text>')
    for tick in _ticks(first, last, 4):
        words.append(f'<text x="{across(tick):.1f}" y="{TOP + HIGH + 14:.1f}" text-anchor="middle">{tick:.3g}</text>')
    return (
        f'<text x="{left:.1f}" y="12" fill="{INK}" font-size="11">{escape(shorten(panel.title, 34))}</text>'
        f'<text x="{left:.1f}" y="26" fill="{MUTED}">{escape(panel.told)}</text>'
        f'{"".join(lines)}<g fill="{MUTED}">{"".join(words)}</g>'
        f'<path d="{dots}" stroke="{UP}" stroke-opacity=".5" stroke-width="3.2" stroke-linejoin="round" fill="none"/>\n'
    )


def _ticks(low: float, high: float, most: int) -> list[float]:
    return [float(tick) for tick in MaxNLocator(most).tick_values(low, high) if low <= tick <= high]


def _number(value: float) -> str:
    return f"{value:+g}".replace("-", "−") if value else "0"
