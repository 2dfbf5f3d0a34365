"""Zero-shot on a target graph: sentences about its classes, none of its labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from promptgrid.contract.dataset import Dataset
from promptgrid.contract.method import Method
from promptgrid.contract.protocol import Evaluation, Protocol, Selection, Split
from promptgrid.spec import DatasetCard, Refused


class GraphZeroShot(Protocol):
    """No node of the graph is labelled: a class is known by a sentence about it (GraphCLIP's cross-domain setting)."""

    name = "graph_zero_shot"
    about = "no labelled node: sentences about classes, accuracy on the test nodes of the target graph"
    headline = "accuracy"
    scores: ClassVar[tuple[str, ...]] = ("accuracy", "macro_f1")

    def split(self, dataset: Dataset, shots: int, seed: int) -> Split:
        classes = tuple(range(len(dataset.card.classes)))
        return Split(classes, (), (), (Evaluation("test", classes, tuple(dataset.splits["test"])),))

    def metrics(self, scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        return dict(scores["test"])

    def check(self, card: DatasetCard, shots: int, selection: Selection = "last") -> None:
        if shots:
            raise Refused("zero-shot learns from no labelled node", where=card.name, got=f"shots {shots}",
                          expected="shots: [0]")  # fmt: skip
        if selection == "val":
            raise Refused("zero-shot has no labelled node to select on", where=card.name, hint="use selection: last")

    def admit(self, method: Method) -> None:
        super().admit(method)
        if method.needs_labels:
            raise Refused(f"method {method.name!r} learns from labelled nodes, and zero-shot has none", where="methods",
                          hint="use graph_nodes, or leave the method out")  # fmt: skip
