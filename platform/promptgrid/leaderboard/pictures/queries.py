"""Accuracy against queries, as SVG text: one small picture a dataset."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator

from promptgrid.leaderboard.analysis.queries import QueryCurve, asks, query_curves, unasked
from promptgrid.leaderboard.leaderboard import Board, Leaderboard
from promptgrid.leaderboard.numbers import count
from promptgrid.leaderboard.pictures.figures import GREY, colour
from promptgrid.leaderboard.pictures.svg import INK, LINE, to_svg
from promptgrid.leaderboard.text import shorten

ACROSS, WIDE, HIGH = 3, 3.3, 2.6


def query_figures(board: Board) -> dict[str, str]:
    """{file name: SVG}: one picture for each backbone and number of shots where a method asks a black box."""
    return {
        figure_name(board, leaderboard): query_figure(board, leaderboard)
        for leaderboard in board.leaderboards
        if asks(leaderboard)
    }


def figure_name(board: Board, leaderboard: Leaderboard) -> str:
    """File name of :func:`query_figure`."""
    return f"queries_{leaderboard.shots}shot{board.suffix(leaderboard.backbone)}.svg"


def query_figure(board: Board, leaderboard: Leaderboard) -> str:
    """Lines: validation score by checkpoint. Dots: test score behind all queries. Dashed grey: zero-shot's."""
    curves, flat = query_curves(board, leaderboard), unasked(board, leaderboard)
    labels = list(dict.fromkeys([*flat, *(curve.label for curve in curves)]))
    datasets = list(dict.fromkeys(curve.dataset for curve in curves))
    columns = min(ACROSS, len(datasets))
    rows, legend_rows = -(-len(datasets) // columns), -(-len(labels) // 3)
    height = HIGH * rows + 0.24 * legend_rows + 0.3
    figure = Figure(figsize=(WIDE * max(columns, 2), height))
    grid = np.asarray(figure.subplots(rows, columns, squeeze=False))
    for axes, dataset in zip(grid.ravel(), datasets, strict=False):
        for scores in flat.values():
            if dataset in scores:
                axes.axhline(
                    board.report.metric.factor * scores[dataset],
                    color=GREY,
                    linestyle=(0, (4, 2.2)),
                    linewidth=1.2,
                    zorder=1,
                )
        for curve in curves:
            if curve.dataset == dataset:
                _draw(axes, board, curve)
        _frame(axes, shorten(board.report.titles.get(dataset, dataset), 34))
    for axes in grid.ravel()[len(datasets) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel(f"{shorten(board.report.headline, 24)}{board.report.metric.axis}", fontsize=8)
    for place, axes in enumerate(grid.ravel()[: len(datasets)]):
        if place + columns >= len(datasets):
            axes.set_xlabel(f"queries ({board.report.examples.many} asked about)", fontsize=8)
    _legend(figure, board, labels)
    figure.subplots_adjust(
        left=0.56 / (WIDE * max(columns, 2)),
        right=0.985,
        top=1 - 0.28 / height,
        bottom=(0.24 * legend_rows + 0.62) / height,
        wspace=0.2,
        hspace=0.42,
    )
    return to_svg(figure, f"queries {board.report.suite.name} {leaderboard.backbone} {leaderboard.shots}")


def _draw(axes: Any, board: Board, curve: QueryCurve) -> None:
    shade = colour(board, curve.label)
    axes.plot(
        curve.queries,
        board.report.validation.factor * np.asarray(curve.validation),
        color=shade,
        linewidth=1.2,
        zorder=2,
    )
    axes.plot(
        [curve.asked],
        [board.report.metric.factor * curve.test],
        "o",
        color=shade,
        markersize=5,
        zorder=3,
        clip_on=False,
    )


def _frame(axes: Any, title: str) -> None:
    axes.set_title(title, fontsize=8.5, loc="left", color=INK)
    axes.set_xlim(left=0)
    axes.tick_params(labelsize=7)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, place: count(value)))
    axes.yaxis.set_major_locator(MaxNLocator(5))
    axes.grid(axis="y", color=LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _legend(figure: Figure, board: Board, labels: list[str]) -> None:
    """Names below the pictures, set as text so that none is read as mathematics."""
    styles: list[dict[str, Any]] = [
        {"linestyle": (0, (4, 2.2))} if board.is_zero_shot(label) else {"marker": "o", "markersize": 4}
        for label in labels
    ]
    handles = [Line2D([], [], color=colour(board, label), **style) for label, style in zip(labels, styles, strict=True)]
    legend = figure.legend(handles, [" "] * len(labels), ncol=min(3, len(labels)), loc="lower center", frameon=False)
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set_text(shorten(label, 40))
        text.set_fontsize(8)
        text.set_color(INK)
