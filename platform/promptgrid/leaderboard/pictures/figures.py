"""Pictures as SVG text: the same board gives the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullLocator

from promptgrid.leaderboard.analysis.curves import Curve, curves, dataset_curves
from promptgrid.leaderboard.leaderboard import Board, Leaderboard
from promptgrid.leaderboard.pictures.svg import INK, LINE, MUTED, PAPER, to_svg
from promptgrid.leaderboard.text import shorten

PALETTE = (
    "#3d74dd", "#e0792b", "#1f9e78", "#cf4d6f", "#8d66d1",
    "#b38d16", "#2fa3c7", "#d561ab", "#78913a", "#96745c",
)  # fmt: skip
GREY, OTHERS = "#848c98", "#b9bfc9"
"""Of zero-shot, and of methods that have no colour of their own."""


def colour(board: Board, label: str) -> str:
    """The colour of a method, the same in every picture and table; greys for zero-shot and for those not shown."""
    return str(method_style(board, label)["color"])


def method_style(board: Board, label: str) -> dict[str, Any]:
    """Colour and dashes of a method's lines, the same in every picture."""
    if board.is_zero_shot(label):
        return {"color": GREY, "linestyle": (0, (4, 2.2))}
    if label not in board.shown:
        return {"color": OTHERS, "linestyle": "-"}
    shown = (other for other in board.labels if other in board.shown and not board.is_zero_shot(other))
    learners = list(dict.fromkeys(map(board.entry, shown)))
    beside = any(row.entry == label for row in board.report.searched.values())  # as written, beside what was chosen
    return {"color": PALETTE[learners.index(board.entry(label))], "linestyle": (0, (5, 1.4)) if beside else "-"}


def mean_name(board: Board, backbone: str) -> str:
    """File name of :func:`mean_figure`."""
    return f"shots_mean{board.suffix(backbone)}.svg"


def dataset_name(board: Board, backbone: str) -> str:
    """File name of :func:`dataset_figure`."""
    return f"shots_datasets{board.suffix(backbone)}.svg"


def rank_name(board: Board, leaderboard: Leaderboard) -> str:
    """File name of :func:`rank_figure`."""
    return f"ranks_{leaderboard.shots}shot{board.suffix(leaderboard.backbone)}.svg"


def has_curve(board: Board, backbone: str) -> bool:
    """Whether there are two numbers of shots, and so something a line can join."""
    return sum(leaderboard.backbone == backbone for leaderboard in board.leaderboards) > 1


def figure_files(board: Board) -> dict[str, str]:
    """{file name: SVG}: curves where there are two numbers of shots, rank diagrams where they can say something."""
    figures = {}
    for backbone in (name for name in board.backbones if has_curve(board, name)):
        figures[mean_name(board, backbone)] = mean_figure(board, backbone)
        figures[dataset_name(board, backbone)] = dataset_figure(board, backbone)
    for leaderboard in board.leaderboards:
        if not leaderboard.comparison.why_not:
            figures[rank_name(board, leaderboard)] = rank_figure(board, leaderboard)
    return figures


def mean_figure(board: Board, backbone: str) -> str:
    """Mean over datasets against shots; bands are the intervals of the means. Methods not shown are grey, unnamed."""
    figure = Figure(figsize=(8.6, 4.4))
    axes = figure.subplots()
    lines = curves(board, backbone)
    for line in lines:
        _draw(axes, board, line)
    _shots_axis(axes, board, backbone)
    _score_axis(axes, lines, board)
    axes.set_ylabel(f"{shorten(board.report.headline, 40)}, mean over datasets{board.report.metric.axis}")
    axes.set_xlabel("shots per class (log scale)")
    _end_labels(axes, board, [line for line in lines if line.label in board.shown])
    if len(lines) > len(board.shown):
        told = f"grey: {len(lines) - len(board.shown)} other methods"
        figure.text(0.99, 0.02, told, ha="right", fontsize=8, color=MUTED)
    figure.subplots_adjust(left=0.075, right=0.76, top=0.97, bottom=0.125)
    return to_svg(figure, f"mean {board.report.suite.name} {backbone}")


def dataset_figure(board: Board, backbone: str) -> str:
    """One small picture a dataset: mean over seeds against shots; bands are one standard deviation."""
    datasets = list(dict.fromkeys(d for s in board.leaderboards if s.backbone == backbone for d in s.datasets))
    columns = min(4, len(datasets))
    rows = -(-len(datasets) // columns)
    named = [label for label in board.labels if label in board.shown]
    others = [label for label in board.labels if label not in board.shown][:1]
    legend_rows = -(-len(named + others) // 4)
    height = 1.85 * rows + 0.24 * legend_rows + 0.35
    figure = Figure(figsize=(2.55 * max(columns, 2), height))
    grid = np.asarray(figure.subplots(rows, columns, squeeze=False)).ravel()
    for axes, dataset in zip(grid, datasets, strict=False):
        lines = dataset_curves(board, backbone, dataset)
        for line in lines:
            _draw(axes, board, line, size=2.6, width=1.2)
        _shots_axis(axes, board, backbone)
        _score_axis(axes, lines, board)
        axes.set_title(shorten(board.report.titles.get(dataset, dataset), 30), fontsize=8.5, loc="left", color=INK)
        axes.tick_params(labelsize=7)
        axes.yaxis.set_major_locator(MaxNLocator(4))
    for axes in grid[len(datasets) :]:
        axes.set_visible(False)
    names = [shorten(label, 32) for label in named] + ["other methods"] * len(others)
    handles = [Line2D([], [], marker="o", markersize=3, **method_style(board, label)) for label in named + others]
    legend = figure.legend(handles, [" "] * len(names), ncol=min(4, len(names)), loc="lower center", frameon=False)
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_text(name)
        text.set_fontsize(7.5)
        text.set_color(INK)
    figure.subplots_adjust(
        left=0.055,
        right=0.985,
        top=1 - 0.26 / height,
        bottom=(0.24 * legend_rows + 0.32) / height,
        wspace=0.24,
        hspace=0.42,
    )
    return to_svg(figure, f"datasets {board.report.suite.name} {backbone}")


def rank_figure(board: Board, leaderboard: Leaderboard) -> str:
    """The critical-difference diagram: mean ranks, bars over methods that no test tells apart."""
    ranks = leaderboard.comparison.ranks
    groups = leaderboard.comparison.groups
    figure = Figure(figsize=(7.6, 0.24 * len(ranks) + 0.16 * len(groups) + 0.7))
    axes = figure.subplots()
    for place, (label, rank) in enumerate(ranks.items()):
        axes.plot([rank, rank, len(ranks) + 0.6], [0, -place - 1, -place - 1], color=LINE, linewidth=0.9, zorder=1)
        axes.plot([rank], [0], "o", color=colour(board, label), markersize=6, zorder=3, clip_on=False)
        axes.text(
            len(ranks) + 0.7, -place - 1, f"{rank:.2f}  {shorten(label, 40)}", va="center", fontsize=8.5, color=INK
        )
    for place, group in enumerate(groups):
        ends = [ranks[group[0]] - 0.06, ranks[group[-1]] + 0.06]
        axes.plot(ends, [0.7 + 0.7 * place] * 2, color=INK, linewidth=2.6, solid_capstyle="round")
    axes.set_ylim(-len(ranks) - 0.6, 0.9 + 0.7 * max(1, len(groups)))
    axes.set_xlim(0.8, len(ranks) + 0.6)
    axes.set_yticks([])
    axes.set_xticks(range(1, len(ranks) + 1))
    axes.xaxis.tick_top()
    for side in ("left", "right", "bottom"):
        axes.spines[side].set_visible(False)
    figure.subplots_adjust(left=0.02, right=0.66, top=0.88, bottom=0.02)
    return to_svg(figure, f"ranks {board.report.suite.name} {leaderboard.backbone} {leaderboard.shots}")


def _draw(axes: Any, board: Board, line: Curve, size: float = 4.2, width: float = 1.7) -> None:
    style, factor = method_style(board, line.label), board.report.metric.factor
    shots, values = np.asarray(line.shots, dtype=float), factor * np.asarray(line.values)
    low, high, hollow = (
        factor * np.asarray(line.low),
        factor * np.asarray(line.high),
        np.asarray(line.hollow, dtype=bool),
    )
    if line.label not in board.shown:
        axes.plot(shots, values, linewidth=width / 2, zorder=1, **style)
        return
    axes.plot(shots, values, marker="o", markersize=size, linewidth=width, zorder=3, **style)
    if hollow.any():
        edge = {"markerfacecolor": PAPER, "markeredgecolor": style["color"]}
        axes.plot(shots[hollow], values[hollow], "o", markersize=size, zorder=4, **edge)
    if (high > low).any():
        axes.fill_between(shots, low, high, color=style["color"], alpha=0.13, linewidth=0, zorder=2)


def _score_axis(axes: Any, lines: list[Curve], board: Board) -> None:
    """Limits that hold every value, and those bands that more than two values make."""
    ends = [value for line in lines for value in line.values]
    for line in (line for line in lines if line.label in board.shown):
        ends += [end for pair in zip(line.low, line.high, line.firm, strict=True) if pair[2] for end in pair[:2]]
    if not ends:
        return
    room = max(0.05 * (max(ends) - min(ends)), 1e-3)
    factor = board.report.metric.factor
    axes.set_ylim(factor * (min(ends) - room), factor * (max(ends) + room))


def _shots_axis(axes: Any, board: Board, backbone: str) -> None:
    shots = sorted({leaderboard.shots for leaderboard in board.leaderboards if leaderboard.backbone == backbone})
    axes.set_xscale("log", base=2)
    axes.set_xticks(shots, [str(number) for number in shots])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlim(shots[0] / 1.15, shots[-1] * 1.15)
    axes.grid(axis="y", color=LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _end_labels(axes: Any, board: Board, lines: list[Curve]) -> None:
    """Names at the right end of their lines, pushed apart where they would overlap."""
    ends = sorted(
        ((board.report.metric.factor * line.values[-1], line) for line in lines if np.isfinite(line.values[-1])),
        key=lambda end: end[0],
    )
    if not ends:
        return
    low, high = axes.get_ylim()
    places = spread_places([end[0] for end in ends], 0.044 * (high - low), low, high)
    edge = axes.get_xlim()[1]
    for (value, line), place in zip(ends, places, strict=True):
        axes.annotate(
            shorten(line.label, 28),
            xy=(line.shots[-1], value),
            xytext=(edge * 1.05, place),
            fontsize=8.5,
            va="center",
            color=INK,
            annotation_clip=False,
            arrowprops={
                "arrowstyle": "-",
                "color": method_style(board, line.label)["color"],
                "linewidth": 0.8,
                "shrinkB": 3,
            },
        )
    axes.set_ylim(low, high)


def spread_places(wanted: Sequence[float], step: float, low: float, high: float) -> list[float]:
    """Places in [low, high] at least ``step`` apart (less where they would not fit), as near as can be to ``wanted``.

    ``wanted`` rises, and so do the places. Neighbours that are too close become a block around their common centre.
    """
    step = min(step, (high - low) / max(len(wanted) - 1, 1))

    def first(block: Sequence[float]) -> float:
        """Where a block begins: its centre is the mean of what its members want, its ends are inside."""
        length = step * (len(block) - 1)
        return min(max(sum(block) / len(block) - length / 2, low), high - length)

    blocks: list[list[float]] = []
    for value in wanted:
        blocks.append([value])
        while len(blocks) > 1 and first(blocks[-2]) + step * len(blocks[-2]) > first(blocks[-1]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    return [first(block) + step * number for block in blocks for number in range(len(block))]
