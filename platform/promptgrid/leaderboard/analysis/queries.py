"""Accuracy against queries: what each example shown to a black box bought."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from promptgrid.leaderboard.leaderboard import Board, Leaderboard
from promptgrid.leaderboard.planned_grid import PlannedCell

ASKED, SEEN = "queries", "val_queries"
"""Curves of a record: examples asked about behind each epoch and each checkpoint."""
SHARES = (0.25, 0.5, 1.0)
"""Of a method's queries, at which tables show how far it had come."""


@dataclass(frozen=True)
class QueryCurve:
    """One method on one dataset, means over its finished seeds; scores in their own units.

    ``validation`` are scores on the few validation examples behind so many ``queries``, both by checkpoint and empty
    where there are no such examples; ``asked`` are all queries, ``test`` is the headline score behind them.
    """

    label: str
    dataset: str
    queries: tuple[float, ...]
    validation: tuple[float, ...]
    asked: float
    test: float

    def at(self, share: float) -> float | None:
        """The validation score at the last checkpoint within ``share`` of the queries; None before the first one."""
        within = [
            score
            for asked, score in zip(self.queries, self.validation, strict=True)
            if asked <= share * self.asked + 1e-9
        ]
        return within[-1] if within else None


def asks(leaderboard: Leaderboard) -> bool:
    """Whether any finished cell of ``leaderboard`` counted its queries."""
    return any(_counted(planned) for planned in leaderboard.grid)


def query_curves(board: Board, leaderboard: Leaderboard) -> list[QueryCurve]:
    """Every method that asks, on every dataset with a finished seed; both in plan order."""
    groups: dict[tuple[str, str], list[PlannedCell]] = {}
    for planned in leaderboard.grid:
        if _counted(planned):
            groups.setdefault((planned.label, planned.cell.dataset), []).append(planned)
    order = {label: place for place, label in enumerate(board.labels)}
    curves = [_curve(board, label, dataset, grid) for (label, dataset), grid in groups.items()]
    return sorted(curves, key=lambda curve: order[curve.label])


def unasked(board: Board, leaderboard: Leaderboard) -> dict[str, dict[str, float]]:
    """{label: {dataset: mean test score}} of the methods that learn nothing, and so ask nothing."""
    return {
        label: {name: float(value) for name, value in leaderboard.means.loc[label].dropna().items()}
        for label in leaderboard.means.index
        if board.is_zero_shot(label)
    }


def _counted(planned: PlannedCell) -> bool:
    return planned.status == "done" and planned.record is not None and bool(planned.record.curves.get(ASKED))


def _curve(board: Board, label: str, dataset: str, grid: Sequence[PlannedCell]) -> QueryCurve:
    records = [planned.record for planned in grid if planned.record is not None]
    curves = [record.curves for record in records]
    return QueryCurve(
        label=label,
        dataset=dataset,
        queries=_means([curve.get(SEEN, []) for curve in curves]),
        validation=_means([curve.get(board.report.chosen_by, []) for curve in curves]),
        asked=fmean(curve[ASKED][-1] for curve in curves),
        test=fmean(record.metrics[board.report.headline] for record in records),
    )


def _means(rows: Sequence[Sequence[float]]) -> tuple[float, ...]:
    """Checkpoint by checkpoint, as far as every seed has them."""
    return tuple(fmean(column) for column in zip(*rows, strict=False))
