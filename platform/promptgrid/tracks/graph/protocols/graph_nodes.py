"""Few-shot classification of nodes: learn from k nodes a class, be scored on the test nodes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from promptgrid.contract.dataset import Dataset
from promptgrid.contract.protocol import Evaluation, Protocol, Selection, Split
from promptgrid.engine.draws.sampling import check_few_shot, few_shot_sample
from promptgrid.spec import DatasetCard


class GraphNodes(Protocol):
    """k labelled nodes a class; accuracy and macro-F1 on the test nodes (the node board of RELIEF and of GPPT).

    The whole graph is there while training, test nodes too, without their labels.
    """

    name = "graph_nodes"
    about = "k nodes a class to learn from, accuracy on the test nodes; the graph itself is known (transductive)"
    headline = "accuracy"
    scores: ClassVar[tuple[str, ...]] = ("accuracy", "macro_f1")

    def split(self, dataset: Dataset, shots: int, seed: int) -> Split:
        train, val = few_shot_sample(dataset, shots, seed)
        classes = tuple(range(len(dataset.card.classes)))
        test = (Evaluation("test", classes, tuple(dataset.splits["test"])),)
        return Split(classes, tuple(train), tuple(val), test)

    def metrics(self, scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        return dict(scores["test"])

    def check(self, card: DatasetCard, shots: int, selection: Selection = "last") -> None:
        check_few_shot(card, shots, selection)
