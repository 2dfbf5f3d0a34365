"""Image-text pairs made of the bundled tasks: their training images, each with a caption of its task's template."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from promptgrid.contract.clip import Dataset
from promptgrid.contract.clip.task import spoken
from promptgrid.engine.datasets.union import members
from promptgrid.spec import digest
from promptgrid.tracks.image.datasets.bundled import BundledDataset

STAND_IN = "stand-in: training images of the other bundled tasks with their templates as captions"
"""What stands in the records of cells that used these pairs."""


@dataclass(frozen=True)
class PairPool:
    """Training images of several datasets, each with a caption."""

    parts: tuple[tuple[Dataset, tuple[int, ...]], ...]

    def captions(self) -> list[str]:
        """The caption of every image, in order."""
        said = []
        for dataset, indices in self.parts:
            names = spoken(dataset.card.classes)
            said += [dataset.card.template.format(names[dataset.labels[index]]) for index in indices]
        return said

    def digest(self) -> str:
        """Of images and captions."""
        facts = [[d.card.sha256, list(d.card.classes), d.card.template, digest(list(i))] for d, i in self.parts]
        return digest(facts)


def pair_pool(dataset: Dataset, bundled: Sequence[Dataset]) -> PairPool:
    """Pairs for methods that learn on ``dataset``: of the bundled tasks that are not part of it.

    Tasks share drawings: whatever is equal, byte for byte, to a validation or test image of ``dataset`` is left out.
    """
    own = members(dataset)
    names = {part.card.sha256 for part in own}
    hidden = {picture for part in own if isinstance(part, BundledDataset) for picture in _held_out(part)}
    parts = []
    for task in bundled:
        if task.card.sha256 in names or not isinstance(task, BundledDataset):
            continue
        pictures = _pictures(task)
        parts.append((task, tuple(index for index in task.splits.get("train", []) if pictures[index] not in hidden)))
    return PairPool(tuple(parts))


def _held_out(dataset: BundledDataset) -> set[bytes]:
    pictures = _pictures(dataset)
    return {pictures[index] for split in ("val", "test") for index in dataset.splits.get(split, [])}


@lru_cache(maxsize=64)
def _pictures(dataset: BundledDataset) -> list[bytes]:
    """The sha256 of every stored image."""
    return [hashlib.sha256(raw).digest() for raw in dataset.images.to_pylist()]
