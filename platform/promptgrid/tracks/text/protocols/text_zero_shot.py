"""Zero-shot classification of texts: class names, label words and a template, no labelled text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from promptgrid.contract.dataset import Dataset
from promptgrid.contract.method import Method
from promptgrid.contract.protocol import Evaluation, Protocol, Selection, Split
from promptgrid.engine.draws.pool import pool_of
from promptgrid.spec import DatasetCard, Refused


class TextZeroShot(Protocol):
    """No text is labelled; the train split, without its labels, may calibrate (Zhao et al., ICML 2021; KPT)."""

    name = "text_zero_shot"
    about = "no labelled text: label words in a template, accuracy on the test split"
    headline = "accuracy"
    scores: ClassVar[tuple[str, ...]] = ("accuracy", "macro_f1", "matthews")
    offers: ClassVar[frozenset[str]] = frozenset({"unlabelled"})

    def split(self, dataset: Dataset, shots: int, seed: int) -> Split:
        classes = tuple(range(len(dataset.card.classes)))
        pool = pool_of(dataset, classes, seed) if dataset.splits.get("train") else ()
        return Split(classes, (), (), (Evaluation("test", classes, tuple(dataset.splits["test"])),), pool)

    def metrics(self, scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        return dict(scores["test"])

    def check(self, card: DatasetCard, shots: int, selection: Selection = "last") -> None:
        if shots:
            raise Refused("zero-shot learns from no labelled text", where=card.name, got=f"shots {shots}",
                          expected="shots: [0]")  # fmt: skip
        if selection == "val":
            raise Refused("zero-shot has no labelled text to select on", where=card.name, hint="use selection: last")

    def admit(self, method: Method) -> None:
        super().admit(method)
        if method.needs_labels:
            raise Refused(f"method {method.name!r} learns from labelled texts, and zero-shot has none", where="methods",
                          hint="use text_few_shot, or leave the method out")  # fmt: skip
