"""Which few texts are labelled: the draws that a source published, else as many of each class."""

from __future__ import annotations

from typing import cast

from promptgrid.contract.dataset import Dataset
from promptgrid.engine.draws.sampling import few_shot_sample, refuse_leaks
from promptgrid.spec import Refused
from promptgrid.tracks.text.datasets.text import TextDataset


def drawn(dataset: Dataset, shots: int, seed: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Indices of the (train, validation) texts of one run; there are as many to validate as to train (LM-BFF).

    Raises:
        Refused: the source published draws, and none for these shots and this seed; a test text trains or selects.
    """
    published = cast(TextDataset, dataset).draws
    if not published:
        train, val = few_shot_sample(dataset, shots, seed, val_shots=shots)
        return tuple(train), tuple(val)
    if (shots, seed) not in published:
        raise Refused("the source published no such draw", where=dataset.card.name, got=f"shots {shots}, seed {seed}",
                      expected=", ".join(f"{k}-{s}" for k, s in sorted(published)))  # fmt: skip
    refuse_leaks(dataset.card.name, dataset.splits)
    train_rows, val_rows = published[shots, seed]
    return tuple(train_rows), tuple(val_rows)
