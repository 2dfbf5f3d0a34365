"""The long form of the results: one row per cell and metric, for people who bring their own analysis."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import pandas as pd

from promptgrid.leaderboard.inputs import ReportInput
from promptgrid.leaderboard.planned_grid import PlannedCell, planned_cells
from promptgrid.spec import Record, canonical_json

COLUMNS = {
    "cell_key": "string",
    "suite": "string",
    "protocol": "string",
    "method": "string",
    "settings": "string",
    "backbone": "string",
    "dataset": "string",
    "shots": "int64",
    "seed": "int64",
    "metric": "string",
    "value": "float64",
    "status": "string",
    "reason": "string",
    "trainable_parameters": "Int64",
    "train_seconds": "float64",
    "eval_seconds": "float64",
    "peak_memory_mb": "float64",
    "promptgrid_version": "string",
    "label": "string",
    "source": "string",
    "reading": "string",
    "message": "string",
}
"""Names and types of the columns, in order. Others script against them."""


def results_frame(report: ReportInput) -> pd.DataFrame:
    """One row per planned cell and metric, in plan order, metrics by name.

    A failed or missing cell has one row: the headline metric, value NaN, its status, its reason and the message of
    its latest attempt. Costs of a missing cell are NA. ``settings`` is canonical JSON, of an
    ensemble with those of its members. ``source`` and ``reading`` are
    empty for a cell that starts afresh.
    """
    return grid_frame(planned_cells(report), report.suite.name, report.headline)


def store_frame(records: Iterable[Record]) -> pd.DataFrame:
    """The same columns for finished records of any suite: ``suite`` is empty, ``label`` is the method's name."""
    grid = [
        PlannedCell(record.cell.method, record.cell, record.cell.shots, record.cell.seed, record) for record in records
    ]
    return grid_frame(grid, suite="", headline="")


def grid_frame(grid: Iterable[PlannedCell], suite: str, headline: str) -> pd.DataFrame:
    """The rows of ``grid`` in its order; ``headline`` names the metric of rows without a value."""
    rows = [row for planned in grid for row in _rows(planned, suite, headline)]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def _rows(planned: PlannedCell, suite: str, headline: str) -> list[dict[str, Any]]:
    record, cell = planned.record, planned.cell
    base = {
        "cell_key": cell.key,
        "suite": suite,
        "protocol": cell.protocol,
        "method": cell.method,
        "settings": canonical_json(cell.said_settings),
        "backbone": cell.backbone,
        "dataset": cell.dataset,
        "shots": planned.shots,
        "seed": planned.seed,
        "status": planned.status,
        "reason": planned.reason if planned.status == "failed" else "",
        "trainable_parameters": record.cost.trainable_parameters if record else None,
        "train_seconds": record.cost.train_seconds if record else math.nan,
        "eval_seconds": record.cost.eval_seconds if record else math.nan,
        "peak_memory_mb": record.cost.peak_memory_mb if record else math.nan,
        "promptgrid_version": record.provenance.promptgrid_version if record else "",
        "label": planned.entry or planned.label,
        "source": cell.source,
        "reading": cell.reading,
        "message": " ".join(record.message.split()) if record else "",
    }
    if record is None or record.status != "done":
        return [{**base, "metric": headline, "value": math.nan}]
    return [{**base, "metric": name, "value": value} for name, value in sorted(record.metrics.items())]
