"""Cross-dataset transfer: learn on one broad source task, be scored on all others as it is."""

from __future__ import annotations

from typing import ClassVar

from promptgrid.contract import Dataset, Split
from promptgrid.engine.datasets.union import members
from promptgrid.engine.protocols.few_shot import FewShot
from promptgrid.spec import Refused
from promptgrid.spec.cell import Reading


class CrossDataset(FewShot):
    """CoCoOp's protocol (Zhou et al., CVPR 2022, table 2): one source with many classes, targets never trained on.

    A target is scored on its own classes and its whole test split. The papers' average is the plain mean over the
    targets; the source stands apart: its own few-shot record.
    """

    name = "cross_dataset"
    about = "learn on one broad source, accuracy on every other dataset as it is; mean over the targets (CoCoOp)"
    open_vocabulary = True
    readings: ClassVar[tuple[Reading, ...]] = ("evaluate",)

    def from_source(self, split: Split, dataset: Dataset, source: Dataset) -> Split:
        refuse_own(dataset, source, "the source is reported apart, by its own few-shot record")
        return split


def refuse_own(dataset: Dataset, source: Dataset, why: str) -> None:
    """Refuse a target that the source was, or was part of."""
    if dataset.card.sha256 in {part.card.sha256 for part in (source, *members(source))}:
        raise Refused(f"{dataset.card.name} is both source and target", where="datasets", got=source.card.name,
                      expected="another dataset", hint=why)  # fmt: skip
