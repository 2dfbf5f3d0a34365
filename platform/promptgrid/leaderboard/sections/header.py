"""The head of the page: what was run, how much of it is there, and how to get it again."""

from __future__ import annotations

from promptgrid.leaderboard.leaderboard import Board
from promptgrid.leaderboard.section import Facts, Section, beside
from promptgrid.leaderboard.text import redact


def facts(board: Board) -> Facts:
    """Counts are of distinct (method, cell): a cell that stands for many places counts once."""
    report, suite = board.report, board.report.suite
    own = [planned for planned in board.grid if planned.label not in report.searched]
    distinct = {(planned.label, planned.cell.key): planned.status for planned in own}
    statuses = list(distinct.values())
    targets = {planned.cell.dataset for planned in board.grid if planned.cell.reading}
    return {
        "title": suite.title or suite.name,
        "suite": suite.name,
        "track": suite.track,
        "protocol": suite.protocol,
        "metric": report.headline,
        "methods": len({planned.entry for planned in own}),
        "datasets": len(targets or {planned.cell.dataset for planned in board.grid}),
        "sources": len({planned.cell.source for planned in board.grid} - {""}),
        "readings": list(dict.fromkeys(planned.cell.reading for planned in board.grid if planned.cell.reading)),
        "backbones": board.backbones,
        "shots": sorted({planned.shots for planned in board.grid}),
        "seeds": sorted({planned.seed for planned in board.grid}),
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
