"""ELEVATER's few-shot protocol: its own draw, and a fifth of what was drawn to select on."""

from __future__ import annotations

import math
import random

from promptgrid.contract import Dataset, Selection, Split
from promptgrid.engine.draws.sampling import check_few_shot, refuse_leaks
from promptgrid.engine.protocols.few_shot import FewShot, test_sets
from promptgrid.spec import DatasetCard, Refused

HELD = 0.2
"""The share of each class's drawn examples that selects."""


class ElevaterShots(FewShot):
    """ELEVATER's rule (Li et al., NeurIPS 2022; ``vision_benchmark`` with ``vision-datasets`` 0.2.17).

    The training split is shuffled by a generator of the seed, and examples are taken in that order until each class has
    k. Of each class the first ceil(0.2 k) of these select, the others train; the official validation split is not used.
    For one shot the toolkit draws two, one to train and one to select on. A class with fewer than k gives all it has; a
    single example does both.

    Its last run may train on both parts (``MERGE_TRAIN_VAL_FINAL_RUN``); here what selects is not trained on, but for a
    class with a single example. Seeds are 0, 1 and 2, shots 5, 20 and 50. Scores are those of ``few_shot``; four of its
    datasets report another metric.
    """

    name = "elevater"
    about = "k examples a class in ELEVATER's draw, of which the first fifth of each class selects; top-1 accuracy"
    selects_from = "train"

    def split(self, dataset: Dataset, shots: int, seed: int) -> Split:
        if not dataset.splits.get("train"):
            raise Refused("there are no training examples", where=dataset.card.name)
        refuse_leaks(dataset.card.name, dataset.splits)
        drawn = _drawn(dataset, max(2, shots), seed)
        held, alone = _held(dataset, drawn)
        train = tuple(index for index in drawn if index not in held or index in alone)
        classes = tuple(range(len(dataset.card.classes)))
        return Split(classes, train, tuple(filter(held.__contains__, drawn)), test_sets(dataset, classes))

    def check(self, card: DatasetCard, shots: int, selection: Selection = "last") -> None:
        check_few_shot(card, shots, "last")  # what selects comes from the training split


def _drawn(dataset: Dataset, shots: int, seed: int) -> list[int]:
    """Indices in the order of the shuffled training split, at most ``shots`` of a class."""
    order = list(dataset.splits["train"])
    random.Random(seed).shuffle(order)
    counts = dict.fromkeys(range(len(dataset.card.classes)), 0)
    kept = []
    for index in order:
        if counts[dataset.labels[index]] < shots:
            counts[dataset.labels[index]] += 1
            kept.append(index)
    return kept


def _held(dataset: Dataset, drawn: list[int]) -> tuple[frozenset[int], frozenset[int]]:
    """The first ceil(0.2 n) of each class's n examples, and those of them that are the only one of their class."""
    by_class: dict[int, list[int]] = {}
    for index in drawn:
        by_class.setdefault(dataset.labels[index], []).append(index)
    held = [index for own in by_class.values() for index in own[: math.ceil(len(own) * HELD)]]
    return frozenset(held), frozenset(own[0] for own in by_class.values() if len(own) == 1)
