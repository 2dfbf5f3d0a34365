"""Every method on every dataset: mean and spread over seeds, and a reason where a number is missing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from promptgrid.leaderboard.analysis.matrix import matrix_cells
from promptgrid.leaderboard.leaderboard import Board, Standing
from promptgrid.leaderboard.section import Facts, Section, beside


def facts(board: Board) -> Facts:
    """One matrix a standing; means and deviations are fractions. ``spread``: whether any number has a deviation."""
    tables = [_table(board, standing) for standing in board.standings]
    cells = [cell for table in tables for row in table["rows"] for cell in row["cells"]]
    return {"tables": tables, "spread": any(cell["sd"] is not None for cell in cells)}


def _table(board: Board, standing: Standing) -> dict[str, Any]:
    cells = matrix_cells(standing)
    values = standing.means.to_numpy(dtype=float)
    return {
        "backbone": standing.backbone,
        "shots": standing.shots,
        "datasets": [{"name": name, "title": board.report.titles.get(name, name)} for name in standing.datasets],
        "rows": [
            {
                "label": row.label,
                "cells": [
                    {
                        **cells[row.label, name].as_facts(),
                        "shade": _shade(cells[row.label, name].mean, values[:, column]),
                    }
                    for column, name in enumerate(standing.datasets)
                ],
            }
            for row in standing.rows
        ],
    }


def _shade(value: float, column: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> int:
    """0 (bottom of the column's range, or nothing) to 5 (its top)."""
    seen = column[np.isfinite(column)]
    if math.isnan(value) or len(seen) < 2 or seen.max() == seen.min():
        return 0
    return round(5 * float((value - seen.min()) / (seen.max() - seen.min())))


SECTION = Section("datasets", "Datasets", 20, beside(__file__), facts)
