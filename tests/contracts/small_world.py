"""A small world to try plug-ins in: an open_clip CLIP with seeded random weights and a task of drawn pictures."""

from __future__ import annotations

from functools import cache
from typing import Any, ClassVar

import numpy as np
import torch
from PIL import Image

from promptgrid import catalog
from promptgrid.contract.clip import Backbone, BackboneFamily, Dataset, DatasetFamily, Preprocessing
from promptgrid.contract.track import Arrays
from promptgrid.spec import DatasetCard, Request, digest
from promptgrid.towers.clip.models import torchvision_cure
from promptgrid.towers.clip.models.dual_encoder import DualEncoder
from promptgrid.tracks.image.pairs import PairPool
from promptgrid.tracks.image.track import ImageTrack

CLASSES = ("red_square", "blue disc", "green fern leaf", "grey stone", "yellow sun")
MEAN, STD = (0.48, 0.46, 0.41), (0.27, 0.26, 0.28)
STREAM = "test_stream"
PREPROCESSING = Preprocessing.square(32, MEAN, STD)
CONFIG: dict[str, Any] = {
    "embed_dim": 32,
    "vision_cfg": {"image_size": 32, "patch_size": 16, "width": 48, "layers": 3, "head_width": 16},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 3},
}


@cache
def open_clip_model() -> Any:
    """Frozen random towers, their weights scaled up so that words and pictures tell classes apart."""
    torchvision_cure.apply()
    from open_clip.model import CLIP

    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = CLIP(**CONFIG)
        for name, weight in model.named_parameters():
            if weight.dim() > 1:
                weight.data.mul_(20.0 if name == "token_embedding.weight" else 2.0)
    return model.eval().requires_grad_(False)


@cache
def backbone(name: str = "small") -> DualEncoder:
    torchvision_cure.apply()
    from open_clip.tokenizer import SimpleTokenizer

    return DualEncoder(name, "01"[name == "aside"] * 64, open_clip_model(), SimpleTokenizer(), PREPROCESSING)


class SmallBackbones(BackboneFamily):
    """One id, ``small``; ``aside``, the same towers again, passes for another model where a second one is needed."""

    name: ClassVar[str] = "small"

    def listing(self) -> list[dict[str, object]]:
        return [{"name": "small", "about": "random weights for tests"}]

    def knows(self, backbone: str) -> bool:
        return backbone in ("small", "aside")

    def facts(self, name: str) -> dict[str, object]:
        own = backbone(name)
        return {
            "digest": own.digest,
            "offers": sorted(own.offers),
            "preprocessing": own.preprocessing,
            "image_size": own.image_size,
        }

    def load(self, name: str, device: str) -> Backbone:
        return backbone(name)


class Pictures(Dataset):
    """Patches of a class's own colour and stripe under noise: 8 to train, 4 to validate, 6 to test on, a class."""

    def __init__(self) -> None:
        counts = {"train": 8, "val": 4, "test": 6}
        order = [(split, label) for split, n in counts.items() for label in range(len(CLASSES)) for _ in range(n)]
        self.labels = [label for _, label in order]
        self.splits = {split: [i for i, (own, _) in enumerate(order) if own == split] for split in counts}
        sizes = {split: len(indices) for split, indices in self.splits.items()}
        facts = {"name": "pictures", "classes": CLASSES, "splits": sizes}
        self.card = DatasetCard.model_validate({**facts, "sha256": digest(facts)})

    @property
    def descriptions(self) -> dict[str, tuple[str, ...]]:
        return {name: (f"a picture of a {name}", f"stripes on a {name}") for name in CLASSES}

    @property
    def domain_labels(self) -> list[str]:
        return ["dawn" if index % 2 else "dusk" for index in range(len(self.labels))]

    def read(self, index: int) -> Image.Image:
        rng = np.random.default_rng(index)
        colour = np.random.default_rng(1000 + self.labels[index]).integers(0, 255, 3)
        field = np.clip(colour + rng.normal(0, 60, (32, 32, 3)), 0, 255)
        field[:: 2 + self.labels[index]] = 255 - colour
        return Image.fromarray(field.astype(np.uint8))


class Captioned(Pictures):
    """Other pictures, in the place of the images with captions: 2 of each class."""

    def __init__(self) -> None:
        super().__init__()
        self.splits = {"train": list(range(2 * len(CLASSES)))}
        self.labels = [index % len(CLASSES) for index in range(len(self.labels) + 50)]
        self.card = self.card.model_copy(update={"name": "captioned", "sha256": "c" * 64})

    def read(self, index: int) -> Image.Image:
        return super().read(index + 50)


class SmallDatasets(DatasetFamily):
    """One name: ``pictures``."""

    name: ClassVar[str] = "small"

    def listing(self) -> list[DatasetCard]:
        return [Pictures().card]

    def knows(self, dataset: str) -> bool:
        return dataset == "pictures"

    def open(self, dataset: str) -> Dataset:
        return Pictures()


class MemoryCache:
    """Arrays by name, for one process; ``spoil`` may change what is given out."""

    def __init__(self) -> None:
        self.kept: dict[str, Arrays] = {}

    def get(self, name: str, compute: Any) -> Arrays:
        if name not in self.kept:
            self.kept[name] = compute()
        return self.spoil(self.kept[name])

    def spoil(self, arrays: Arrays) -> Arrays:
        return arrays


@cache
def track() -> ImageTrack:
    """Every method and protocol of the catalogue, on the small backbone and pictures."""
    found = catalog.track("image")
    assert isinstance(found, ImageTrack)
    methods, protocols = found.resolver.methods, found.resolver.protocols
    small = ImageTrack(methods, [SmallDatasets()], [SmallBackbones()], protocols, found.resolver.columns)
    captioned = Captioned()
    small.resolver.assets.pairs = lambda called: PairPool(((captioned, tuple(captioned.splits["train"])),))
    return small


def request(method: str, seed: int = 1, protocol: str = "", **settings: Any) -> Request:
    named = protocol or protocol_of(method)
    return Request(
        track="image",
        protocol=named,
        method=method,
        settings=settings,
        backbone="small",
        dataset="pictures",
        shots=0 if named == STREAM else 2,
        seed=seed,
        selection="last",
        precision="fp32",
    )


def protocol_of(method: str) -> str:
    """A protocol that gives ``method`` what it needs."""
    found = track().resolver.method(method)
    return STREAM if found.joint else "semi_supervised" if "unlabelled" in found.needs else "few_shot"


def brief(method: str) -> dict[str, Any]:
    """Settings that keep a fit to two epochs of two steps, and spare it a search on validation images."""
    known = track().resolver.method(method).defaults()
    short = {"epochs": 2, "batch_size": 5, "search": False, "rounds": 2, "confident": 1, "members": 2, "iterations": 4}
    short |= {"gan_epochs": 2, "meta_steps": 2}
    short |= {"second": "aside", "views": 6, "generated": 3, "variations": "stand_in"}
    if "source_steps" in known:  # its host has a rate of its own, at which rounding errors grow
        short |= {"steps": 20}
    return {name: value for name, value in short.items() if name in known}
