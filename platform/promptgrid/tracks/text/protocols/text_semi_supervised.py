"""Semi-supervised learning: a few labelled texts a class, and other training texts without their labels."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from promptgrid.contract.dataset import Dataset
from promptgrid.contract.protocol import Split
from promptgrid.engine.draws.pool import pool_of
from promptgrid.tracks.text.protocols.text_few_shot import TextFewShot


class TextSemiSupervised(TextFewShot):
    """PCP's setting (Shi and Lipani, NeurIPS 2023): k labelled texts a class, the rest of the train split unlabelled.

    The labelled texts are those of ``text_few_shot`` with the same shots and seed. ``pool_labels`` are told to controls
    alone. Methods that need no pool take part as baselines.
    """

    name = "text_semi_supervised"
    about = "k labelled texts a class and all other training texts unlabelled, accuracy on the test split (PCP)"
    offers: ClassVar[frozenset[str]] = frozenset({"unlabelled", "pool_labels"})

    def split(self, dataset: Dataset, shots: int, seed: int) -> Split:
        few = super().split(dataset, shots, seed)
        return replace(few, unlabelled=pool_of(dataset, few.classes, seed, known=few.train))
