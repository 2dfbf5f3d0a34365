"""Prompts learned on several tasks at once, beside learning each task alone from the same shots."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from promptgrid.leaderboard.analysis import statistics as st
from promptgrid.leaderboard.leaderboard import Board, Leaderboard
from promptgrid.leaderboard.planned_grid import is_multitask
from promptgrid.leaderboard.section import Facts, Section, beside


def facts(board: Board) -> Facts | None:
    """Scores and differences to single-task learning (fractions); None where no source joins tasks."""
    tables = [_table(board, leaderboard) for leaderboard in board.leaderboards]
    return {"tables": tables} if any(table["rows"] for table in tables) else None


def _table(board: Board, leaderboard: Leaderboard) -> dict[str, Any]:
    joined = {planned.label for planned in leaderboard.grid if is_multitask(planned.cell)}
    alone = {label: single_task(board, leaderboard, label) for label in leaderboard.means.index if label in joined}
    singles = [label for label in leaderboard.means.index if label in set(alone.values())]
    return {
        "backbone": leaderboard.backbone,
        "shots": leaderboard.shots,
        "datasets": [{"name": name, "title": board.report.titles.get(name, name)} for name in leaderboard.datasets],
        "rows": [{**_row(leaderboard, label, None), "plain": True} for label in singles]
        + [{**_row(leaderboard, label, alone[label]), "plain": False} for label in alone],
        "groups": _groups(leaderboard),
    }


def single_task(board: Board, leaderboard: Leaderboard, label: str) -> str | None:
    """The row of plain cells that learned each task alone as ``label`` did together; None where there is none.

    The same method and settings; else the only other method all of whose settings are the same (a multitask mode has
    those of the method it is made of, and says beside them how several tasks are learned).
    """
    mine = next(planned.cell for planned in leaderboard.grid if planned.label == label)
    plain = {
        planned.label: planned.cell
        for planned in leaderboard.grid
        if not planned.cell.reading and not board.is_zero_shot(planned.label)
    }
    alike = [other for other, cell in plain.items() if cell.settings and cell.settings.items() <= mine.settings.items()]
    same = [other for other in alike if plain[other].method == mine.method]
    return same[0] if same else alike[0] if len(alike) == 1 else None


def form(leaderboard: Leaderboard, label: str) -> str:
    """How ``label`` learns several tasks at once: its settings of kinds that methods of one task here do not have."""
    joined = {planned.cell.method for planned in leaderboard.grid if is_multitask(planned.cell)}
    others = {
        name for planned in leaderboard.grid if planned.cell.method not in joined for name in planned.cell.settings
    }
    mine = next(planned.cell.settings for planned in leaderboard.grid if planned.label == label)
    own = sorted(mine.keys() - others) if others else []
    return ", ".join(f"{name} {mine[name]}" for name in own).replace("_", " ")


def _row(leaderboard: Leaderboard, label: str, alone: str | None) -> dict[str, Any]:
    gaps = _differences(leaderboard, label, alone)
    known = np.array([gap for gap in gaps.values() if not math.isnan(gap)])
    spread = st.seed_difference(leaderboard.scores, label, alone) if alone else None
    return {
        "label": label,
        "single": alone,
        "form": form(leaderboard, label) if alone else "",
        "scores": leaderboard.means.loc[label].to_numpy(dtype=float).tolist(),
        "differences": [gaps.get(name, math.nan) for name in leaderboard.datasets],
        "mean_difference": float(known.mean()) if len(known) else math.nan,
        "low": spread.low if spread else None,
        "high": spread.high if spread else None,
        "tasks": len(known),
        "better": int((known > 0).sum()),
    }


def _differences(leaderboard: Leaderboard, label: str, alone: str | None) -> Mapping[str, float]:
    """{dataset: mean over the seeds both finished}."""
    if alone is None:
        return {}
    wide = st.paired_scores(leaderboard.scores, label, alone)
    means = (wide[label] - wide[alone]).groupby("dataset").mean()
    return {str(name): float(gap) for name, gap in means.items()}


def _groups(leaderboard: Leaderboard) -> list[str]:
    return list(dict.fromkeys(planned.cell.source for planned in leaderboard.grid if is_multitask(planned.cell)))


SECTION = Section("multitask", "Multitask", 34, beside(__file__), facts)
