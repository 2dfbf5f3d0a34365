"""Domain transfer: what was learned on one task of texts meets another with the same classes."""

from __future__ import annotations

from typing import ClassVar

from promptgrid.contract.dataset import Dataset
from promptgrid.contract.protocol import Split
from promptgrid.spec import Refused
from promptgrid.spec.cell import Reading
from promptgrid.tracks.text.protocols.text_few_shot import TextFewShot


class TextTransfer(TextFewShot):
    """From a source domain to a target domain with the same classes, such as film reviews to product reviews.

    ``evaluate`` scores what the source learned, as it is; ``adapt`` goes on with the target's few texts.
    """

    name = "text_transfer"
    about = "learn on a source, then score it on targets with the same classes as it is, or after learning on"
    readings: ClassVar[tuple[Reading, ...]] = ("evaluate", "adapt")
    learned_by: ClassVar[str] = "text_few_shot"

    def from_source(self, split: Split, dataset: Dataset, source: Dataset) -> Split:
        if dataset.card.classes != source.card.classes:
            raise Refused(
                "source and target have other classes",
                where=dataset.card.name,
                got=", ".join(source.card.classes[:6]),
                expected=", ".join(dataset.card.classes[:6]),
            )
        return split
