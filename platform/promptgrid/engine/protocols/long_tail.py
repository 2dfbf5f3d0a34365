"""Long-tail support: many examples of some classes to learn from, few of others."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from promptgrid.contract import Dataset, Dial, Evaluation, Selection, Split
from promptgrid.engine.draws.sampling import of_classes
from promptgrid.engine.protocols.few_shot import FewShot
from promptgrid.spec import DatasetCard, Refused


class LongTail(FewShot):
    """Few-shot classification from an imbalanced support set; the test split stays as it is.

    The classes are ranked by a draw of the run's seed; the class of rank r of C keeps the first
    max(1, round(shots * ratio^(-r / (C - 1)))) of its few-shot sample, so that the most frequent class has ``shots``
    examples and the rarest ``shots / ratio`` (the exponential profile of Cao et al., NeurIPS 2019). ``long_tail-50``
    has ratio 50. ``tail_accuracy`` is that of the test examples of the rarer half of the classes, among all classes.
    Validation examples are not thinned. A ratio that so few shots cannot give is refused.
    """

    name = "long_tail"
    about = (
        "imbalanced shots, `long_tail-50` for a ratio of 50 between the most and the least; accuracy, and the tail's"
    )
    dial: ClassVar = Dial("the ratio of shots between the most frequent class and the rarest", 10.0, 1.0, 1e4)

    def split(self, dataset: Dataset, shots: int, seed: int) -> Split:
        if dataset.tasks:
            raise Refused("tasks side by side have no tail of their own", where=dataset.card.name,
                          hint="name one dataset, or join domains of one label space with |")  # fmt: skip
        few = super().split(dataset, shots, seed)
        ranked = list(few.classes)
        random.Random(seed).shuffle(ranked)
        last = max(1, len(ranked) - 1)
        kept = {label: max(1, round(shots * self.at ** (-rank / last))) for rank, label in enumerate(ranked)}
        tail = set(ranked[(len(ranked) + 1) // 2 :])
        seen: dict[int, int] = {}
        train = []
        for index in few.train:
            label = dataset.labels[index]
            seen[label] = seen.get(label, 0) + 1
            if seen[label] <= kept[label]:
                train.append(index)
        rare = of_classes(dataset.splits["test"], dataset.labels, tail)
        sets = (*few.evaluations, *([Evaluation("tail", few.classes, rare)] if rare else []))
        return replace(few, train=tuple(train), evaluations=sets)

    def metrics(self, scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        tail = {"tail_accuracy": scores["tail"]["accuracy"]} if "tail" in scores else {}
        return super().metrics({"test": scores["test"]}) | tail

    def check(self, card: DatasetCard, shots: int, selection: Selection = "last") -> None:
        super().check(card, shots, selection)
        if shots < self.at:
            raise Refused(f"{shots} shots cannot be {self.at:g} times as many as one", where="shots", got=shots,
                          expected=f"at least {self.at:g}, or {self.name}-{max(1, shots):g}")  # fmt: skip
