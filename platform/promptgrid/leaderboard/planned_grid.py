"""The planned grid, each place of it joined with what is known of its cell."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from promptgrid.leaderboard.inputs import ReportInput
from promptgrid.spec import Cell, Record

SCRATCH = "from scratch"
TASKS, DOMAINS = "+", "|"
"""What joins the names of a source: tasks side by side (``a+b``), domains of one label space (``a|b``)."""


def parts_of(source: str) -> list[str]:
    """The datasets that a source joins, itself where it is one; a path (``folder:/a+b``) may hold such signs."""
    for joint in (DOMAINS, TASKS):
        parts = source.split(joint)
        if len(parts) > 1 and (":" not in source or all(":" in part for part in parts)):
            return parts
    return [source]


def is_multitask(cell: Cell) -> bool:
    """Whether ``cell`` starts from several tasks learned side by side, its own among them or not."""
    parts = parts_of(cell.source)
    return len(parts) > 1 and TASKS.join(parts) == cell.source


def is_zero_shot(report: ReportInput, method: str) -> bool:
    """Whether ``method`` learns nothing from the examples: of the kind ``zero-shot``, or named so."""
    return report.kinds.get(method) == "zero-shot" or method.replace("-", "_").startswith("zero_shot")


@dataclass(frozen=True)
class PlannedCell:
    """One place of the grid. ``shots`` and ``seed`` are the place's, which a shared cell may leave open.

    ``label`` names the row of the tables: the suite's label (``entry``), with the reading behind it where the cell
    starts from a source, and ``from scratch`` where a method that has such cells starts afresh.
    """

    label: str
    cell: Cell
    shots: int
    seed: int
    record: Record | None
    entry: str = ""

    @property
    def status(self) -> str:
        """``done``, ``failed`` or ``missing``."""
        return self.record.status if self.record else "missing"

    @property
    def reason(self) -> str:
        """The reason of a failed cell, ``MISSING`` for one that has not run, else empty."""
        if self.record is None:
            return "MISSING"
        return str(self.record.reason.value) if self.record.reason else ""


def planned_cells(report: ReportInput) -> list[PlannedCell]:
    """Every distinct (label, cell, shots, seed) of the plan, in plan order, with its record where there is one."""
    seen = set()
    grid = []
    moved = {label: frozenset[str]() for label, cell in report.grid if cell.reading}
    for label, cell in report.grid:
        if cell.reading:
            moved[label] |= {cell.reading}
    for label, cell in report.grid:
        place = (label, cell.key, cell.backbone, cell.dataset, cell.shots, cell.seed)
        if place not in seen:
            seen.add(place)
            record = report.records.get(cell.key) or report.failures.get(cell.key)
            grid.append(PlannedCell(_row(report, label, cell, moved), cell, cell.shots, cell.seed, record, label))
    return grid


def _row(report: ReportInput, label: str, cell: Cell, moved: dict[str, frozenset[str]]) -> str:
    if label not in moved:
        return label
    if cell.reading and len(moved[label]) == 1 and is_zero_shot(report, cell.method):
        return label  # nothing was learned, so there is nothing to read in one way or another
    if not is_multitask(cell):
        return f"{label}, {cell.reading or SCRATCH}"
    among = "learned together" if cell.dataset in parts_of(cell.source) else "new to the group"
    return f"{label}, {among}, {cell.reading}"


def spread(report: ReportInput) -> list[PlannedCell]:
    """:func:`planned_cells`, with cells that do not depend on shots or seed repeated at each of the suite's.

    A track may resolve, say, all zero-shot cells of a dataset to one cell whose shots or seed is none of the
    suite's; tables by shots then need it in every place it stands for.
    """
    places: dict[tuple[str, str, str, str, int, int], PlannedCell] = {}
    for planned in planned_cells(report):
        cell = planned.cell
        for shots in [cell.shots] if cell.shots in report.suite.shots else report.suite.shots:
            for seed in [cell.seed] if cell.seed in report.suite.seeds else report.suite.seeds:
                place = (planned.label, cell.backbone, cell.source, cell.dataset, shots, seed)
                places.setdefault(place, PlannedCell(planned.label, cell, shots, seed, planned.record, planned.entry))
    return list(places.values())


def pair_frame(grid: Iterable[PlannedCell], metric: str) -> pd.DataFrame:
    """label, source, dataset, seed, value of ``metric`` for every finished cell that has it."""
    rows = [
        (planned.label, planned.cell.source, planned.cell.dataset, planned.seed, planned.record.metrics[metric])
        for planned in grid
        if planned.record is not None and planned.status == "done" and metric in planned.record.metrics
    ]
    frame = pd.DataFrame(rows, columns=["label", "source", "dataset", "seed", "value"])
    return frame.astype({"label": object, "source": object, "dataset": object, "seed": "int64", "value": "float64"})
