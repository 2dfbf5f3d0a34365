"""Three small datasets on the small backbone, and a suite run over them in this process, sources first."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from PIL import Image
from tests.contracts.small_world import MemoryCache, SmallBackbones, track

from promptgrid.contract.clip import Dataset, DatasetFamily, Outcome
from promptgrid.spec import Cell, DatasetCard, digest
from promptgrid.spec.suite import parse_suite
from promptgrid.tracks.image.track import ImageTrack

COUNTS = {"train": 6, "val": 3, "test": 4}
CLASSES: dict[str, tuple[str, ...]] = {
    "warm": ("red_square", "yellow sun", "orange peel"),
    "cold": ("blue disc", "green fern leaf", "grey stone", "white snow"),
    "warm_ink": ("yellow sun", "brown bear", "red_square"),
}
TEMPLATES = {"warm": "a photo of a {}.", "cold": "a cold {}.", "warm_ink": "a photo of a {}."}


class Patches(Dataset):
    """Patches of a colour that belongs to the class's name, under noise that belongs to the image."""

    def __init__(self, name: str) -> None:
        classes = CLASSES[name]
        self.labels = [label for count in COUNTS.values() for label in range(len(classes)) for _ in range(count)]
        self.splits = {}
        start = 0
        for split, count in COUNTS.items():
            self.splits[split] = list(range(start, start + count * len(classes)))
            start += count * len(classes)
        facts = {
            "name": name,
            "classes": classes,
            "template": TEMPLATES[name],
            "splits": {split: len(rows) for split, rows in self.splits.items()},
            "licence": "MIT" if name == "cold" else "CC0-1.0 and MIT",
        }
        self.card = DatasetCard.model_validate({**facts, "sha256": digest(facts)})

    def read(self, index: int) -> Image.Image:
        name = self.card.classes[self.labels[index]]
        colour = np.random.default_rng(list(name.encode())).integers(0, 255, 3)
        noise = np.random.default_rng([index, *self.card.name.encode()]).normal(0, 50, (32, 32, 3))
        return Image.fromarray(np.clip(colour + noise, 0, 255).astype(np.uint8))


class PatchFamily(DatasetFamily):
    """``warm``, ``cold`` and ``warm_ink``."""

    name: ClassVar[str] = "patches"

    def listing(self) -> list[DatasetCard]:
        return [Patches(name).card for name in CLASSES]

    def knows(self, dataset: str) -> bool:
        return dataset in CLASSES

    def open(self, dataset: str) -> Dataset:
        return Patches(dataset)


def study_track() -> ImageTrack:
    """Every method and protocol of the catalogue on these datasets."""
    found = track().resolver
    return ImageTrack(found.methods, [PatchFamily()], [SmallBackbones()], found.protocols, found.columns)


def cells_of(wing: ImageTrack, **suite: Any) -> list[Cell]:
    """The cells of a suite of two shots and one seed, unless it says otherwise."""
    whole = {"name": "study", "backbones": ["small"], "shots": [2], "seeds": [1], **suite}
    return wing.resolve([request for _, request in parse_suite(whole, "study").requests(list(CLASSES))])


def run_study(wing: ImageTrack, cells: list[Cell], lost: frozenset[str] = frozenset()) -> dict[str, Outcome]:
    """Outcomes by key; packs run when what they need is there. The states of ``lost`` keys cannot be read."""
    outcomes: dict[str, Outcome] = {}

    def learned(key: str) -> Any:
        if key in lost:
            raise FileNotFoundError(f"no state of {key}")
        return outcomes[key].state

    cache = MemoryCache()
    waiting = wing.pack(list({cell.key: cell for cell in cells}.values()))
    while waiting:
        ready = next(pack for pack in waiting if pack.needs <= outcomes.keys())
        waiting.remove(ready)
        whole = replace(ready, wanted=frozenset(cell.key for cell in ready.cells))
        outcomes |= {found.record.cell.key: found for found in wing.run(whole, cache, "cpu", learned=learned)}
    return outcomes
