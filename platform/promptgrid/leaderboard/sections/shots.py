"""Accuracy against shots: the mean, and one small picture a dataset."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from markupsafe import Markup

from promptgrid.leaderboard.analysis.curves import curves, dataset_curves
from promptgrid.leaderboard.leaderboard import Board
from promptgrid.leaderboard.pictures.figures import dataset_name, has_curve, mean_name
from promptgrid.leaderboard.pictures.svg import inline
from promptgrid.leaderboard.section import Facts, Figures, Section, beside

INLINE_LIMIT = 600_000


def facts(board: Board) -> Facts | None:
    """The numbers of every curve, fractions; None where no backbone has two numbers of shots."""
    parts = [_part(board, backbone) for backbone in board.backbones if has_curve(board, backbone)]
    return {"parts": parts} if parts else None


def _part(board: Board, backbone: str) -> dict[str, Any]:
    datasets = dict.fromkeys(d for s in board.leaderboards if s.backbone == backbone for d in s.datasets)
    return {
        "backbone": backbone,
        "mean": [asdict(line) for line in curves(board, backbone)],
        "datasets": {name: [asdict(line) for line in dataset_curves(board, backbone, name)] for name in datasets},
    }


def drawings(board: Board, figures: Figures, told: Facts) -> dict[str, Any]:
    """The pictures, inline; a picture too large for the page is left to its file."""
    pictures = []
    for backbone in (backbone for backbone in board.backbones if has_curve(board, backbone)):
        name, datasets = mean_name(board, backbone), dataset_name(board, backbone)
        small = inline(figures[datasets], datasets, "score against shots on each dataset")
        pictures.append(
            {
                "mean": Markup(inline(figures[name], name, "mean score against shots")),
                "datasets": Markup(small) if len(small) <= INLINE_LIMIT else None,
            }
        )
    return {"pictures": pictures}


SECTION = Section("shots", "Against shots", 30, beside(__file__), facts, drawings)
