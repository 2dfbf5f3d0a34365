"""Transductive zero-shot learning: labelled examples of seen classes, unlabelled examples of unseen ones."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import ClassVar

from promptgrid.contract import Dataset, Evaluation, Method, Protocol, Selection, Split
from promptgrid.engine.draws.pool import pool_of
from promptgrid.engine.draws.sampling import check_few_shot, few_shot_sample, of_classes
from promptgrid.engine.protocols.base_to_new import harmonic_mean
from promptgrid.spec import DatasetCard, Refused

SEEN = 0.62


class TransductiveZeroShot(Protocol):
    """The TRZSL setting of "Enhancing CLIP with CLIP" (Menghini et al., NeurIPS 2023).

    62 % of the classes (rounded down) are seen, drawn by the run's seed; the pool holds the training examples of the
    others. Every test example is scored among all classes; ``harmonic_mean`` is that of the accuracies on test examples
    of seen and of unseen classes. Methods that need the pool learn to choose between all classes; the others train
    among the seen ones alone (as the paper's prompt baselines do) and must be able to score the rest.

    The paper labels every example of a seen class, which is what any number of shots above the largest class gives
    (a class with fewer examples gives all), draws 3 class splits (numpy, seeds 500, 0, 200) apart from 5 seeds of
    optimisation, and takes K = 16 pseudo-labelled examples a class (the methods' setting), ViT-B/32.
    """

    name = "transductive_zero_shot"
    about = "62 % of the classes labelled, examples of the rest unlabelled; harmonic mean (Menghini et al., TRZSL)"
    headline = "harmonic_mean"
    offers: ClassVar[frozenset[str]] = frozenset({"unlabelled"})

    def split(self, dataset: Dataset, shots: int, seed: int) -> Split:
        if dataset.tasks:
            raise Refused("tasks side by side have no seen and unseen classes", where=dataset.card.name,
                          hint="join domains of one label space with |")  # fmt: skip
        train, val = few_shot_sample(dataset, shots, seed)
        seen, unseen = _drawn(len(dataset.card.classes), seed)
        evaluations = []
        for name, classes in (("seen", seen), ("unseen", unseen)):
            examples = of_classes(dataset.splits["test"], dataset.labels, classes)
            if not examples:
                raise Refused(f"there are no test examples of {name} classes", where=dataset.card.name)
            evaluations.append(Evaluation(name, seen + unseen, examples))
        return Split(
            classes=seen,
            train=of_classes(train, dataset.labels, seen),
            val=of_classes(val, dataset.labels, seen),
            evaluations=tuple(evaluations),
            unlabelled=pool_of(dataset, unseen, seed),
            unseen=unseen,
        )

    def metrics(self, scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        seen, unseen = scores["seen"]["accuracy"], scores["unseen"]["accuracy"]
        return {"seen_accuracy": seen, "unseen_accuracy": unseen, "harmonic_mean": harmonic_mean(seen, unseen)}

    def check(self, card: DatasetCard, shots: int, selection: Selection = "last") -> None:
        check_few_shot(card, shots, selection)
        if int(len(card.classes) * SEEN) < 2:
            raise Refused("transductive_zero_shot needs at least 2 seen classes", where=card.name,
                          got=len(card.classes), expected="4 classes or more")  # fmt: skip

    def admit(self, method: Method) -> None:
        if not method.open_vocabulary and "unlabelled" not in method.assets:
            raise Refused(f"method {method.name!r} learns about the seen classes only and cannot be scored on unseen "
                          f"ones, as protocol {self.name!r} asks", where="methods",
                          hint="choose a method whose parameters are not per class")  # fmt: skip


def _drawn(count: int, seed: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(seen, unseen) labels in ascending order."""
    seen = set(random.Random(seed).sample(range(count), int(count * SEEN)))
    return tuple(sorted(seen)), tuple(label for label in range(count) if label not in seen)
