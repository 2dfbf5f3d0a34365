"""What a search found: the score of every trial at every place, and the trial that was chosen there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from promptgrid.spec.cell import canonical_json, digest
from promptgrid.spec.metrics import ACCURACY, VALIDATION, Metric, metric_of
from promptgrid.spec.search import Algorithm

BY_ACCURACY = VALIDATION + ACCURACY.name


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class StudyFound(_Strict):
    """The configurations that were tried for one method variant on one backbone.

    ``space`` gives (low, high, log) by knob; ``trials`` what each trial changed in the settings as written.
    """

    label: str
    method: str
    backbone: str
    space: dict[str, tuple[float, float, bool]]
    trials: list[dict[str, int | float]]


class TrialCells(_Strict):
    """The keys of the test cells of one trial at one place, one a seed."""

    trial: int
    keys: list[str]


class PlaceFound(_Strict):
    """One dataset and number of shots of a study.

    ``scores`` are means over seeds of the search's metric by trial; None where a cell failed or the trial was stopped.
    Of an ensemble there are none, and nothing is chosen: ``draws`` are the trials that answer together, ``together``
    the keys of the cells in which they do, one a seed.
    """

    label: str
    backbone: str
    dataset: str
    shots: int
    scores: list[float | None]
    chosen: int | None
    tested: list[TrialCells] = []
    draws: list[int] = []
    together: list[str] = []

    def keys(self, trial: int | None) -> list[str]:
        """Keys of the test cells of ``trial``; none where it was not tested."""
        return next((found.keys for found in self.tested if found.trial == trial), [])


class SearchFound(_Strict):
    """One search of one suite, as it is written into the store before any test example is scored.

    ``base`` is the digest of the keys of the written configurations' validation cells: two searches with one base
    are about the same methods, data and code. ``cells`` counts the distinct cells of the trials that were run in full.
    ``metric`` is what was chosen by; its file leaves it out where that is the accuracy on validation examples.
    ``one_setting``: one configuration was chosen for all datasets; left out where each has its own.
    ``ensemble``: nothing was chosen and no validation example read; all draws answer together. Left out of all others.
    There ``base`` is of the written configurations' test cells, and ``cells`` counts the cells of the draws.
    """

    schema_version: Literal[1] = 1
    suite: str
    base: str
    algorithm: Algorithm
    trials: int
    seed: int
    cells: int
    metric: str = BY_ACCURACY
    one_setting: bool = False
    ensemble: bool = False
    studies: list[StudyFound]
    places: list[PlaceFound]

    @property
    def chosen_by(self) -> Metric:
        """What ``scores`` are of."""
        return metric_of(self.metric)

    @property
    def question(self) -> str:
        """What was asked, apart from the answer: a later answer to the same question replaces the earlier one."""
        spaces = [[study.label, study.backbone, study.space] for study in self.studies]
        asked = [self.base, self.algorithm, self.trials, self.seed, spaces]
        how = ["one setting"] if self.one_setting else ["ensemble"] if self.ensemble else []
        return digest([*asked, *how])

    def ruling(self, place: PlaceFound) -> list[float | None]:
        """The scores that the choice at ``place`` rests on: its own, or means over all datasets of its study."""
        if not self.one_setting:
            return place.scores
        where = place.label, place.backbone, place.shots
        return over_datasets([one.scores for one in self.places if (one.label, one.backbone, one.shots) == where])

    def text(self) -> str:
        """The canonical JSON that names it."""
        usual = {
            "metric": self.metric == BY_ACCURACY,
            "one_setting": not self.one_setting,
            "ensemble": not self.ensemble,
        }
        told = self.model_dump(mode="json", exclude={name for name, left in usual.items() if left})
        for place in [] if self.ensemble else told["places"]:
            del place["draws"], place["together"]
        return canonical_json(told)


def over_datasets(scores: Sequence[Sequence[float | None]]) -> list[float | None]:
    """Means over datasets by trial; None where a dataset has no score."""
    return [
        None if None in column else math.fsum(value for value in column if value is not None) / len(column)
        for column in zip(*scores, strict=True)
    ]


SAME = 1e-9
"""Scores this near are equal: means of the same answers in another order differ in the last bits of a float."""


def best_trial(scores: Sequence[float | None], metric: Metric) -> int | None:
    """The trial with the best score of ``metric``, the earliest of equals; None where none has a score."""
    tried = incumbents(scores, metric)
    return tried[-1] if tried else None


def incumbents(scores: Sequence[float | None], metric: Metric) -> list[int]:
    """Trials that were the best of all so far, by ``metric``, when their turn came."""
    found: list[int] = []
    for trial, score in enumerate(scores):
        best = scores[found[-1]] if found else None
        if score is not None and (best is None or metric.sign * score > metric.sign * best + SAME):
            found.append(trial)
    return found
