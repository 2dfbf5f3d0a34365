"""By which recipe a row was trained: its paper's, what a search chose or drew, or cut short and never ranked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from promptgrid.leaderboard.inputs import ReportInput
from promptgrid.leaderboard.planned_grid import PlannedCell

Kind = Literal["paper", "searched", "ensemble", "cut"]
CUT = "not ranked: it trains for less than its paper, and what it cannot reach in that time says nothing of the method"
WRITTEN = "not ranked: the same method stands here as a search chose it"
TOGETHER = "not ranked: the same method stands here as an ensemble over its draws"


@dataclass(frozen=True)
class Recipe:
    """By which recipe a row was trained.

    ``note``: what is cut, the budget of the search, or the settings that are not the paper's; may be empty.
    ``examples``: what the track calls its examples.
    """

    kind: Kind = "paper"
    note: str = ""
    examples: str = "examples"


def recipe_of(report: ReportInput, grid: Sequence[PlannedCell]) -> Recipe:
    """The recipe of the row that ``grid`` makes. One cut cell makes a cut row."""
    row = report.searched.get(grid[0].label)
    cuts = Counter(note for planned in grid if (note := report.cuts.get(planned.cell.key, "")))
    if cuts and not (row and row.lengths):
        return Recipe("cut", ", ".join(note for note, _ in cuts.most_common(2)))
    if row:
        return Recipe("ensemble" if row.together else "searched", row.budget, report.examples.many)
    return Recipe("paper", _changed(report, grid[0]))


def _changed(report: ReportInput, planned: PlannedCell) -> str:
    """``context_length 4 (16)``: the settings that differ from the method's defaults, with those in brackets."""
    known = report.defaults.get(planned.cell.method, {})
    settings = planned.cell.settings
    return ", ".join(
        f"{name} {_short(value)} ({_short(known[name])})"
        for name, value in sorted(settings.items())
        if name in known and known[name] != value
    )


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
