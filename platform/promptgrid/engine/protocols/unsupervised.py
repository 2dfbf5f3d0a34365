"""Unsupervised learning: class names and training examples, but no labels."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from promptgrid.contract import Dataset, Method, Selection, Split
from promptgrid.engine.draws.pool import pool_of
from promptgrid.engine.protocols.few_shot import FewShot
from promptgrid.spec import DatasetCard, Refused


class Unsupervised(FewShot):
    """The UL setting of "Enhancing CLIP with CLIP" (Menghini et al., NeurIPS 2023), and that of UPL and POUF.

    The pool is the whole train split; nothing is labelled, validation examples neither, so nothing is selected on. A
    suite says so by ``shots: [0]``. All classes, top-1 accuracy on the test split. The paper has K = 16
    pseudo-labelled examples a class (the methods' setting), ViT-B/32, and averages 5 seeds.
    """

    name = "unsupervised"
    about = "training examples without any label (shots: [0]), top-1 accuracy on the test split (Menghini et al., UL)"
    offers: ClassVar[frozenset[str]] = frozenset({"unlabelled"})

    def split(self, dataset: Dataset, shots: int, seed: int) -> Split:
        few = super().split(dataset, 0, seed)
        return replace(few, train=(), val=(), unlabelled=pool_of(dataset, few.classes, seed))

    def check(self, card: DatasetCard, shots: int, selection: Selection = "last") -> None:
        if shots != 0:
            raise Refused("unsupervised learning has no labelled examples", where="shots", got=shots,
                          hint="write shots: [0]")  # fmt: skip
        if selection == "val":
            raise Refused("unsupervised learning has no validation examples", where="selection", got=selection,
                          hint="use selection: last")  # fmt: skip
        if not card.splits.get("train"):
            raise Refused("there are no training examples", where=card.name, got=dict(card.splits))

    def admit(self, method: Method) -> None:
        if method.needs_labels:
            raise Refused(f"method {method.name!r} cannot learn without labels, and protocol {self.name!r} has none",
                          where="methods", hint="choose protocol few_shot or semi_supervised")  # fmt: skip
