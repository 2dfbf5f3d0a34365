"""What did not finish, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from promptgrid.leaderboard.leaderboard import Board
from promptgrid.leaderboard.planned_grid import PlannedCell
from promptgrid.leaderboard.section import Facts, Section, beside
from promptgrid.leaderboard.text import redact, visible

LISTED, TAIL, MESSAGE = 200, 1_500, 6_000


def facts(board: Board) -> Facts:
    """Counts, the first failures with message and log tail (passwords and tokens blanked), and what has not run."""
    failed = _distinct([planned for planned in board.grid if planned.status == "failed"])
    missing = _distinct([planned for planned in board.grid if planned.status == "missing"])
    return {
        "failed": len(failed),
        "missing": len(missing),
        "reasons": dict(sorted(Counter(planned.reason for planned in failed).items())),
        "waiting": dict(Counter(planned.label for planned in missing)),
        "listed": [_failure(planned, board.report.titles) for planned in failed[:LISTED]],
    }


def _distinct(grid: list[PlannedCell]) -> list[PlannedCell]:
    """One place for each label and cell: a shared cell that stands in many places failed once."""
    return list({(planned.label, planned.cell.key): planned for planned in reversed(grid)}.values())[::-1]


def _failure(planned: PlannedCell, titles: Mapping[str, str]) -> dict[str, Any]:
    record = planned.record
    assert record is not None  # a failed cell has its record
    return {
        "cell_key": planned.cell.key,
        "reason": planned.reason,
        "label": planned.label,
        "dataset": planned.cell.dataset,
        "source": planned.cell.source,
        "headings": [titles.get(name, name) for name in (planned.cell.source, planned.cell.dataset) if name],
        "backbone": planned.cell.backbone,
        "shots": planned.shots,
        "seed": planned.seed,
        "attempts": record.attempts,
        "message": visible(redact(record.message))[:MESSAGE],
        "log_tail": visible(redact(record.log_tail), lines=True)[-TAIL:],
    }


SECTION = Section("failures", "Failures", 110, beside(__file__), facts)
