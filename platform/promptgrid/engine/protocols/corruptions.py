"""Corruptions: learn on what is clean, be scored on the same classes with examples that were damaged on purpose."""

from __future__ import annotations

from typing import ClassVar

from promptgrid.contract import Dataset, Split
from promptgrid.engine.protocols.cross_dataset import refuse_own
from promptgrid.engine.protocols.few_shot import FewShot
from promptgrid.spec import Refused
from promptgrid.spec.cell import Reading


class Corruptions(FewShot):
    """Robustness to common corruptions (Hendrycks and Dietterich, ICLR 2019).

    The source is the clean dataset, the targets are corrupted copies of it, of which a wing says what kinds it has; a
    target without training examples is enough. Target and source have the same classes in the same order, so that
    methods whose parameters are per class take part too, as does a method that learns nothing.
    """

    name = "corruptions"
    about = "learn on a clean source, accuracy on corrupted copies of it as it is (after ImageNet-C)"
    readings: ClassVar[tuple[Reading, ...]] = ("evaluate",)
    narrows = True
    same_classes = True

    def from_source(self, split: Split, dataset: Dataset, source: Dataset) -> Split:
        refuse_own(dataset, source, "the clean accuracy is the source's own few-shot record")
        if dataset.card.classes != source.card.classes:
            raise Refused(f"{dataset.card.name} and {source.card.name} have other classes", where="datasets",
                          expected="a corrupted copy of the source",
                          hint="protocol domain_generalization takes domains that share some classes")  # fmt: skip
        return split
