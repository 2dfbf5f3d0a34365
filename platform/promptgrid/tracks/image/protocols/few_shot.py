"""Few-shot classification: learn from k images a class, be scored on the whole test split."""

from __future__ import annotations

from collections.abc import Mapping

from promptgrid.contract import Dataset, Evaluation, Protocol, Selection, Split
from promptgrid.spec import DatasetCard
from promptgrid.tracks.image.protocols.sampling import check_few_shot, few_shot_sample


class FewShot(Protocol):
    """CoOp's few-shot protocol: all classes, top-1 accuracy on all test images, macro-F1 beside it."""

    name = "few_shot"
    about = "k images a class to learn from, top-1 accuracy on the test split (CoOp)"
    headline = "accuracy"

    def split(self, dataset: Dataset, shots: int, seed: int) -> Split:
        train, val = few_shot_sample(dataset, shots, seed)
        classes = tuple(range(len(dataset.card.classes)))
        test = Evaluation("test", classes, tuple(dataset.splits["test"]))
        return Split(classes, tuple(train), tuple(val), (test,))

    def metrics(self, scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        return {name: scores["test"][name] for name in ("accuracy", "macro_f1")}

    def check(self, card: DatasetCard, shots: int, selection: Selection = "last") -> None:
        check_few_shot(card, shots, selection)
