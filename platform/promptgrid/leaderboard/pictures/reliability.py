"""Accuracy against confidence as SVG text: one line a method, a dot a bin, larger where more answers are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

from promptgrid.leaderboard.pictures.svg import PAPER
from promptgrid.leaderboard.text import shorten

SIDE, LEFT, TOP = 180.0, 34.0, 8.0


def reliability_svg(lines: Mapping[str, Sequence[Mapping[str, Any]]], colour: Callable[[str], str]) -> str:
    """``lines``: bins by label, as :class:`promptgrid.leaderboard.analysis.calibration.Bin` has them; '' with none."""
    if not lines:
        return ""
    names = "".join(
        f'<circle cx="{LEFT + SIDE + 16:.0f}" cy="{TOP + 10 + 18 * k}" r="4" fill="{colour(label)}"/>'
        f'<text x="{LEFT + SIDE + 26:.0f}" y="{TOP + 14 + 18 * k}">{escape(shorten(label, 24))}</text>'
        for k, label in enumerate(lines)
    )
    ticks = "".join(
        f'<text x="{_x(share):.0f}" y="{TOP + SIDE + 15:.0f}" text-anchor="middle">{100 * share:.0f}</text>'
        f'<text x="{LEFT - 5:.0f}" y="{_y(share) + 4:.0f}" text-anchor="end">{100 * share:.0f}</text>'
        for share in (0.0, 0.5, 1.0)
    )
    return (
        f'<svg class="reliability" viewBox="0 0 {LEFT + SIDE + 170:.0f} {TOP + SIDE + 34:.0f}" role="img" '
        f'aria-label="accuracy against confidence">'
        f'<rect class="frame" x="{LEFT}" y="{TOP}" width="{SIDE}" height="{SIDE}"/>'
        f'<path class="perfect" d="M{_x(0)} {_y(0)}L{_x(1)} {_y(1)}"/>'
        f"{''.join(_line(bins, colour(label)) for label, bins in reversed(list(lines.items())))}"
        f'<g class="words">{ticks}{names}<text x="{_x(0.5):.0f}" y="{TOP + SIDE + 30:.0f}" text-anchor="middle">'
        f"confidence, %</text></g></svg>"
    )


def _x(share: float) -> float:
    return LEFT + SIDE * share


def _y(share: float) -> float:
    return TOP + SIDE * (1 - share)


def _line(bins: Sequence[Mapping[str, Any]], paint: str) -> str:
    most = max(one["answers"] for one in bins)
    path = "L".join(f"{_x(one['confidence']):.1f} {_y(one['accuracy']):.1f}" for one in bins)
    dots = "".join(
        f'<circle cx="{_x(one["confidence"]):.1f}" cy="{_y(one["accuracy"]):.1f}" '
        f'r="{1.2 + 3.3 * (one["answers"] / most) ** 0.5:.1f}" fill="{paint}" stroke="{PAPER}" stroke-width=".6">'
        f"<title>{one['answers']:,} answers</title></circle>"
        for one in bins
    )
    return f'<path d="M{path}" fill="none" stroke="{paint}" stroke-width="1.4"/>{dots}'
