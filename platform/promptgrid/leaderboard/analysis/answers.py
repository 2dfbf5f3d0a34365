"""What cells answered on the test examples they share, put side by side."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import numpy as np

from promptgrid.leaderboard.analysis.versus import Answers, Pair, Versus, versus
from promptgrid.leaderboard.planned_grid import PlannedCell

if TYPE_CHECKING:
    from promptgrid.contract.track import Predictions
    from promptgrid.leaderboard.inputs import ReadAnswers
    from promptgrid.spec.metrics import Metric

Place = tuple[str, ...]


def by_example(parts: Iterable[Predictions]) -> Mapping[tuple[str, int], tuple[bool, str, str]]:
    """By evaluation and index whether the answer is right, the example's name, and its class."""
    found: dict[tuple[str, int], tuple[bool, str, str]] = {}
    for part in parts:
        right, indices = part.top[:, 0] == part.label, part.example.tolist()
        for place, index in enumerate(indices):
            label = int(part.label[place])
            name = part.names[place] if part.names else str(index)
            known = str(part.classes[label]) if part.classes else str(label)
            found[part.evaluation, index] = bool(right[place]), str(name), known
    return found


def side_by_side(first: Iterable[Predictions], second: Iterable[Predictions]) -> Answers | None:
    """Both sides' answers on the examples they share; None where they share none.

    An example is shared where its evaluation, index, name and class are the same.
    """
    ours, theirs = by_example(first), by_example(second)
    shared = [key for key in ours if key in theirs and ours[key][1:3] == theirs[key][1:3]]
    if not shared:
        return None
    place = {name: k for k, name in enumerate(dict.fromkeys(ours[key][2] for key in shared))}
    return Answers(
        keys=shared,
        names=[ours[key][1] for key in shared],
        classes=list(place),
        label=np.array([place[ours[key][2]] for key in shared], dtype=np.int64),
        first=np.array([ours[key][0] for key in shared], dtype=np.bool_),
        second=np.array([theirs[key][0] for key in shared], dtype=np.bool_),
    )


def pair_of(left: PlannedCell, right: PlannedCell, metric: str, answers: Answers | None) -> Pair:
    """The pair that two finished cells make, on the scores of ``metric``."""
    assert left.record is not None
    assert right.record is not None
    return Pair(
        label=left.label,
        dataset=left.cell.dataset,
        backbone=left.cell.backbone,
        shots=left.shots,
        seed=left.seed,
        first=left.record.metrics[metric],
        second=right.record.metrics[metric],
        answers=answers,
    )


def place_of(one: PlannedCell, apart: bool = True) -> Place:
    """All that the two cells of a pair have in common; their row too, unless each side is one row (``apart``)."""
    cell = one.cell
    row = () if apart else (one.label,)
    return (*row, cell.backbone, cell.dataset, str(one.shots), str(one.seed), cell.source, cell.reading)


def rows_compared(
    grid: Iterable[PlannedCell], first: str, second: str, metric: Metric, read: ReadAnswers
) -> Versus | None:
    """Two rows of one leaderboard on all that both finished; None where that is nothing."""
    own: dict[str, dict[Place, PlannedCell]] = {first: {}, second: {}}
    for one in grid:
        if one.label in own and one.status == "done":
            own[one.label][place_of(one)] = one
    pairs = [
        pair_of(left, right, metric.name, side_by_side(read(left.cell.key), read(right.cell.key)))
        for place, left in own[first].items()
        if (right := own[second].get(place)) is not None
    ]
    return versus(first, second, metric, pairs) if pairs else None
