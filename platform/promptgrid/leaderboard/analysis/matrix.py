"""The per-dataset matrix as numbers: for the page, the LaTeX tables and report.json alike."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

from scipy import stats

from promptgrid.leaderboard.analysis.statistics import LEVEL
from promptgrid.leaderboard.leaderboard import Standing
from promptgrid.leaderboard.planned_grid import Square


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


def matrix_cells(standing: Standing) -> dict[tuple[str, str], MatrixCell]:
    """{(label, dataset): cell}. Only cells with all their seeds, of rows that are not apart, can be best."""
    apart = {row.label for row in standing.rows if row.apart}
    squares: dict[tuple[str, str], list[Square]] = {}
    for square in standing.squares:
        squares.setdefault((square.label, square.cell.dataset), []).append(square)
    found: dict[tuple[str, str], MatrixCell] = {}
    for dataset in standing.datasets:
        column = [label for label in standing.means.index if (label, dataset) in squares]
        whole = [
            label
            for label in column
            if label not in apart and all(square.status == "done" for square in squares[label, dataset])
        ]
        means = {label: float(standing.means.loc[label, dataset]) for label in column}
        spreads = {label: float(standing.deviations.loc[label, dataset]) for label in column}
        leader = max(whole, key=lambda label: means[label], default=None)
        floor = math.inf if leader is None else means[leader] - _half(spreads[leader], _seeds(squares[leader, dataset]))
        top = math.inf if leader is None else means[leader]
        for label in column:
            group = squares[label, dataset]
            best = label in whole and means[label] >= top - 1e-12
            found[label, dataset] = MatrixCell(
                means[label],
                spreads[label],
                sum(square.status == "done" for square in group),
                len(group),
                _reason(group),
                best=best,
                near=label in whole and not best and means[label] >= floor,
            )
        for label in set(standing.means.index) - set(column):
            found[label, dataset] = MatrixCell(math.nan, math.nan, 0, 0, "NOT_PLANNED")
    return found


def _seeds(group: list[Square]) -> int:
    return len({square.seed for square in group})


def _half(spread: float, seeds: int) -> float:
    """Half the t interval of a mean over ``seeds`` values; 0 where there is no spread to judge by."""
    if seeds < 2 or math.isnan(spread):
        return 0.0
    return float(stats.t.ppf((1 + LEVEL) / 2, seeds - 1)) * spread / math.sqrt(seeds)


def _reason(group: list[Square]) -> str:
    """The most frequent reason among squares that did not finish; a failure before something not yet run."""
    reasons = Counter(square.reason for square in group if square.status != "done")
    return min(reasons, key=lambda reason: (reason == "MISSING", -reasons[reason], reason), default="")
