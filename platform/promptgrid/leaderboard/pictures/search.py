"""Best against trials, as SVG text: the same search gives the same bytes."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from promptgrid.leaderboard.analysis.search_curves import SearchCurve, search_curves
from promptgrid.leaderboard.leaderboard import Board
from promptgrid.leaderboard.pictures.figures import colour
from promptgrid.leaderboard.pictures.svg import INK, LINE, to_svg
from promptgrid.leaderboard.text import shorten
from promptgrid.spec.searched import SearchFound


def search_figures(board: Board) -> dict[str, str]:
    """{file name: SVG}: one picture for each search, backbone and number of shots; none with a budget of one trial."""
    return {
        figure_name(board, number, backbone, shots): search_figure(board, found, lines)
        for number, found in enumerate(board.report.searches)
        for (backbone, shots), lines in curves_by_place(board, found).items()
        if found.trials > 1
    }


def figure_name(board: Board, number: int, backbone: str, shots: int) -> str:
    """File name of the picture of the ``number``-th search."""
    return f"search_{number + 1}_{shots}shot{board.suffix(backbone)}.svg"


def curves_by_place(board: Board, found: SearchFound) -> dict[tuple[str, int], list[SearchCurve]]:
    """The curves of a search by backbone and shots."""
    groups: dict[tuple[str, int], list[SearchCurve]] = {}
    for line in search_curves(found, board.report.tested):
        if line.label in board.labels and line.backbone in board.backbones:
            groups.setdefault((line.backbone, line.shots), []).append(line)
    return groups


def search_figure(board: Board, found: SearchFound, lines: list[SearchCurve]) -> str:
    """Solid: the best validation score to be expected. Dashed: the test score of the trial chosen so far."""
    figure = Figure(figsize=(8.6, 4.2))
    axes, metric = figure.subplots(), found.chosen_by
    for line in lines:
        trials = np.arange(1, len(line.validation) + 1)
        shade = colour(board, line.label)
        axes.plot(trials, metric.factor * np.asarray(line.validation), color=shade, linewidth=1.7)
        test = np.asarray([np.nan if value is None else value for value in line.test], dtype=float)
        axes.plot(
            trials,
            board.report.metric.factor * test,
            color=shade,
            linewidth=1.2,
            linestyle=(0, (3, 1.6)),
            drawstyle="steps-post",
        )
    axes.set_xlabel("trials")
    axes.set_ylabel(f"{metric.title}, mean over datasets{metric.axis}")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.set_xlim(1, max(2, found.trials))
    axes.grid(axis="y", color=LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    handles = [Line2D([], [], color=colour(board, line.label)) for line in lines]
    legend = figure.legend(handles, [" "] * len(lines), loc="center left", bbox_to_anchor=(0.74, 0.5), frameon=False)
    for text, line in zip(legend.get_texts(), lines, strict=True):
        text.set_text(shorten(line.label, 28))  # as text, so that a name is never read as mathematics
        text.set_fontsize(8.5)
        text.set_color(INK)
    figure.subplots_adjust(left=0.075, right=0.73, top=0.97, bottom=0.125)
    return to_svg(figure, f"search {found.question} {lines[0].backbone} {lines[0].shots}")
