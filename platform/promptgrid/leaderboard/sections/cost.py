"""Accuracy against what it costs: parameters learned, seconds of training, memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from markupsafe import Markup

from promptgrid.leaderboard.leaderboard import Board, Leaderboard
from promptgrid.leaderboard.pictures.costs import COSTS, Point, cost_figure, cost_name, frontier
from promptgrid.leaderboard.pictures.svg import inline
from promptgrid.leaderboard.planned_grid import PlannedCell
from promptgrid.leaderboard.section import Facts, Figures, Section, beside
from promptgrid.spec import Record


@dataclass(frozen=True)
class Costs:
    """What the ranked rows of a leaderboard cost on one machine, out of ``machines``."""

    machine: str
    machines: int
    points: dict[str, list[Point]]


def costs(leaderboard: Leaderboard) -> Costs | None:
    """Medians over the cells that the machine with most of them computed; None with fewer than two rows there."""
    own = [planned for planned in leaderboard.grid if planned.record is not None and planned.status == "done"]
    done = [one for one in own if one.record is not None and one.record.provenance.device]  # what others say has none
    places = Counter(_machine(planned.record) for planned in done if planned.record)
    if not places:
        return None
    machine = max(sorted(places), key=lambda name: places[name])
    own = [planned for planned in done if planned.record and _machine(planned.record) == machine]
    points = {key: _points(leaderboard, own, pick) for key, _, pick in COSTS}
    if min(len(some) for some in points.values()) < 2:
        return None
    return Costs(machine, len(places), points)


def _machine(record: Record) -> str:
    at = record.provenance
    return f"{at.device} of {at.host}, {at.threads} thread{'' if at.threads == 1 else 's'}"


def _points(leaderboard: Leaderboard, own: list[PlannedCell], pick: Callable[[Record], float]) -> list[Point]:
    found = []
    for row in leaderboard.rows:
        values = [pick(one.record) for one in own if one.label == row.label and one.record is not None]
        if row.ranked and values:
            found.append(Point(row.label, float(median(values)), row.mean.value))
    return found


def facts(board: Board) -> Facts | None:
    """Costs and frontiers of the leaderboard with most shots on each backbone."""
    parts = []
    for leaderboard in _largest(board):
        found = costs(leaderboard)
        if found is not None:
            sign = leaderboard.metric.sign
            parts.append(
                {
                    "backbone": leaderboard.backbone,
                    "shots": leaderboard.shots,
                    "machine": found.machine,
                    "machines": found.machines,
                    "points": {
                        key: {one.label: [one.cost, one.score] for one in some} for key, some in found.points.items()
                    },
                    "frontier": {key: frontier(some, sign) for key, some in found.points.items()},
                }
            )
    return {"parts": parts} if parts else None


def _largest(board: Board) -> list[Leaderboard]:
    return list({leaderboard.backbone: leaderboard for leaderboard in board.leaderboards}.values())


def cost_figures(board: Board) -> dict[str, str]:
    """{file name: SVG} of every part."""
    return {
        cost_name(board, one.backbone, one.shots): cost_figure(board, one.backbone, told.points)
        for one in _largest(board)
        if (told := costs(one)) is not None
    }


def drawings(board: Board, figures: Figures, told: Facts) -> dict[str, Any]:
    """One picture a part."""
    names = [cost_name(board, part["backbone"], part["shots"]) for part in told["parts"]]
    return {"pictures": [Markup(inline(figures[name], name, "score against cost")) for name in names]}


SECTION = Section("cost", "Against cost", 35, beside(__file__), facts, drawings)
