"""Our names against the papers': datasets, backbones, and what averages are taken over."""

from __future__ import annotations

import re
from pathlib import Path

from promptgrid.engine.datasets.published.coop_layouts import COOP
from promptgrid.engine.published import Published
from promptgrid.tracks.image.methods.parts.published import NAMES, paper_name

SHIFTED = {
    "imagenetv2": "ImageNetV2",
    "imagenet-v2": "ImageNetV2",
    "imagenet-sketch": "ImageNet-Sketch",
    "imagenet-a": "ImageNet-A",
    "imagenet-adversarial": "ImageNet-A",
    "imagenet-r": "ImageNet-R",
    "imagenet-rendition": "ImageNet-R",
}
SHIFTS = ("ImageNetV2", "ImageNet-Sketch", "ImageNet-A", "ImageNet-R")
AVERAGES: dict[str, tuple[str, ...]] = {
    "average of 11": NAMES,
    "average of 10": tuple(name for name in NAMES if name != "ImageNet"),
    "average of 4 shifts": SHIFTS,
    "average of ImageNet and 4 shifts": ("ImageNet", *SHIFTS),
}
"""Averages whose datasets are known, so that ours can be taken over the same."""
OTHER_SPLITS = frozenset({"vtab", "elevater", "vpt-fgvc", "wds"})
_OPENAI = re.compile(r"(ViT-[BL]-\d+|RN50|RN101)(?:-quickgelu)?@openai")


def dataset_known_as(dataset: str) -> str:
    """The papers' name of one of our datasets (``…/split_zhou_OxfordPets.json`` is OxfordPets), '' for another.

    Other collections have datasets of the same names on other splits: their numbers are not those of these papers.
    """
    family, _, path = dataset.partition(":")
    if family in OTHER_SPLITS:
        return ""
    if family == "coop" and (layout := COOP.get(Path(path.partition("?")[0]).name)):
        dataset = layout.title
    last = dataset.replace("\\", "/").partition("?")[0].rsplit("/", 1)[-1].lower().replace("_", "-")
    shifted = next((name for spelling, name in SHIFTED.items() if re.search(rf"\b{spelling}(?![\w])", last)), "")
    return shifted or paper_name(last)


def backbone_known_as(backbone: str) -> str:
    """The papers' name of a backbone with OpenAI's weights (``ViT-B-16@openai`` is ViT-B/16), '' for another."""
    found = _OPENAI.fullmatch(backbone.partition("#")[0])
    if not found:
        return ""
    return re.sub(r"^(ViT-[BL])-", r"\1/", found[1])


PUBLISHED = Published(Path(__file__).parent, AVERAGES, dataset_known_as, backbone_known_as)
"""The tables of this folder."""
