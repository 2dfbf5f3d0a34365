"""Prompts learned on several tasks at once, beside learning each task alone from the same shots."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from promptgrid.leaderboard.analysis import statistics as st
from promptgrid.leaderboard.leaderboard import Board, Standing
from promptgrid.leaderboard.planned_grid import is_multitask
from promptgrid.leaderboard.section import Facts, Section, beside


def facts(board: Board) -> Facts | None:
    """Scores and differences to single-task learning (fractions); None where no source joins tasks."""
    tables = [_table(board, standing) for standing in board.standings]
    return {"tables": tables} if any(table["rows"] for table in tables) else None


def _table(board: Board, standing: Standing) -> dict[str, Any]:
    joined = {square.label for square in standing.squares if is_multitask(square.cell)}
    alone = {label: single_task(board, standing, label) for label in standing.means.index if label in joined}
    singles = [label for label in standing.means.index if label in set(alone.values())]
    return {
        "backbone": standing.backbone,
        "shots": standing.shots,
        "datasets": [{"name": name, "title": board.report.titles.get(name, name)} for name in standing.datasets],
        "rows": [{**_row(standing, label, None), "plain": True} for label in singles]
        + [{**_row(standing, label, alone[label]), "plain": False} for label in alone],
        "groups": _groups(standing),
    }


def single_task(board: Board, standing: Standing, label: str) -> str | None:
    """The row of plain cells that learned each task alone as ``label`` did together; None where there is none.

    The same method and settings; else the only other method all of whose settings are the same (a multitask mode has
    those of the method it is made of, and says beside them how several tasks are learned).
    """
    mine = next(square.cell for square in standing.squares if square.label == label)
    plain = {
        square.label: square.cell
        for square in standing.squares
        if not square.cell.reading and not board.is_zero_shot(square.label)
    }
    alike = [other for other, cell in plain.items() if cell.settings and cell.settings.items() <= mine.settings.items()]
    same = [other for other in alike if plain[other].method == mine.method]
    return same[0] if same else alike[0] if len(alike) == 1 else None


def form(standing: Standing, label: str) -> str:
    """How ``label`` learns several tasks at once: its settings of kinds that methods of one task here do not have."""
    joined = {square.cell.method for square in standing.squares if is_multitask(square.cell)}
    others = {name for square in standing.squares if square.cell.method not in joined for name in square.cell.settings}
    mine = next(square.cell.settings for square in standing.squares if square.label == label)
    own = sorted(mine.keys() - others) if others else []
    return ", ".join(f"{name} {mine[name]}" for name in own).replace("_", " ")


def _row(standing: Standing, label: str, alone: str | None) -> dict[str, Any]:
    gaps = _differences(standing, label, alone)
    known = np.array([gap for gap in gaps.values() if not math.isnan(gap)])
    spread = st.seed_difference(standing.scores, label, alone) if alone else None
    return {
        "label": label,
        "single": alone,
        "form": form(standing, label) if alone else "",
        "scores": standing.means.loc[label].to_numpy(dtype=float).tolist(),
        "differences": [gaps.get(name, math.nan) for name in standing.datasets],
        "mean_difference": float(known.mean()) if len(known) else math.nan,
        "low": spread.low if spread else None,
        "high": spread.high if spread else None,
        "tasks": len(known),
        "better": int((known > 0).sum()),
    }


def _differences(standing: Standing, label: str, alone: str | None) -> Mapping[str, float]:
    """{dataset: mean over the seeds both finished}."""
    if alone is None:
        return {}
    wide = st.paired_scores(standing.scores, label, alone)
    means = (wide[label] - wide[alone]).groupby("dataset").mean()
    return {str(name): float(gap) for name, gap in means.items()}


def _groups(standing: Standing) -> list[str]:
    return list(dict.fromkeys(square.cell.source for square in standing.squares if is_multitask(square.cell)))


SECTION = Section("multitask", "Multitask", 34, beside(__file__), facts)
