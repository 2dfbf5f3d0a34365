"""A study of transfer as CSV: a matrix a file as drawn, and one long table of all pairs."""

from __future__ import annotations

from typing import Any

import numpy as np

from promptgrid.leaderboard.files.csv_text import csv_rows, csv_text
from promptgrid.leaderboard.leaderboard import Board
from promptgrid.leaderboard.transfer.matrices import SCRATCH, ZERO_SHOT, Transfer
from promptgrid.leaderboard.transfer.pictures import MEASURES, SHORT, drawn, file_stem, orders


def transfer_tables(board: Board) -> dict[str, str]:
    """{file name: CSV}: ``transfer_pairs.csv``, and each drawn matrix, rows sources and columns targets, as drawn."""
    if not board.transfers:
        return {}
    tables = {"transfer_pairs.csv": csv_rows(pair_rows(board))}
    for item in drawn(board):
        for measure in MEASURES:
            if np.isfinite(item.apart(measure)).any():
                tables[f"{file_stem(board, item)}_{SHORT[measure]}.csv"] = matrix_csv(board, item, measure)
    return tables


def matrix_csv(board: Board, item: Transfer, measure: str) -> str:
    """Fractions, own pairs included; empty where there is no number."""
    rows, columns = orders(board, item)
    values = item.measures[measure]
    lines = [[item.sources[i], *(float(values[i, j]) for j in columns)] for i in rows]
    return csv_text(["source", *(item.targets[j] for j in columns)], lines)


def pair_rows(board: Board) -> list[dict[str, Any]]:
    """One row a pair of every matrix: everything the maps show, and the gain of each seed."""
    rows = []
    for item in board.transfers:
        for i, source in enumerate(item.sources):
            for j, target in enumerate(item.targets):
                if item.reasons.get((i, j)) != "NOT_PLANNED":
                    rows.append(_pair(item, i, j, source, target))
    return rows


def _pair(item: Transfer, i: int, j: int, source: str, target: str) -> dict[str, Any]:
    where = {"backbone": item.backbone, "shots": item.shots, "method": item.entry, "reading": item.reading}
    row: dict[str, Any] = {**where, "source": source, "target": target, "own": bool(item.own[i, j])}
    row |= {"score": float(item.measures["raw"][i, j]), "scratch": float(item.baseline(SCRATCH)[i, j])}
    row["zero_shot"] = float(item.baseline(ZERO_SHOT)[i, j])
    row |= {SHORT[name]: float(item.measures[name][i, j]) for name in (SCRATCH, ZERO_SHOT, "normalised")}
    for base in (SCRATCH, ZERO_SHOT):
        for n, seed in enumerate(item.seeds):
            row[f"{SHORT[base]}_seed_{seed}"] = float(item.gains[base][i, j, n])
        for test, q in item.q_values[base].items():
            row[f"q_{base}_{test}"] = float(q[i, j])
        if base in item.counts:
            row[f"{item.examples}_better_{base}"], row[f"{item.examples}_worse_{base}"] = map(
                float, item.counts[base][i, j]
            )
    return {**row, "reason": item.reasons.get((i, j), "")}
