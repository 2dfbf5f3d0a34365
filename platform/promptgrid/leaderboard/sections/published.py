"""Published against reproduced: our figures beside those that papers report. Nothing here enters a rank."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict

from promptgrid.leaderboard.analysis.published.agreement import PAPER_SEEDS, agreements
from promptgrid.leaderboard.leaderboard import Board
from promptgrid.leaderboard.section import Facts, Section, beside


def facts(board: Board) -> Facts | None:
    """Every pair, and how many of each verdict; None where papers know none of these datasets and methods."""
    pairs = agreements(board.report)
    if not pairs:
        return None
    return {
        "pairs": [asdict(pair) for pair in pairs],
        "verdicts": dict(sorted(Counter(pair.verdict for pair in pairs).items())),
        "paper_seeds": PAPER_SEEDS,
    }


SECTION = Section("published", "Published", 25, beside(__file__), facts)
