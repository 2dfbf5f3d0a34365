"""Accuracy against queries of a black box: a picture a dataset, and what each share of the queries bought."""

from __future__ import annotations

from statistics import fmean
from typing import Any

from markupsafe import Markup

from promptgrid.leaderboard.analysis.queries import SHARES, QueryCurve, asks, query_curves, unasked
from promptgrid.leaderboard.leaderboard import Board, Leaderboard
from promptgrid.leaderboard.pictures.queries import figure_name
from promptgrid.leaderboard.pictures.svg import inline
from promptgrid.leaderboard.section import Facts, Figures, Section, beside


def facts(board: Board) -> Facts | None:
    """Curves and summaries (fractions, and numbers of examples); None where nothing asked a black box."""
    parts = [_part(board, leaderboard) for leaderboard in board.leaderboards if asks(leaderboard)]
    return {"parts": parts, "shares": list(SHARES)} if parts else None


def _part(board: Board, leaderboard: Leaderboard) -> dict[str, Any]:
    curves, flat = query_curves(board, leaderboard), unasked(board, leaderboard)
    first = next(iter(flat.values()), {})
    rows = [
        {"label": label, "asks": False, "datasets": len(scores), "queries": 0.0, "validation": [None] * len(SHARES),
         "test": _mean(list(scores.values())), "gain": None}
        for label, scores in flat.items()
    ]  # fmt: skip
    for label in dict.fromkeys(curve.label for curve in curves):
        rows.append(_row(label, [curve for curve in curves if curve.label == label], first))
    return {
        "backbone": leaderboard.backbone,
        "shots": leaderboard.shots,
        "rows": rows,
        "curves": [
            {
                "label": curve.label,
                "dataset": curve.dataset,
                "queries": curve.queries,
                "validation": curve.validation,
                "asked": curve.asked,
                "test": curve.test,
                "gain": curve.test - first[curve.dataset] if curve.dataset in first else None,
            }
            for curve in curves
        ],
    }


def _row(label: str, curves: list[QueryCurve], zero_shot: dict[str, float]) -> dict[str, Any]:
    """Means over the datasets of one method; a gain over zero-shot where that is known on all of them."""
    gains = [curve.test - zero_shot[curve.dataset] for curve in curves if curve.dataset in zero_shot]
    return {
        "label": label,
        "asks": True,
        "datasets": len(curves),
        "queries": fmean(curve.asked for curve in curves),
        "validation": [_mean([curve.at(share) for curve in curves]) for share in SHARES],
        "test": fmean(curve.test for curve in curves),
        "gain": fmean(gains) if len(gains) == len(curves) else None,
    }


def _mean(values: list[float | None] | list[float]) -> float | None:
    """The mean, None where a value is missing."""
    known = [value for value in values if value is not None]
    return fmean(known) if known and len(known) == len(values) else None


def drawings(board: Board, figures: Figures, told: Facts) -> dict[str, Any]:
    """The pictures, inline, in the order of the parts."""
    names = [figure_name(board, leaderboard) for leaderboard in board.leaderboards if asks(leaderboard)]
    return {
        "pictures": [Markup(inline(figures[name], name, "accuracy against queries on each dataset")) for name in names]
    }


SECTION = Section("queries", "Against queries", 31, beside(__file__), facts, drawings)
