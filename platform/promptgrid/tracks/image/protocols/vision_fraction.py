"""Label fractions: an image tower and a linear head learn from a share of the training labels."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import ClassVar

from promptgrid.contract.clip import Dataset, Selection, Split
from promptgrid.engine.draws.sampling import check_few_shot, refuse_leaks
from promptgrid.engine.protocols.few_shot import test_sets
from promptgrid.spec import DatasetCard, Refused
from promptgrid.tracks.image.protocols.vision_few_shot import VisionFewShot


class VisionFraction(VisionFewShot):
    """DVPT's setting (He et al., 2025): ``shots`` are per cent of each class's training images, 1 to 100.

    Of n images of a class max(1, round(n shots / 100)) are drawn by the run's seed, and of its validation images as
    large a share. Scores are those of ``vision_few_shot``.
    """

    name = "vision_fraction"
    about = "a share of the training labels (`shots: [10, 25, 50, 100]` are per cent), else as vision_few_shot (DVPT)"
    per_cent: ClassVar[bool] = True

    def split(self, dataset: Dataset, shots: int, seed: int) -> Split:
        refuse_leaks(dataset.card.name, dataset.splits)
        draw = random.Random(seed)
        train, val = (_share(dataset.splits.get(part, []), dataset.labels, shots, draw) for part in ("train", "val"))
        classes = tuple(range(len(dataset.card.classes)))
        return self._named(dataset, Split(classes, train, val, test_sets(dataset, classes)))

    def check(self, card: DatasetCard, shots: int, selection: Selection = "last") -> None:
        check_few_shot(card, shots, selection)
        if shots > 100:
            raise Refused("a share of the labels", where="shots", got=shots, expected="1 to 100 per cent")


def _share(indices: Iterable[int], labels: Sequence[int], percent: int, draw: random.Random) -> tuple[int, ...]:
    """Of the ``indices`` of each label so many per cent, at least one, in the order drawn."""
    by_label: dict[int, list[int]] = {}
    for index in indices:
        by_label.setdefault(labels[index], []).append(index)
    drawn: list[int] = []
    for own in by_label.values():
        drawn += draw.sample(own, max(1, round(len(own) * percent / 100)))
    return tuple(drawn)
