"""Domain generalisation: learn on some domains of a label space, be scored on another one as it is."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from promptgrid.contract import Dataset, Evaluation, Split
from promptgrid.engine.draws.sampling import of_classes
from promptgrid.engine.protocols.cross_dataset import refuse_own
from promptgrid.engine.protocols.few_shot import FewShot
from promptgrid.spec import Refused
from promptgrid.spec.cell import Reading


class DomainGeneralization(FewShot):
    """CoOp's protocol (ImageNet to its variants), and leave-one-domain-out with the union of the others as source.

    The target is scored among those of its classes whose names the source has (ImageNet-A: 200 of 1000), on their
    test examples. The papers' average is the plain mean over the target domains; the source stands apart.
    """

    name = "domain_generalization"
    about = "learn on one domain (or on all but one: a|b|c), accuracy on the shifted ones, mean over them (CoOp)"
    open_vocabulary = True
    readings: ClassVar[tuple[Reading, ...]] = ("evaluate",)
    narrows = True

    def from_source(self, split: Split, dataset: Dataset, source: Dataset) -> Split:
        refuse_own(dataset, source, "a domain that was learned on is not a shifted one")
        names = set(source.card.classes)
        kept = tuple(label for label in split.classes if dataset.card.classes[label] in names)
        if len(kept) < 2:
            raise Refused(f"{dataset.card.name} shares {len(kept)} class names with {source.card.name}",
                          where="datasets", expected="at least 2: domains of one label space",
                          hint="protocol cross_dataset scores other label spaces")  # fmt: skip
        return replace(
            split,
            classes=kept,
            train=of_classes(split.train, dataset.labels, kept),
            val=of_classes(split.val, dataset.labels, kept),
            evaluations=tuple(
                Evaluation(each.name, kept, of_classes(each.indices, dataset.labels, kept))
                for each in split.evaluations
            ),
        )
