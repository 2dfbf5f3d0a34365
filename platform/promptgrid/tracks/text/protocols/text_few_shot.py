"""Few-shot classification of texts: learn from k texts a class, be scored on the whole test split."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from promptgrid.contract.dataset import Dataset
from promptgrid.contract.protocol import Evaluation, Protocol, Selection, Split
from promptgrid.engine.draws.sampling import check_few_shot
from promptgrid.spec import DatasetCard
from promptgrid.tracks.text.protocols.drawing import drawn


class TextFewShot(Protocol):
    """LM-BFF's protocol (Gao et al., ACL 2021): k texts a class to train on, as many to select on, the whole test.

    Where the dataset brings draws that were published, its shots and seeds are those; else k texts of each class are
    drawn from the train split and k from the validation split. Scored are accuracy, macro-F1 and Matthews' correlation
    (which papers report of CoLA). The dev scores of LM-BFF choose its hyper-parameters; here ``selection: val`` keeps
    the best step by them, and a search scores on them.
    """

    name = "text_few_shot"
    about = "k texts a class to learn from, accuracy on the test split; published draws where there are any (LM-BFF)"
    headline = "accuracy"
    scores: ClassVar[tuple[str, ...]] = ("accuracy", "macro_f1", "matthews")

    def split(self, dataset: Dataset, shots: int, seed: int) -> Split:
        train, val = drawn(dataset, shots, seed)
        classes = tuple(range(len(dataset.card.classes)))
        return Split(classes, train, val, (Evaluation("test", classes, tuple(dataset.splits["test"])),))

    def metrics(self, scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        return dict(scores["test"])

    def check(self, card: DatasetCard, shots: int, selection: Selection = "last") -> None:
        check_few_shot(card, shots, selection)
