"""How good the best of n trials is: what more budget would have bought, method by method."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TypeVar

import numpy as np

from promptgrid.spec.metrics import Metric
from promptgrid.spec.searched import PlaceFound, SearchFound, incumbents

Scores = Sequence[float | None]
T = TypeVar("T")


@dataclass(frozen=True)
class SearchCurve:
    """One method at one number of shots: by number of trials (1, 2, ...), means over its datasets.

    ``validation`` is the best validation score to be expected, ``test`` the test score of the trial chosen so far;
    None where a test cell is missing.
    """

    label: str
    backbone: str
    shots: int
    validation: tuple[float, ...]
    test: tuple[float | None, ...]


def expected_best(scores: Scores, metric: Metric) -> list[float]:
    """The best of n trials to be expected, n = 1, 2, ...: the written one, and n - 1 of the others at random.

    In closed form: of ``m`` others in rising order, the i-th is the best of k drawn ones with C(i-1, k-1) / C(m, k).
    A trial that failed counts as the worst. Only for trials drawn independently; else see :func:`best_so_far`.
    """
    first, *others = _rising(scores, metric)
    rising = np.sort(np.asarray(others, dtype=float))
    count = len(rising)
    drawn = np.arange(1, count + 1)
    chance = drawn / max(count, 1)  # that the largest is among them
    expected = np.zeros(count)
    for place in range(count, 0, -1):
        expected += chance * max(first, rising[place - 1] if count else 0.0)
        if place > 1:
            chance = chance * np.maximum(place - drawn, 0) / (place - 1)
    return [metric.sign * score for score in (first, *expected.tolist())]


def best_so_far(scores: Scores, metric: Metric) -> list[float]:
    """The best of the first n trials, n = 1, 2, ...: for algorithms whose trials depend on those before."""
    return [metric.sign * score for score in itertools.accumulate(_rising(scores, metric), max)]


def _rising(scores: Scores, metric: Metric) -> list[float]:
    """Scores of ``metric``, the higher the better. What failed counts as the worst that can be, else that was found."""
    worst = metric.sign * metric.worst
    if not math.isfinite(worst):
        worst = min((metric.sign * score for score in scores if score is not None), default=math.nan)
    return [worst if score is None else metric.sign * score for score in scores]


def chosen_so_far(
    place: PlaceFound, metric: Metric, tested: Mapping[str, float], ruling: Scores | None = None
) -> list[float | None]:
    """The test score (mean over seeds) of the trial that the first n trials choose; None where it was not tested.

    ``ruling`` are the scores that choose; those of the place where they are not given.
    """
    best = incumbents(place.scores if ruling is None else ruling, metric)
    chosen = [max((trial for trial in best if trial <= last), default=None) for last in range(len(place.scores))]
    scores = {trial: mean_tested(place, trial, tested) for trial in {None, *best}}
    return [scores[trial] for trial in chosen]


def mean_tested(place: PlaceFound, trial: int | None, tested: Mapping[str, float]) -> float | None:
    """The mean test score over seeds of one trial at ``place``; None where one is missing."""
    keys = place.keys(trial)
    return fmean(tested[key] for key in keys) if keys and all(key in tested for key in keys) else None


def search_curves(found: SearchFound, tested: Mapping[str, float]) -> list[SearchCurve]:
    """One curve for each method, backbone and number of shots of a search, in the suite's order.

    A method without knobs has one trial, whatever the budget: its curve is flat.
    """
    groups: dict[tuple[str, str, int], list[PlaceFound]] = {}
    for place in found.places:
        groups.setdefault((place.label, place.backbone, place.shots), []).append(place)
    best = expected_best if found.algorithm == "random" else best_so_far
    curves, metric = [], found.chosen_by
    for (label, backbone, shots), places in groups.items():
        validation = [_filled(best(place.scores, metric), found.trials) for place in places]
        test = [_filled(chosen_so_far(place, metric, tested, found.ruling(place)), found.trials) for place in places]
        means = [fmean(column) for column in zip(*validation, strict=True)]
        curves.append(SearchCurve(label, backbone, shots, tuple(means), tuple(map(_mean, zip(*test, strict=True)))))
    return curves


def _filled(values: list[T], length: int) -> list[T]:
    return [*values, *[values[-1]] * (length - len(values))][:length]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if len(known) == len(values) else None
