"""CoOp's fifteen datasets as its ``DATASETS.md`` lays them out: folders, files, templates, counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

PLAIN = "a photo of a {}."
CLASSNAMES = "classnames.txt"


@dataclass(frozen=True)
class CoopLayout:
    """One dataset below CoOp's ``$DATA``.

    Attributes:
        title: what CoOp calls it; the X of its ``split_zhou_X.json``.
        images: the folder of its images, relative to its own.
        classes: how many.
        splits: images by split.
        template: of its prompts (``trainers/zsclip.py``).
        lists: where its splits stand: in a JSON, in FGVCAircraft's text files, in folders called by WordNet ids, or in
            folders called by the number of a line of ``classnames.txt``.
    """

    title: str
    images: str
    classes: int
    splits: Mapping[str, int]
    template: str = PLAIN
    lists: Literal["json", "variants", "wordnet", "numbers"] = "json"

    @property
    def needed(self) -> tuple[str, ...]:
        """Files and folders that CoOp reads, relative to the dataset's folder."""
        if self.lists == "json":
            return f"split_zhou_{self.title}.json", self.images
        if self.lists == "variants":
            return "variants.txt", *(f"images_variant_{split}.txt" for split in self.splits), self.images
        below = [f"{self.images}/{part}" for part in ("train", "val")] if "train" in self.splits else [self.images]
        return CLASSNAMES, *below


def _counts(train: int, val: int, test: int) -> dict[str, int]:
    return {"train": train, "val": val, "test": test}


COOP: dict[str, CoopLayout] = {
    "caltech-101": CoopLayout("Caltech101", "101_ObjectCategories", 100, _counts(4128, 1649, 2465)),
    "oxford_pets": CoopLayout("OxfordPets", "images", 37, _counts(2944, 736, 3669), "a photo of a {}, a type of pet."),
    "stanford_cars": CoopLayout("StanfordCars", ".", 196, _counts(6509, 1635, 8041)),
    "oxford_flowers": CoopLayout(
        "OxfordFlowers", "jpg", 102, _counts(4093, 1633, 2463), "a photo of a {}, a type of flower."
    ),
    "food-101": CoopLayout("Food101", "images", 101, _counts(50500, 20200, 30300), "a photo of {}, a type of food."),
    "fgvc_aircraft": CoopLayout(
        "FGVCAircraft", "images", 100, _counts(3334, 3333, 3333), "a photo of a {}, a type of aircraft.", "variants"
    ),
    "sun397": CoopLayout("SUN397", "SUN397", 397, _counts(15880, 3970, 19850)),
    "dtd": CoopLayout("DescribableTextures", "images", 47, _counts(2820, 1128, 1692), "{} texture."),
    "eurosat": CoopLayout("EuroSAT", "2750", 10, _counts(13500, 5400, 8100), "a centered satellite photo of {}."),
    "ucf101": CoopLayout(
        "UCF101", "UCF-101-midframes", 101, _counts(7639, 1898, 3783), "a photo of a person doing {}."
    ),
    "imagenet": CoopLayout("ImageNet", "images", 1000, {"train": 1_281_167, "test": 50_000}, lists="wordnet"),
    "imagenetv2": CoopLayout(
        "ImageNetV2", "imagenetv2-matched-frequency-format-val", 1000, {"test": 10_000}, lists="numbers"
    ),
    "imagenet-sketch": CoopLayout("ImageNet-Sketch", "images", 1000, {"test": 50_889}, lists="wordnet"),
    "imagenet-adversarial": CoopLayout("ImageNet-A", "imagenet-a", 200, {"test": 7_500}, lists="wordnet"),
    "imagenet-rendition": CoopLayout("ImageNet-R", "imagenet-r", 200, {"test": 30_000}, lists="wordnet"),
}
"""By the name of the folder."""

BY_TITLE = {layout.title: layout for layout in COOP.values()}
