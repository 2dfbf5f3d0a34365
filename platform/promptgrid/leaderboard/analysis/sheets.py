"""What every row answered on the examples of one dataset: by class, by example, and how sure it was."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from promptgrid.leaderboard.analysis.calibration import Bin, calibration_error, reliability
from promptgrid.leaderboard.inputs import ReadAnswers
from promptgrid.leaderboard.planned_grid import PlannedCell

if TYPE_CHECKING:
    from promptgrid.contract.track import Predictions

Ints = npt.NDArray[np.int64]
SAME = 1e-9
"""Shares this near are one share."""


@dataclass
class Answered:
    """One row on the N examples of a sheet, over its seeds.

    Attributes:
        guesses: (seeds, N) the class answered.
        confidence: (seeds, N) the probability of it, NaN where records do not tell.
    """

    guesses: list[npt.NDArray[np.int32]] = field(default_factory=list)
    confidence: list[npt.NDArray[np.float32]] = field(default_factory=list)

    def right(self, label: Ints) -> npt.NDArray[np.float64]:
        """(N,) in what share of the seeds each example is right."""
        return np.asarray(np.mean([guess == label for guess in self.guesses], axis=0))

    def guess(self, place: int) -> int:
        """What is answered most often on one example; of several the first class."""
        return int(np.bincount([int(guess[place]) for guess in self.guesses]).argmax())

    def confusion(self, label: Ints, classes: int) -> Ints:
        """(C, C) counts of true class (row) and answer (column), over all seeds."""
        found = np.zeros((classes, classes), dtype=np.int64)
        for guess in self.guesses:
            np.add.at(found, (label, guess), 1)
        return found

    def bins(self, label: Ints) -> list[Bin]:
        """Reliability over all seeds; empty where confidence is not known."""
        sure = np.concatenate(self.confidence)
        right = np.concatenate([guess == label for guess in self.guesses])
        return [] if np.isnan(sure).any() else reliability(sure, right)

    def error(self, label: Ints) -> float | None:
        """Mean over seeds of the expected calibration error; None where confidence is not known."""
        if any(np.isnan(sure).any() for sure in self.confidence):
            return None
        errors = [
            calibration_error(reliability(sure, guess == label))
            for sure, guess in zip(self.confidence, self.guesses, strict=True)
        ]
        return float(np.mean(errors))


@dataclass(frozen=True)
class Sheet:
    """One dataset, in one evaluation: N examples of C classes, and what each row answered, by its label.

    ``left_out`` counts cells that were scored on other examples than the first, and so stand nowhere in it.
    """

    dataset: str
    evaluation: str
    classes: tuple[str, ...]
    index: tuple[int, ...]
    names: tuple[str, ...]
    label: Ints
    rows: dict[str, Answered]
    left_out: int = 0

    @cached_property
    def right(self) -> npt.NDArray[np.float64]:
        """(rows, N) in what share of its seeds each row has each example right."""
        return np.stack([row.right(self.label) for row in self.rows.values()])

    def by_class(self, row: str) -> npt.NDArray[np.float64]:
        """(C,) accuracy of ``row`` on each class; NaN for a class without examples."""
        right, counts = self.rows[row].right(self.label), self.counts
        sums = np.bincount(self.label, weights=right, minlength=len(self.classes))
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)

    @cached_property
    def counts(self) -> Ints:
        """(C,) examples of each class."""
        return np.bincount(self.label, minlength=len(self.classes))

    def hardest(self, count: int) -> list[int]:
        """Places of the examples that the fewest rows have right, each row weighing the same; none that all have."""
        share = self.right.mean(axis=0)
        return [int(place) for place in np.argsort(share, kind="stable")[:count] if share[place] < 1 - SAME]

    def disputed(self, count: int, but: Sequence[int] = ()) -> list[int]:
        """Places of the examples on which rows differ most: by the variance over rows of being right; none that agree.

        Those of ``but`` are left out.
        """
        spread = np.where(np.ptp(self.right, axis=0) > SAME, self.right.var(axis=0), 0.0)
        order = [int(place) for place in np.argsort(-spread, kind="stable") if spread[place] > 0]
        return [place for place in order if place not in but][:count]


def sheets(grid: Iterable[PlannedCell], read: ReadAnswers) -> list[Sheet]:
    """One sheet for each dataset and evaluation that kept answers, in the order of the plan."""
    found: dict[tuple[str, str], Sheet] = {}
    left: dict[tuple[str, str], int] = {}
    for planned in grid:
        if planned.status != "done":
            continue
        for part in read(planned.cell.key):
            place = (planned.cell.dataset, part.evaluation)
            if place not in found:
                found[place] = _blank(planned.cell.dataset, part)
            sheet = found[place]
            if not _same_examples(sheet, part):
                left[place] = left.get(place, 0) + 1
                continue
            row = sheet.rows.setdefault(planned.label, Answered())
            order = np.argsort(part.example, kind="stable")
            row.guesses.append(part.top[order, 0].astype(np.int32))
            row.confidence.append(_confidence(part)[order].astype(np.float32))
    return [
        Sheet(one.dataset, one.evaluation, one.classes, one.index, one.names, one.label, one.rows, left.get(place, 0))
        for place, one in found.items()
    ]


def _blank(dataset: str, part: Predictions) -> Sheet:
    order = np.argsort(part.example, kind="stable")
    index = tuple(int(one) for one in part.example[order])
    label = part.label[order].astype(np.int64)
    top = int(max(part.top.max(initial=0), label.max(initial=0))) + 1
    return Sheet(
        dataset=dataset,
        evaluation=part.evaluation,
        classes=part.classes or tuple(str(one) for one in range(top)),
        index=index,
        names=tuple(part.names[one] for one in order) if part.names else tuple(map(str, index)),
        label=label,
        rows={},
    )


def _same_examples(sheet: Sheet, part: Predictions) -> bool:
    order = np.argsort(part.example, kind="stable")
    return (
        len(part.example) == len(sheet.index)
        and bool((part.example[order] == np.array(sheet.index)).all())
        and bool((part.label[order] == sheet.label).all())
        and (not part.classes or part.classes == sheet.classes)
        and int(part.top[:, 0].max(initial=0)) < len(sheet.classes)
    )


def _confidence(part: Predictions) -> npt.NDArray[np.float64]:
    if part.logsumexp is None:
        return np.full(len(part.label), np.nan)
    return np.asarray(np.exp(part.scores[:, 0].astype(np.float64) - part.logsumexp))
