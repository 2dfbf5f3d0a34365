"""Every method on every dataset: mean and spread over seeds, and a reason where a number is missing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from promptgrid.leaderboard.analysis.matrix import matrix_cells
from promptgrid.leaderboard.leaderboard import Board, Leaderboard
from promptgrid.leaderboard.section import Facts, Section, beside


def facts(board: Board) -> Facts:
    """One matrix a leaderboard; means and deviations are fractions. ``spread``: whether any number has a deviation."""
    tables = [_table(board, leaderboard) for leaderboard in board.leaderboards]
    cells = [cell for table in tables for row in table["rows"] for cell in row["cells"]]
    return {"tables": tables, "spread": any(cell["sd"] is not None for cell in cells)}


def _table(board: Board, leaderboard: Leaderboard) -> dict[str, Any]:
    cells = matrix_cells(leaderboard)
    values, sign = leaderboard.means.to_numpy(dtype=float), leaderboard.metric.sign
    return {
        "backbone": leaderboard.backbone,
        "shots": leaderboard.shots,
        "datasets": [{"name": name, "title": board.report.titles.get(name, name)} for name in leaderboard.datasets],
        "rows": [
            {
                "label": row.label,
                "ranked": row.ranked,
                "complete": row.complete,
                "cells": [
                    {
                        **cells[row.label, name].as_facts(),
                        "shade": _shade(sign * cells[row.label, name].mean, sign * values[:, column]),
                    }
                    for column, name in enumerate(leaderboard.datasets)
                ],
            }
            for row in leaderboard.rows
        ],
    }


def _shade(value: float, column: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> int:
    """0 (the worst of the column, or nothing) to 5 (its best), where more is better."""
    seen = column[np.isfinite(column)]
    if math.isnan(value) or len(seen) < 2 or seen.max() == seen.min():
        return 0
    return round(5 * float((value - seen.min()) / (seen.max() - seen.min())))


SECTION = Section("datasets", "Datasets", 20, beside(__file__), facts)
