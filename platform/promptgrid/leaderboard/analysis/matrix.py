"""The per-dataset matrix as numbers: for the page, the LaTeX tables and report.json alike."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from scipy import stats

from promptgrid.leaderboard.analysis.statistics import LEVEL
from promptgrid.leaderboard.leaderboard import Leaderboard
from promptgrid.leaderboard.planned_grid import PlannedCell


@dataclass(frozen=True)
class MatrixCell:
    """One method on one dataset, fractions; ``sd`` is NaN below two seeds; ``reason`` says why seeds are missing."""

    mean: float
    sd: float
    done: int
    planned: int
    reason: str
    best: bool = False
    near: bool = False

    def as_facts(self) -> dict[str, Any]:
        """Plain values, NaN as None."""
        return {key: None if isinstance(v, float) and math.isnan(v) else v for key, v in asdict(self).items()}


def matrix_cells(leaderboard: Leaderboard) -> dict[tuple[str, str], MatrixCell]:
    """{(label, dataset): cell}. Only cells with all their seeds, of rows that are not apart, can be best."""
    apart = {row.label for row in leaderboard.rows if row.apart}
    grid: dict[tuple[str, str], list[PlannedCell]] = {}
    for planned in leaderboard.grid:
        grid.setdefault((planned.label, planned.cell.dataset), []).append(planned)
    found: dict[tuple[str, str], MatrixCell] = {}
    for dataset in leaderboard.datasets:
        column = [label for label in leaderboard.means.index if (label, dataset) in grid]
        whole = [
            label
            for label in column
            if label not in apart and all(planned.status == "done" for planned in grid[label, dataset])
        ]
        means = {label: float(leaderboard.means.loc[label, dataset]) for label in column}
        scores = {label: leaderboard.metric.sign * mean for label, mean in means.items()}  # the higher, the better
        spreads = {label: float(leaderboard.deviations.loc[label, dataset]) for label in column}
        leader = max(whole, key=lambda label: scores[label], default=None)
        floor = math.inf if leader is None else scores[leader] - _half(spreads[leader], _seeds(grid[leader, dataset]))
        top = math.inf if leader is None else scores[leader]
        for label in column:
            group = grid[label, dataset]
            best = label in whole and scores[label] >= top - 1e-12
            found[label, dataset] = MatrixCell(
                means[label],
                spreads[label],
                sum(planned.status == "done" for planned in group),
                len(group),
                _reason(group),
                best=best,
                near=label in whole and not best and scores[label] >= floor,
            )
        for label in set(leaderboard.means.index) - set(column):
            found[label, dataset] = MatrixCell(math.nan, math.nan, 0, 0, "NOT_PLANNED")
    return found


def _seeds(group: list[PlannedCell]) -> int:
    return len({planned.seed for planned in group})


def _half(spread: float, seeds: int) -> float:
    """Half the t interval of a mean over ``seeds`` values; 0 where there is no spread to judge by."""
    if seeds < 2 or math.isnan(spread):
        return 0.0
    return float(stats.t.ppf((1 + LEVEL) / 2, seeds - 1)) * spread / math.sqrt(seeds)


def _reason(group: list[PlannedCell]) -> str:
    """The most frequent reason among cells that did not finish; a failure before something not yet run."""
    reasons = Counter(planned.reason for planned in group if planned.status != "done")
    return min(reasons, key=lambda reason: (reason == "MISSING", -reasons[reason], reason), default="")
