"""The planned grid joined with what is known of each square."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from promptgrid.leaderboard.inputs import ReportInput
from promptgrid.spec import Cell, Record


@dataclass(frozen=True)
class Square:
    """One place of the grid. ``shots`` and ``seed`` are the place's, which a shared cell may leave open."""

    label: str
    cell: Cell
    shots: int
    seed: int
    record: Record | None

    @property
    def status(self) -> str:
        """``done``, ``failed`` or ``missing``."""
        return self.record.status if self.record else "missing"

    @property
    def reason(self) -> str:
        """The reason of a failed square, ``MISSING`` for one that has not run, else empty."""
        if self.record is None:
            return "MISSING"
        return str(self.record.reason.value) if self.record.reason else ""


def planned(report: ReportInput) -> list[Square]:
    """Every distinct (label, cell, shots, seed) of the plan, in plan order, with its record where there is one."""
    seen = set()
    squares = []
    for label, cell in report.squares:
        place = (label, cell.key, cell.backbone, cell.dataset, cell.shots, cell.seed)
        if place not in seen:
            seen.add(place)
            record = report.records.get(cell.key) or report.failures.get(cell.key)
            squares.append(Square(label, cell, cell.shots, cell.seed, record))
    return squares


def spread(report: ReportInput) -> list[Square]:
    """:func:`planned`, with cells that do not depend on shots or seed repeated at each of the suite's.

    A track may resolve, say, all zero-shot squares of a dataset to one cell whose shots or seed is none of the
    suite's; tables by shots then need it in every place it stands for.
    """
    places: dict[tuple[str, str, str, int, int], Square] = {}
    for square in planned(report):
        cell = square.cell
        for shots in [cell.shots] if cell.shots in report.suite.shots else report.suite.shots:
            for seed in [cell.seed] if cell.seed in report.suite.seeds else report.suite.seeds:
                place = (square.label, cell.backbone, cell.dataset, shots, seed)
                places.setdefault(place, Square(square.label, cell, shots, seed, square.record))
    return list(places.values())


def score_frame(squares: list[Square], metric: str) -> pd.DataFrame:
    """label, dataset, seed, value of ``metric`` for every finished square that has it."""
    rows = [
        (square.label, square.cell.dataset, square.seed, square.record.metrics[metric])
        for square in squares
        if square.record is not None and square.status == "done" and metric in square.record.metrics
    ]
    frame = pd.DataFrame(rows, columns=["label", "dataset", "seed", "value"])
    return frame.astype({"label": object, "dataset": object, "seed": "int64", "value": "float64"})
