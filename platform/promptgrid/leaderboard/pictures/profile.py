"""Performance profiles: for every score, the share of a method's cells that reach it.

Source: Agarwal et al., NeurIPS 2021 (run-score distributions). A line above another everywhere is better everywhere;
lines that cross say that the order of means rests on where one looks.
"""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from promptgrid.leaderboard.leaderboard import Board, Leaderboard
from promptgrid.leaderboard.pictures.figures import method_style
from promptgrid.leaderboard.pictures.svg import INK, LINE, to_svg
from promptgrid.leaderboard.text import shorten


def profile_name(board: Board, leaderboard: Leaderboard) -> str:
    """File name of :func:`profile_figure`."""
    return f"profile_{leaderboard.shots}shot{board.suffix(leaderboard.backbone)}.svg"


def profile_figure(board: Board, leaderboard: Leaderboard) -> str:
    """Steps of the ranked rows that have a colour: share of (dataset, seed) cells with at least that score."""
    metric = board.report.metric
    figure = Figure(figsize=(8.6, 3.6))
    axes = figure.subplots()
    shown = [row.label for row in leaderboard.rows if row.ranked and row.label in board.shown]
    for label in shown:
        scores = leaderboard.scores.loc[leaderboard.scores["label"] == label, "value"].to_numpy(dtype=float)
        values = np.sort(metric.factor * scores)[:: -int(metric.sign)]
        shares = 100 * np.arange(1, len(values) + 1) / len(values)
        axes.step(
            np.r_[values[:1], values], np.r_[0.0, shares], where="post", linewidth=1.5, **method_style(board, label)
        )
    axes.set_ylim(0, 102)
    axes.set_ylabel("cells that reach it, %")
    axes.set_xlabel(f"{shorten(board.report.headline, 40)}{metric.axis}")
    axes.grid(axis="y", color=LINE, linewidth=0.7)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    handles = [Line2D([], [], linewidth=1.5, **method_style(board, label)) for label in shown]
    legend = figure.legend(handles, [" "] * len(shown), loc="center right", frameon=False, fontsize=8)
    for text, label in zip(legend.get_texts(), shown, strict=True):
        text.set_text(shorten(label, 28))
        text.set_color(INK)
    figure.subplots_adjust(left=0.075, right=0.74, top=0.97, bottom=0.15)
    return to_svg(figure, f"profile {board.report.suite.name} {leaderboard.backbone} {leaderboard.shots}")


def profile_figures(board: Board) -> dict[str, str]:
    """{file name: SVG} for the leaderboard with most shots on each backbone that ranks two methods."""
    largest = {leaderboard.backbone: leaderboard for leaderboard in board.leaderboards}.values()
    several = [one for one in largest if sum(row.ranked for row in one.rows) > 1]
    return {profile_name(board, one): profile_figure(board, one) for one in several}
