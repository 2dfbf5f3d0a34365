"""What the data itself says: classes with fewer examples than shots, files that were left out."""

from __future__ import annotations

from promptgrid.leaderboard.leaderboard import Board
from promptgrid.leaderboard.section import Facts, Section, beside
from promptgrid.leaderboard.text import visible

LISTED = 20


def facts(board: Board) -> Facts | None:
    """The notes of all finished records by dataset, each once, in the order of the plan; None where there are none."""
    found: dict[str, dict[str, None]] = {}
    for planned in board.grid:
        for note in planned.record.notes if planned.record is not None else ():
            found.setdefault(planned.cell.dataset, {})[visible(note)] = None
    listed = [
        {"dataset": name, "notes": list(notes)[:LISTED], "more": max(0, len(notes) - LISTED)}
        for name, notes in found.items()
    ]
    return {"listed": listed} if listed else None


SECTION = Section("data_notes", "Notes on the data", 105, beside(__file__), facts)
