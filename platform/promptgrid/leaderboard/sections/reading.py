"""How to read the page."""

from __future__ import annotations

from promptgrid.leaderboard.leaderboard import SEED, Board
from promptgrid.leaderboard.section import Facts, Section, beside


def facts(board: Board) -> Facts:
    """The constants behind the words."""
    return {
        "tie": board.report.metric.factor * board.report.metric.tie,
        "draws": 10_000,
        "bootstrap_seed": SEED,
        "metric": board.report.headline,
        "sources": any(planned.cell.reading for planned in board.grid),
        "split": any(row.split for leaderboard in board.leaderboards for row in leaderboard.rows),
    }


SECTION = Section("reading", "How to read this", 130, beside(__file__), facts)
