"""Pools of unlabelled training examples."""

from __future__ import annotations

import random
from collections.abc import Collection

from promptgrid.contract import Dataset
from promptgrid.engine.draws.sampling import of_classes, refuse_leaks
from promptgrid.spec import Refused


def pool_of(dataset: Dataset, classes: Collection[int], seed: int, known: Collection[int] = ()) -> tuple[int, ...]:
    """Training examples of ``classes`` except those ``known`` by their labels, shuffled so that order tells nothing.

    Raises:
        Refused: there are none, or a test example stands in the train split.
    """
    refuse_leaks(dataset.card.name, dataset.splits)
    labelled = set(known)
    pool = [index for index in of_classes(dataset.splits["train"], dataset.labels, classes) if index not in labelled]
    if not pool:
        raise Refused("no training examples are left to be unlabelled", where=dataset.card.name,
                      got=f"{len(labelled)} labelled", hint="use fewer shots")  # fmt: skip
    random.Random(seed).shuffle(pool)
    return tuple(pool)
