"""Corrects the estimated seconds of a cell by how long similar finished cells took, from coarse to fine groups."""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from promptgrid.spec import Cell, Record

CELL_SECONDS = 0.02
"""What a cell takes beside its own work, measured: its record's commit, its report to the driver, its place in line."""
PRIOR = 1.0
"""A level's correction from n records counts n / (n + PRIOR): one odd record moves it half way, eight nearly all."""

Level = tuple[object, ...]


def spent(record: Record) -> float:
    """Seconds of a core that the cell of ``record`` took, what it takes beside its own work included."""
    return record.cost.train_seconds + record.cost.eval_seconds + CELL_SECONDS


@dataclass(frozen=True)
class Measured:
    """A finished cell, what its track had guessed, and what it took (both in seconds, without CELL_SECONDS)."""

    cell: Cell
    guessed: float
    took: float


@dataclass(frozen=True)
class CostModel:
    """Corrections of a track's guess: the sum of those of the levels that a cell stands on, as logarithms.

    Levels go from everything, through the method, its backbone and its shots, to the dataset. Each corrects what the
    levels above left over, by the median of its records (a stalled machine does not move it), shrunk towards no
    correction where there are few: so a method never seen is judged by the others, a new dataset by its method. The
    median over everything weighs a record by its guess: a hundred cells that fit nothing say little of one that does.
    """

    corrections: dict[Level, float] = field(default_factory=dict)

    @classmethod
    def learn(cls, measured: Iterable[Measured]) -> CostModel:
        """The model of ``measured``; guesses and times that are not positive are left out."""
        told = [one for one in measured if one.guessed > 0 and one.took > 0]
        left = [math.log(one.took / one.guessed) for one in told]
        levels = [_levels(one.cell) for one in told]
        corrections: dict[Level, float] = {(): weighted_median(left, [one.guessed for one in told])} if told else {}
        left = [rest - corrections[()] for rest in left]
        for depth in range(1, len(levels[0]) if levels else 0):
            here: dict[Level, list[float]] = defaultdict(list)
            for found, rest in zip(levels, left, strict=True):
                here[found[depth]].append(rest)
            corrections |= {
                level: statistics.median(rests) * len(rests) / (len(rests) + PRIOR) for level, rests in here.items()
            }
            left = [rest - corrections[found[depth]] for found, rest in zip(levels, left, strict=True)]
        return cls(corrections)

    def factor(self, cell: Cell) -> float:
        """What the track's guess for ``cell`` is to be multiplied with; 1 where nothing was measured."""
        return math.exp(sum(self.corrections.get(level, 0.0) for level in _levels(cell)))

    def seconds(self, cells: Sequence[Cell], guessed: float) -> float:
        """Seconds of a pack of ``cells`` whose track guessed ``guessed`` for all of them."""
        share = guessed / len(cells)
        return sum(share * self.factor(cell) + CELL_SECONDS for cell in cells)


def weighted_median(values: Sequence[float], weights: Sequence[float]) -> float:
    """The least value up to which half of the positive ``weights`` lie."""
    pairs = sorted(zip(values, weights, strict=True))
    before = list(accumulate(weight for _, weight in pairs))
    return pairs[bisect_left(before, before[-1] / 2)][0]


def _levels(cell: Cell) -> list[Level]:
    reading = "ensemble" if cell.members else cell.reading
    whole: Level = (cell.method, cell.backbone, reading, cell.shots, cell.dataset)
    return [whole[:depth] for depth in range(len(whole) + 1)]
