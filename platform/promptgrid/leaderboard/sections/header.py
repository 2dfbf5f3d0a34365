"""The head of the page: what was run, how much of it is there, and how to get it again."""

from __future__ import annotations

from promptgrid.leaderboard.leaderboard import Board
from promptgrid.leaderboard.section import Facts, Section, beside
from promptgrid.leaderboard.text import redact


def facts(board: Board) -> Facts:
    """Counts are of distinct (method, cell): a cell that stands for many places counts once."""
    report, suite = board.report, board.report.suite
    own = [square for square in board.squares if square.label not in report.searched]
    distinct = {(square.label, square.cell.key): square.status for square in own}
    statuses = list(distinct.values())
    targets = {square.cell.dataset for square in board.squares if square.cell.reading}
    return {
        "title": suite.title or suite.name,
        "suite": suite.name,
        "track": suite.track,
        "protocol": suite.protocol,
        "metric": report.headline,
        "methods": len({square.entry for square in own}),
        "datasets": len(targets or {square.cell.dataset for square in board.squares}),
        "sources": len({square.cell.source for square in board.squares} - {""}),
        "readings": list(dict.fromkeys(square.cell.reading for square in board.squares if square.cell.reading)),
        "backbones": board.backbones,
        "shots": sorted({square.shots for square in board.squares}),
        "seeds": sorted({square.seed for square in board.squares}),
        "planned": len(statuses),
        "done": statuses.count("done"),
        "failed": statuses.count("failed"),
        "missing": statuses.count("missing"),
        "selection": suite.selection,
        "reference": board.reference,
        "reference_declared": board.declared,
        "scores_digest": report.scores_digest,
        "command": redact(report.command),
        "version": report.version,
        "revision": report.revision,
        "dirty": "dirty" in report.revision,
    }


SECTION = Section("header", "", 0, beside(__file__), facts)
