"""ELEVATER's twenty and ImageNet-1k as its toolkit lays them out: folders, indices, counts, first templates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

PLAIN = "a photo of a {}."


@dataclass(frozen=True)
class ElevaterLayout:
    """One dataset.

    Attributes:
        folder: its folder, usually below ``classification/``.
        indices: the file that lists each split.
        classes: how many.
        splits: examples by split.
        metric: what the benchmark reports.
        template: the first of its prompts.
        labels: the file with a name a line; '' where the indices name the classes.
        squashed: its configuration turns the crop off (``CENTER_CROP``).
    """

    folder: str
    indices: Mapping[str, str]
    classes: int
    splits: Mapping[str, int]
    metric: str = "accuracy"
    template: str = PLAIN
    labels: str = "labels.txt"
    squashed: bool = False


def _lists(*splits: str, ending: str = "txt") -> dict[str, str]:
    """``train``, ``val`` and ``test`` files of these names; two names mean that there is no validation list."""
    names = ("train", "val", "test") if len(splits) == 3 else ("train", "test")
    return {name: f"{file}.{ending}" for name, file in zip(names, splits, strict=True)}


def _counts(train: int, val: int, test: int) -> dict[str, int]:
    return {"train": train, "val": val, "test": test} if val else {"train": train, "test": test}


TWO, THREE, VALID = _lists("train", "test"), _lists("train", "val", "test"), _lists("train", "valid", "test")
IMAGES = _lists("train_images", "test_images")
MEAN = "mean-per-class"

ELEVATER: dict[str, ElevaterLayout] = {
    "caltech-101": ElevaterLayout("caltech_101_20211007", TWO, 102, _counts(3060, 0, 6084), MEAN),
    "cifar-10": ElevaterLayout("cifar_10_20211007", TWO, 10, _counts(50000, 0, 10000)),
    "cifar-100": ElevaterLayout("cifar100_20200721", IMAGES, 100, _counts(50000, 0, 10000)),
    "country211": ElevaterLayout(
        "country211_20210924", VALID, 211, _counts(31650, 10550, 21100), template="a photo i took in {}."
    ),
    "dtd": ElevaterLayout("dtd_20211007", THREE, 47, _counts(1880, 1880, 1880), template="a photo of a {} texture."),
    "eurosat_clip": ElevaterLayout(
        "eurosat_clip_20210930", THREE, 10, _counts(5000, 5000, 5000), template="a centered satellite photo of {}."
    ),
    "fer-2013": ElevaterLayout(
        "fer_2013_20211008", THREE, 7, _counts(28709, 3589, 3589), template="a photo of a {} looking face."
    ),
    "fgvc-aircraft-2013b-variants102": ElevaterLayout(
        "fgvc_aircraft_2013b_variants102_20211007", THREE, 100, _counts(3334, 3333, 3333), MEAN
    ),
    "food-101": ElevaterLayout(
        "food_101_20211007", TWO, 101, _counts(75750, 0, 25250), template="a photo of {}, a type of food."
    ),
    "gtsrb": ElevaterLayout(
        "gtsrb_20210923",
        THREE,
        43,
        _counts(26640, 12569, 12630),
        template='a zoomed in photo of a "{}" traffic sign.',
        labels="labelmap.txt",
    ),
    "hateful-memes": ElevaterLayout(
        "hateful_memes_20211014",
        _lists("train_meta", "test_meta", ending="json"),
        2,
        _counts(8500, 0, 500),
        "roc_auc",
        "a {}.",
        "",
    ),
    "kitti-distance": ElevaterLayout(
        "kitti_distance_20210923",
        _lists("train_meta", "validation_meta", "test_meta", ending="json"),
        4,
        _counts(6347, 423, 711),
        template="{}",
        labels="",
        squashed=True,
    ),
    "mnist": ElevaterLayout(
        "mnist_20211008", TWO, 10, _counts(60000, 0, 10000), template='a photo of the number: "{}".'
    ),
    "oxford-flower-102": ElevaterLayout("oxford_flower_102_20211007", THREE, 102, _counts(1020, 1020, 6149), MEAN),
    "oxford-iiit-pets": ElevaterLayout("oxford_iiit_pets_20211007", TWO, 37, _counts(3680, 0, 3669), MEAN),
    "patch-camelyon": ElevaterLayout(
        "patch_camelyon_20211007", THREE, 2, _counts(262144, 32768, 32768), template="this is a photo of {}"
    ),
    "rendered-sst2": ElevaterLayout(
        "rendered_sst2_20210924", VALID, 2, _counts(6920, 827, 1821), template="a {} review of a movie."
    ),
    "resisc45_clip": ElevaterLayout(
        "resisc45_clip_20210924",
        _lists("train", "val", "test", ending="json"),
        45,
        _counts(3150, 3150, 25200),
        template="satellite imagery of {}.",
        labels="",
    ),
    "stanford-cars": ElevaterLayout("stanford_cars_20211007", TWO, 196, _counts(8144, 0, 8041)),
    "voc-2007-classification": ElevaterLayout(
        "voc2007_20211007", _lists("train_ic", "val_ic", "test_ic"), 20, _counts(2501, 2510, 4952), "11point_mAP"
    ),
    "imagenet-1k": ElevaterLayout(
        "imagenet_1k_20220105", _lists("train", "val", ending="json"), 1000, {"test": 50000}, labels=""
    ),
}
"""By the name in its configurations."""
