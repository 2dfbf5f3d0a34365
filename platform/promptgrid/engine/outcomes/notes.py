"""What people should know of a cell's data before they read its numbers."""

from __future__ import annotations

from collections import Counter

from promptgrid.contract.dataset import Dataset
from promptgrid.contract.protocol import Split
from promptgrid.spec import Cell


def notes_of(dataset: Dataset, split: Split, cell: Cell, counted: bool = True) -> tuple[str, ...]:
    """Sentences: what the dataset says of itself, and classes with fewer training examples than shots.

    ``counted``: shots say how many examples of a class there should be.
    """
    trains = counted and cell.reading != "evaluate"
    return (*dataset.notes, *(_scarce(dataset, split, cell.shots) if trains else ()))


def _scarce(dataset: Dataset, split: Split, shots: int) -> list[str]:
    """Joined datasets give ``shots`` examples a class of each part, so each part is counted by itself."""
    if not split.train:
        return []
    parts = dataset.parts or [0] * len(dataset.labels)
    held = set(dataset.splits["train"]).intersection(split.val)  # drawn with the shots, to select on
    counts = Counter((parts[index], dataset.labels[index]) for index in {*split.train, *held})
    fewer = sorted((count, label) for (_, label), count in counts.items() if count < shots)
    if not fewer:
        return []
    count, label = fewer[0]
    name = dataset.card.classes[label]
    if len(fewer) == 1:
        return [f"class {name!r} has {count} training images at {shots} shots"]
    return [f"{len(fewer)} classes have fewer than {shots} training images, {name!r} the fewest: {count}"]
