"""Results of other tools beside ours, marked. They enter a rank only where the suite says so."""

from __future__ import annotations

from dataclasses import asdict

from promptgrid.leaderboard.analysis.published.beside import beside_ours
from promptgrid.leaderboard.leaderboard import Board
from promptgrid.leaderboard.section import Facts, Section, beside
from promptgrid.spec.metrics import metric_of


def facts(board: Board) -> Facts | None:
    """Every imported result with ours at its place; None where the suite names none."""
    report = board.report
    if not report.imported:
        return None
    ours = [(planned.label, planned.record) for planned in board.grid if planned.record and planned.status == "done"]
    rows = [asdict(row) for row in beside_ours(report.suite, report.imported, ours, report.known_as, report.headline)]
    for row in rows:
        row["factor"] = metric_of(row["metric"]).factor
    return {"imported": rows, "ranked": bool(report.suite.imported and report.suite.imported.rank)}


SECTION = Section("imported", "Imported", 27, beside(__file__), facts)
