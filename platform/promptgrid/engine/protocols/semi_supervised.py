"""Semi-supervised learning: a few labelled examples a class, and all other training examples without their labels."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from promptgrid.contract import Dataset, Split
from promptgrid.engine.draws.pool import pool_of
from promptgrid.engine.protocols.few_shot import FewShot


class SemiSupervised(FewShot):
    """The SSL setting of "Enhancing CLIP with CLIP" (Menghini et al., NeurIPS 2023): all classes, top-1 accuracy.

    The labelled examples are those of ``few_shot`` with the same shots and seed; the pool is the rest of the train
    split. The paper has 2 labelled examples a class (``shots: [2]``), pools of train and val examples together, K = 16
    pseudo-labelled examples a class (the methods' setting), ViT-B/32, and averages 5 seeds. Here val examples stay out
    of the pool. Methods that need no pool take part as baselines: their cells learn from the labelled examples alone.
    """

    name = "semi_supervised"
    about = (
        "k labelled examples a class and all other training examples unlabelled, top-1 accuracy (Menghini et al., SSL)"
    )
    offers: ClassVar[frozenset[str]] = frozenset({"unlabelled"})

    def split(self, dataset: Dataset, shots: int, seed: int) -> Split:
        few = super().split(dataset, shots, seed)
        return replace(few, unlabelled=pool_of(dataset, few.classes, seed, known=few.train))
