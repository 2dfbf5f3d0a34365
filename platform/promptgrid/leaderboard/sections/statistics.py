"""Summaries that outliers move less, every pair of the first rows, and how much the order rests on single datasets."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from markupsafe import Markup

from promptgrid.leaderboard.analysis.robustness import (
    duels,
    interquartile_mean,
    leaders_without,
    left_out,
    probability_of_improvement,
    variance_split,
)
from promptgrid.leaderboard.leaderboard import Board, Leaderboard
from promptgrid.leaderboard.pictures.profile import profile_name
from promptgrid.leaderboard.pictures.svg import inline
from promptgrid.leaderboard.section import Facts, Figures, Section, beside

PAIRED = 10
"""So many rows, the first ones, are compared pair by pair."""


def facts(board: Board) -> Facts | None:
    """One part a leaderboard with at least two ranked rows; scores and differences are in the metric's own unit."""
    tables = [_part(board, leaderboard) for leaderboard in board.leaderboards]
    return {"tables": tables, "paired": PAIRED} if any(part["rows"] for part in tables) else None


def _part(board: Board, leaderboard: Leaderboard) -> dict[str, Any]:
    ranked = [row.label for row in leaderboard.rows if row.ranked]
    told: dict[str, Any] = {"backbone": leaderboard.backbone, "shots": leaderboard.shots}
    if len(ranked) < 2:
        return {**told, "rows": [], "pairs": [], "alone": {}, "variance": None, "datasets": len(leaderboard.datasets)}
    sign = leaderboard.metric.sign
    table = (sign * leaderboard.means.loc[ranked]).dropna()  # rows of a study may have other targets
    scores = leaderboard.scores[leaderboard.scores["label"].isin(ranked)].copy()
    turned = scores.assign(value=sign * scores["value"])
    moved = {one.label: one for one in left_out(table)}
    rows = [
        {
            "label": label,
            "interquartile_mean": sign * interquartile_mean(turned[turned["label"] == label]["value"].tolist()),
            "improves": None
            if label == board.reference or board.reference not in ranked
            else probability_of_improvement(turned, label, board.reference),
            "left_out": asdict(moved[label]) if label in moved else None,
        }
        for label in ranked
    ]
    pairs = duels(table.iloc[:PAIRED], leaderboard.metric.tie)
    return {
        **told,
        "datasets": len(leaderboard.datasets),
        "rows": rows,
        "pairs": [{**asdict(one), "gap": sign * one.gap} for one in pairs],
        "alone": leaders_without(table),
        "variance": variance_split(turned),
    }


def drawings(board: Board, figures: Figures, told: Facts) -> dict[str, Any]:
    """Performance profiles, by place among the leaderboards; only of those that have one."""
    names = {place: profile_name(board, one) for place, one in enumerate(board.leaderboards)}
    return {
        "profiles": {
            place: Markup(inline(figures[name], name, "share of cells that reach a score"))
            for place, name in names.items()
            if name in figures
        }
    }


SECTION = Section("statistics", "Statistics", 42, beside(__file__), facts, drawings)
