"""Small pictures and what comes with them: what a method on a dual encoder is tried with."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from promptgrid.contract.assets import Pairs, Second
from promptgrid.contract.clip.backbone import Backbone
from promptgrid.contract.conformance import plugins
from promptgrid.contract.dataset import Dataset
from promptgrid.contract.randomness import stream

CLASSES = ("cat", "traffic_light", "oak leaf", "blue tea pot")
NEW_CLASSES = ("dog", "steam train", "paper_kite")
SHOTS = 2


def pictures(backbone: Backbone, seed: int) -> tuple[Tensor, Tensor]:
    """``SHOTS`` uint8 pictures a class (N, 3, size, size), a colour a class under noise, and labels (N,)."""
    rng = stream("conformance", "pictures", seed)
    labels = torch.arange(len(CLASSES)).repeat_interleave(SHOTS)
    colours = torch.randint(40, 216, (len(CLASSES), 3, 1, 1), generator=stream("conformance", "colours"))
    noise = torch.randint(-40, 41, (len(labels), 3, backbone.image_size, backbone.image_size), generator=rng)
    return (colours[labels] + noise).clamp(0, 255).to(torch.uint8), labels


def second_look(pixels: Tensor) -> Tensor:
    """(N, 3) mean colours: what stands in for the features of a second backbone."""
    return pixels.float().mean((2, 3)) / 255


def assets_for(needs: frozenset[str], backbone: Backbone) -> dict[str, Any]:
    """The fields of a task that hold small stand-ins for the assets a method needs."""
    pixels, labels = pictures(backbone, 2000)
    features = backbone.encode_pixels(pixels)
    said = {name: (f"a small {name}", f"the look of {name}") for name in (*CLASSES, *NEW_CLASSES)}
    captions = tuple(f"a photo of a {name}" for name in CLASSES)
    own: dict[str, dict[str, Any]] = {
        "descriptions": {"descriptions": said},
        "unlabelled": {"unlabelled": features, "unlabelled_pixels": pixels, "seen": len(CLASSES)},
        "domain_labels": {"domains": tuple("ab"[place % 2] for place in range(len(labels)))},
        "second_backbone": {"second": Second(second_look(pixels), second_look(pixels))},
        "image_text_pairs": {"pairs": Pairs(features, captions, labels)},
    }
    return {field: value for name in needs & own.keys() for field, value in own[name].items()}


def check_dataset(dataset: Dataset) -> None:
    """What every dataset promises, and that the first and last image of each split are read as RGB."""
    plugins.check_dataset(dataset)
    for rows in dataset.splits.values():
        for index in {rows[0], rows[-1]} if rows else ():
            assert dataset.read(index).mode == "RGB", f"{dataset.card.name}: image {index} is not read as RGB"
