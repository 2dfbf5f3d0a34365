"""One small task of real pictures for engine and reference alike: 4 classes, 2 shots, 8 test images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import torch
from tests.contracts.small_world import MemoryCache
from tests.reference.clip import Clip
from tests.reference.task import Batches, Params, Pictures, Plain
from torch import Tensor

from promptgrid.contract.assets import Descriptions
from promptgrid.contract.clip import BackboneFamily, Dataset, DatasetFamily, Method, stream
from promptgrid.engine.training.sampling import streams
from promptgrid.spec import Cell, DatasetCard, Pack, Request
from promptgrid.towers.clip.models.dual_encoder import DualEncoder
from promptgrid.tracks.image.data.restyled import Beside
from promptgrid.tracks.image.pairs import PairPool
from promptgrid.tracks.image.track import ImageTrack

CLASSES, SHOTS, TESTS, POND = 4, 2, 2, 9
EPOCHS, BATCH = 3, 4
"""Six steps: two in the warm-up epoch, four on the cosine."""


class Cut(Dataset):
    """The first classes of a task, with few test images: the same pictures, a shorter test.

    ``pool`` bounds the training images of a class, for methods that look at all of them.
    """

    def __init__(self, whole: Dataset, pool: int = 0) -> None:
        self.whole = whole
        self.labels = whole.labels
        kept = {name: [i for i in rows if whole.labels[i] < CLASSES] for name, rows in whole.splits.items()}
        for name, most in (("test", TESTS), ("train", pool)):
            by_label = [[i for i in kept[name] if whole.labels[i] == label][: most or None] for label in range(CLASSES)]
            kept[name] = [i for images in by_label for i in images] if most else kept[name]
        self.splits = kept
        counts = {name: len(rows) for name, rows in self.splits.items()}
        card = whole.card.model_dump() | {"classes": whole.card.classes[:CLASSES], "splits": counts, "bundled": False}
        self.card = DatasetCard.model_validate(card)

    @property
    def descriptions(self) -> Descriptions:
        return {name: self.whole.descriptions[name] for name in self.card.classes}

    @property
    def domain_labels(self) -> list[str]:
        """Every third image is of another domain."""
        return ["ab"[index % 3 == 0] for index in range(len(self.labels))]

    def read(self, index: int) -> Any:
        return self.whole.read(index)


class Captioned(Dataset):
    """Two training images of every other class of the task: the images with captions."""

    def __init__(self, whole: Dataset) -> None:
        self.whole = whole
        self.labels = whole.labels
        others = range(CLASSES, len(whole.card.classes))
        by_label = [[i for i in whole.splits["train"] if whole.labels[i] == label][:2] for label in others]
        self.splits = {"train": [i for images in by_label for i in images]}
        self.card = whole.card.model_copy(update={"sha256": "c" * 64, "bundled": False})

    def read(self, index: int) -> Any:
        return self.whole.read(index)


class CutFamily(DatasetFamily):
    """``cut``, and ``pond``, which has few training images."""

    name: ClassVar[str] = "cut"

    def __init__(self, whole: Dataset) -> None:
        self.tasks = {"cut": Cut(whole), "pond": Cut(whole, POND)}

    def listing(self) -> list[DatasetCard]:
        return [task.card for task in self.tasks.values()]

    def knows(self, dataset: str) -> bool:
        return dataset in self.tasks

    def open(self, dataset: str) -> Dataset:
        return self.tasks[dataset]


class Given(BackboneFamily):
    """One loaded backbone under the id ``given``; under ``again`` it passes for a second one."""

    name: ClassVar[str] = "given"

    def __init__(self, encoder: DualEncoder) -> None:
        self.encoder = encoder
        self.again = DualEncoder("again", "1" * 64, encoder.model, encoder._tokenizer, encoder.preprocessing)

    def listing(self) -> list[dict[str, object]]:
        return [{"name": "given", "about": "a backbone at hand"}]

    def knows(self, backbone: str) -> bool:
        return backbone in ("given", "again")

    def facts(self, backbone: str) -> dict[str, object]:
        encoder = self.encoder
        digest = self.load(backbone, "cpu").digest
        return {"digest": digest, "offers": sorted(encoder.offers), "preprocessing": encoder.preprocessing}

    def load(self, backbone: str, device: str) -> DualEncoder:
        return self.encoder if backbone == "given" else self.again


class Exact(DualEncoder):
    """The same towers in float64, pixels included."""

    def _normalise(self, pixels: Tensor) -> Tensor:
        return (pixels.double() / 255.0 - self._mean.double()) / self._std.double()


@dataclass
class Bench:
    """The engine's side (``track``) and what the reference needs to do the same by itself."""

    track: ImageTrack
    encoder: DualEncoder
    exact: Exact
    clip: Clip
    exact_clip: Clip
    cache: MemoryCache = field(default_factory=MemoryCache)
    learned: dict[str, Params] = field(default_factory=dict)
    """What the reference learned, by cell key."""

    def __post_init__(self) -> None:
        pool = self.pool
        self.track.resolver.assets.pairs = lambda called: pool

    @cached_property
    def pool(self) -> PairPool:
        """The images with captions that methods are given: few, and not those of other bundled tasks."""
        assert isinstance(self.task, Cut)
        other = Captioned(self.task.whole)
        return PairPool(((other, tuple(other.splits["train"])),))

    @property
    def captions(self) -> tuple[str, ...]:
        """The caption of each image of the pool."""
        return tuple(self.pool.captions())

    @cached_property
    def shown(self) -> Tensor:
        """(N, 3, s, s) pixels of the pool."""
        ((dataset, indices),) = self.pool.parts
        return torch.stack([self.clip.read(dataset.read(index)) for index in indices])

    @property
    def task(self) -> Dataset:
        return self.track.resolver.dataset("cut")

    def cell(self, method: str, settings: Mapping[str, Any], seed: int) -> Cell:
        known = self.track.resolver.method(method).defaults()
        brief = {name: value for name, value in {"epochs": EPOCHS, "batch_size": BATCH}.items() if name in known}
        return self.track.resolve([
            Request("image", "few_shot", method, {**brief, **settings}, "given", "cut", SHOTS, seed, "last", "fp32")
        ])[0]  # fmt: skip

    def method(self, cell: Cell) -> Method:
        return self.track.resolver.method(cell.method)(**cell.settings)

    def run(self, cells: list[Cell]) -> list[Any]:
        pack = Pack(tuple(cells), wanted=frozenset(cell.key for cell in cells))
        return list(self.track.run(pack, self.cache, "cpu"))

    def plain(self, cell: Cell, exact: bool = False) -> Plain:
        """The reference's task for ``cell``: pictures through open_clip's own transform, batches as drawn."""
        task, split = self.task, self.track.resolver.protocol(cell.protocol).split(self.task, cell.shots, cell.seed)
        train, size = self.pictures(split.train), int(cell.settings.get("batch_size", BATCH))
        keep_last = bool(cell.settings.get("keep_last", False))
        return Plain(
            clip=self.exact_clip if exact else self.clip,
            classes=tuple(task.card.classes),
            template=task.card.template,
            train=train,
            val=self.pictures(split.val),
            whole_val=self.pictures(self.task.splits["val"]),
            batches=batches(cell, len(train.labels), size, keep_last=keep_last),
            later=batches(cell, len(train.labels), size, turn=1, keep_last=keep_last),
            domains=tuple(task.domain_labels[index] for index in split.train),
            shown=self.shown,
            captions=self.captions,
            start_rng=lambda: stream(cell.identity["split"], cell.shots, cell.seed, "init"),
            said=task.descriptions,
            beside=Beside(task, split.train, ("moco", "augmix"), self.encoder.preprocessing),
        )

    def pictures(self, indices: Any) -> Pictures:
        labels = torch.tensor([self.task.labels[index] for index in indices])
        return Pictures(torch.stack([self.clip.read(self.task.read(index)) for index in indices]), labels)


def batches(
    cell: Cell, images: int, size: int, turn: int = 0, epochs: int = EPOCHS, keep_last: bool = False
) -> Batches:
    """The engine's documented streams: the positions of each step, and the seed of its dropout, in round ``turn``."""
    (orders,), (drops,) = streams((cell,), "batches", turn), streams((cell,), "dropout", turn)
    found = []
    for _ in range(epochs):
        cut = torch.randperm(images, generator=orders).split(size)
        whole = cut if keep_last or len(cut[0]) < size else [batch for batch in cut if len(batch) == size]
        found.append([(batch, int(torch.randint(2**62, (), generator=drops))) for batch in whole])
    return found


def first(bench: Bench, cell: Cell, method: Method, task: Any, turn: int = 0) -> Params:
    """The starting parameters that the engine draws for ``cell``, of a later round from a stream of its own."""
    names = cell.identity["split"], cell.shots, cell.seed, "init", *([turn] if turn else [])
    return method.init(task, stream(*names))
