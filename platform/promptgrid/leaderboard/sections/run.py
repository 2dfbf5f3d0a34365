"""How much of the grid is there, and how to get it again."""

from __future__ import annotations

from promptgrid.leaderboard.leaderboard import Board
from promptgrid.leaderboard.section import Facts, Section, beside
from promptgrid.leaderboard.text import redact


def facts(board: Board) -> Facts:
    """What the records were made with."""
    report, suite = board.report, board.report.suite
    return {
        **board.counts,
        "metric": report.headline,
        "selection": suite.selection,
        "precision": suite.precision,
        "views": suite.views,
        "reference": board.reference,
        "reference_declared": board.declared,
        "backbones": board.backbones,
        "scores_digest": report.scores_digest,
        "command": redact(report.command),
        "version": report.version,
        "revision": report.revision,
        "files": report.beside,
        "dirty": "dirty" in report.revision,
    }


SECTION = Section("run", "The run", 100, beside(__file__), facts)
