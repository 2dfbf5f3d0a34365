"""Few-shot classification: learn from k examples a class, be scored on the whole test split."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from promptgrid.contract import Dataset, Evaluation, Protocol, Selection, Split
from promptgrid.engine.draws.sampling import check_few_shot, few_shot_sample, of_classes
from promptgrid.spec import DatasetCard


class FewShot(Protocol):
    """CoOp's few-shot protocol: all classes, top-1 accuracy on all test examples, macro-F1 beside it.

    Tasks joined side by side (``a+b``) are each scored among their own classes, and the plain mean over the tasks is
    the score (MVLPT's).
    """

    name = "few_shot"
    about = "k examples a class to learn from, top-1 accuracy on the test split (CoOp)"
    headline = "accuracy"

    def split(self, dataset: Dataset, shots: int, seed: int) -> Split:
        train, val = ([], []) if self._only_scored(dataset.card) else few_shot_sample(dataset, shots, seed)
        classes = tuple(range(len(dataset.card.classes)))
        return Split(classes, tuple(train), tuple(val), test_sets(dataset, classes))

    def metrics(self, scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        return {name: fmean(each[name] for each in scores.values()) for name in ("accuracy", "macro_f1")}

    def check(self, card: DatasetCard, shots: int, selection: Selection = "last") -> None:
        if not self._only_scored(card):
            check_few_shot(card, shots, selection)

    def _only_scored(self, card: DatasetCard) -> bool:
        """Whether nothing is ever learned on ``card``: a target without training examples, like ImageNet's variants."""
        return self.readings == ("evaluate",) and not card.splits.get("train")


def test_sets(dataset: Dataset, classes: tuple[int, ...]) -> tuple[Evaluation, ...]:
    """The whole test split; of joined tasks, each task's own examples among its own classes."""
    examples = dataset.splits["test"]
    if not dataset.tasks:
        return (Evaluation("test", classes, tuple(examples)),)
    found = []
    for task in sorted(set(dataset.tasks)):
        own = tuple(label for label in classes if dataset.tasks[label] == task)
        found.append(Evaluation(f"test_{task + 1}", own, of_classes(examples, dataset.labels, own)))
    return tuple(found)
