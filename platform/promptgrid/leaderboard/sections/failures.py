"""What did not finish, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from promptgrid.leaderboard.leaderboard import Board
from promptgrid.leaderboard.planned_grid import Square
from promptgrid.leaderboard.section import Facts, Section, beside
from promptgrid.leaderboard.text import redact, visible

LISTED, TAIL, MESSAGE = 200, 1_500, 6_000


def facts(board: Board) -> Facts:
    """Counts, the first failures with message and log tail (passwords and tokens blanked), and what has not run."""
    failed = _distinct([square for square in board.squares if square.status == "failed"])
    missing = _distinct([square for square in board.squares if square.status == "missing"])
    return {
        "failed": len(failed),
        "missing": len(missing),
        "reasons": dict(sorted(Counter(square.reason for square in failed).items())),
        "waiting": dict(Counter(square.label for square in missing)),
        "listed": [_failure(square, board.report.titles) for square in failed[:LISTED]],
    }


def _distinct(squares: list[Square]) -> list[Square]:
    """One square a cell and label: a shared cell that stands in many places failed once."""
    return list({(square.label, square.cell.key): square for square in reversed(squares)}.values())[::-1]


def _failure(square: Square, titles: Mapping[str, str]) -> dict[str, Any]:
    record = square.record
    assert record is not None  # a failed square has its record
    return {
        "cell_key": square.cell.key,
        "reason": square.reason,
        "label": square.label,
        "dataset": square.cell.dataset,
        "source": square.cell.source,
        "headings": [titles.get(name, name) for name in (square.cell.source, square.cell.dataset) if name],
        "backbone": square.cell.backbone,
        "shots": square.shots,
        "seed": square.seed,
        "attempts": record.attempts,
        "message": visible(redact(record.message))[:MESSAGE],
        "log_tail": visible(redact(record.log_tail), lines=True)[-TAIL:],
    }


SECTION = Section("failures", "Failures", 110, beside(__file__), facts)
