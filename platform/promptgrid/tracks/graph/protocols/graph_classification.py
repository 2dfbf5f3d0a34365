"""Few-shot classification of graphs: a few labelled graphs in all, ROC-AUC on the test graphs."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import ClassVar

from promptgrid.contract.dataset import Dataset
from promptgrid.contract.protocol import Evaluation, Protocol, Selection, Split
from promptgrid.engine.draws.sampling import check_few_shot, refuse_leaks
from promptgrid.spec import DatasetCard, Refused

VALIDATION = 50
"""Graphs that select, at most."""


class GraphClassification(Protocol):
    """``shots`` labelled graphs in all (50 in GPF's and RELIEF's board), at least one of each class; ROC-AUC.

    They are drawn from the train split: first one of each class, then any. As many, at most 50, of the validation
    split may select.
    """

    name = "graph_classification"
    about = "k labelled graphs in all, area under the ROC curve on the test graphs"
    headline = "roc_auc"
    scores: ClassVar[tuple[str, ...]] = ("roc_auc", "accuracy", "macro_f1")
    choose_by = "roc_auc"

    def split(self, dataset: Dataset, shots: int, seed: int) -> Split:
        refuse_leaks(dataset.card.name, dataset.splits)
        rng, classes = random.Random(seed), tuple(range(len(dataset.card.classes)))
        train = _drawn(dataset, dataset.splits["train"], shots, rng, classes)
        val = _drawn(dataset, dataset.splits.get("val", []), min(shots, VALIDATION), rng, classes)
        test = (Evaluation("test", classes, tuple(dataset.splits["test"])),)
        return Split(classes, train, val, test)

    def metrics(self, scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        return dict(scores["test"])

    def check(self, card: DatasetCard, shots: int, selection: Selection = "last") -> None:
        check_few_shot(card, shots, selection)
        if shots < len(card.classes):
            raise Refused("fewer labelled graphs than classes", where=card.name, got=shots,
                          expected=f"at least {len(card.classes)}")  # fmt: skip


def _drawn(
    dataset: Dataset, indices: list[int], count: int, rng: random.Random, classes: tuple[int, ...]
) -> tuple[int, ...]:
    mixed = rng.sample(indices, len(indices))
    first = [next((index for index in mixed if dataset.labels[index] == label), None) for label in classes]
    chosen = [index for index in first if index is not None]
    rest = [index for index in mixed if index not in set(chosen)]
    return tuple((chosen + rest)[:count])
