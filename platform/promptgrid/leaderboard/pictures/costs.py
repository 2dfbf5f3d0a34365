"""Mean score against cost: one panel a kind of cost, a dot a method, a line along the frontier."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from promptgrid.leaderboard.leaderboard import Board
from promptgrid.leaderboard.numbers import amount, count
from promptgrid.leaderboard.pictures.figures import colour
from promptgrid.leaderboard.pictures.svg import INK, LINE, MUTED, to_svg
from promptgrid.leaderboard.text import shorten
from promptgrid.spec import Record

COSTS: tuple[tuple[str, str, Callable[[Record], float]], ...] = (
    ("trainable_parameters", "trainable parameters", lambda record: float(record.cost.trainable_parameters)),
    ("train_seconds", "training seconds a cell", lambda record: record.cost.train_seconds),
    ("peak_memory_mb", "peak memory, MB", lambda record: record.cost.peak_memory_mb),
)
"""What is drawn: key, axis, and where a record says it."""

SPREAD = 8.0
"""Costs that differ by more than this factor stand on a logarithmic axis."""
CLOSE, NEAR = 1.6, 0.09
"""Names would overlap where costs are within this factor and scores within this share of their range."""


@dataclass(frozen=True)
class Point:
    """A method: its cost, and its score as the metric gives it."""

    label: str
    cost: float
    score: float


def frontier(points: Sequence[Point], sign: float) -> list[str]:
    """Labels of those that nothing at most as costly is better than, from the cheapest; ``sign`` 1: more is better."""
    kept: list[str] = []
    best = float("-inf")
    for one in sorted(points, key=lambda one: (one.cost, -sign * one.score)):
        if sign * one.score > best:
            kept.append(one.label)
            best = sign * one.score
    return kept


def cost_name(board: Board, backbone: str, shots: int) -> str:
    """File name of :func:`cost_figure`."""
    return f"cost_{shots}shot{board.suffix(backbone)}.svg"


def cost_figure(board: Board, backbone: str, points: Mapping[str, Sequence[Point]]) -> str:
    """The panels side by side on one vertical axis. A cost of 0 stands at the left end, where the axis says 0."""
    metric = board.report.metric
    figure = Figure(figsize=(10.6, 3.9))
    grid = figure.subplots(1, len(points), sharey=True)
    for axes, (key, title, _) in zip(grid, COSTS, strict=True):
        some = points[key]
        positive = [one.cost for one in some if one.cost > 0]
        least = min(positive, default=1.0)
        zero = least / 6

        def across(one: Point, zero: float = zero) -> float:
            return one.cost if one.cost > 0 else zero

        order = frontier(some, metric.sign)
        known = {one.label: one for one in some}
        spread = max(positive, default=1.0) / least > SPREAD or any(one.cost == 0 for one in some)
        if spread:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(numticks=4))
        else:
            axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: count(value) if value >= 10 else amount(value)))
        line = [known[label] for label in order]
        axes.step(
            [across(one) for one in line], [metric.factor * one.score for one in line],
            where="post", color=MUTED, linewidth=1.0, zorder=1,
        )  # fmt: skip
        for one in some:
            first = one.label in order
            axes.plot(
                [across(one)], [metric.factor * one.score], "o",
                color=colour(board, one.label), markersize=6 if first else 4.5, alpha=1.0 if first else 0.65, zorder=3,
            )  # fmt: skip
        _name(axes, _apart(line, across, some), across, metric.factor)
        if any(one.cost == 0 for one in some):
            axes.axvline(zero * 2.2, color=LINE, linewidth=0.8, linestyle=(0, (2, 2)))
            axes.text(zero, 0.01, "0", transform=axes.get_xaxis_transform(), ha="center", fontsize=8, color=MUTED)
        axes.set_xlabel(title)
        axes.xaxis.set_minor_locator(NullLocator())
        axes.margins(x=0.16, y=0.12)
        axes.grid(axis="y", color=LINE, linewidth=0.7)
        axes.set_axisbelow(True)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
    grid[0].set_ylabel(f"{shorten(board.report.headline, 30)}, mean over datasets{metric.axis}")
    figure.subplots_adjust(left=0.065, right=0.99, top=0.97, bottom=0.15, wspace=0.08)
    return to_svg(figure, f"cost {board.report.suite.name} {backbone}")


def _apart(line: Sequence[Point], across: Callable[[Point], float], some: Sequence[Point]) -> list[Point]:
    """Those of the frontier whose names do not fall on the next one's."""
    heights = [one.score for one in some]
    near = NEAR * (max(heights) - min(heights))
    return [
        one
        for one, after in zip(line, [*line[1:], None], strict=True)
        if after is None or across(after) / across(one) > CLOSE or abs(after.score - one.score) > near
    ]


def _name(axes: Any, line: Sequence[Point], across: Callable[[Point], float], factor: float) -> None:
    """Names of the frontier, above and to the left of their dots, where the frontier itself does not run."""
    for one in line:
        axes.annotate(
            shorten(one.label, 22), (across(one), factor * one.score), xytext=(-3, 5), textcoords="offset points",
            ha="right" if one is line[-1] and len(line) > 1 else "center", fontsize=8, color=INK,
        )  # fmt: skip
