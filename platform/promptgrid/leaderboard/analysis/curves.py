"""Scores against shots: the numbers behind the curves."""

from __future__ import annotations

import math
from dataclasses import dataclass

from promptgrid.leaderboard.leaderboard import Board, Leaderboard


@dataclass(frozen=True)
class Curve:
    """One line: values and band by shots, fractions; ``hollow`` marks points that were adjusted or lack seeds.

    ``firm`` marks bands that more than two values make: only these may set a scale.
    """

    label: str
    shots: tuple[int, ...]
    values: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    hollow: tuple[bool, ...]
    firm: tuple[bool, ...]


def curves(board: Board, backbone: str) -> list[Curve]:
    """The mean over datasets of each method, with the interval of the mean."""
    lines = []
    for label in board.labels:
        points = []
        for leaderboard in _leaderboards(board, backbone):
            row = next((row for row in leaderboard.rows if row.label == label), None)
            if row is not None:
                mean = row.mean
                low = mean.value if mean.low is None else mean.low
                high = mean.value if mean.high is None else mean.high
                points.append((leaderboard.shots, mean.value, low, high, row.adjusted, mean.firm))
        lines.append(_curve(label, points))
    return [line for line in lines if line.shots]


def dataset_curves(board: Board, backbone: str, dataset: str) -> list[Curve]:
    """The mean over seeds of each method on one dataset, with one standard deviation either way."""
    lines = []
    for label in board.labels:
        points = []
        for leaderboard in _leaderboards(board, backbone):
            if label in leaderboard.means.index and dataset in leaderboard.means.columns:
                value = float(leaderboard.means.at[label, dataset])  # type: ignore[arg-type]  # a float column
                spread = float(leaderboard.deviations.at[label, dataset])  # type: ignore[arg-type]
                spread = 0.0 if math.isnan(spread) else spread
                firm = leaderboard.counts.get((label, dataset), 0) > 2
                hollow = (label, dataset) in leaderboard.partial
                points.append((leaderboard.shots, value, value - spread, value + spread, hollow, firm))
        lines.append(_curve(label, points))
    return [line for line in lines if line.shots]


def _leaderboards(board: Board, backbone: str) -> list[Leaderboard]:
    return [leaderboard for leaderboard in board.leaderboards if leaderboard.backbone == backbone]


def _curve(label: str, points: list[tuple[int, float, float, float, bool, bool]]) -> Curve:
    kept = [point for point in points if math.isfinite(point[1])]
    columns = tuple(zip(*kept, strict=True)) if kept else ((), (), (), (), (), ())
    return Curve(label, *columns)
