"""RESTORE, reading 1: IVLP, equal sizes of both towers' shifts block by block, and a gated MLP behind each tower."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from tests.reference import deep_language, ivlp
from tests.reference.clip import said
from tests.reference.descent import sgd
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F


def start(plain: Plain, drawn: Params, reduction: int = 4, **settings: Any) -> Params:
    """IVLP's prompts; the MLPs' first layers as torch's Linear, their last layers and the gates 0."""
    begin = ivlp.start(plain, drawn, **settings)
    width = plain.clip.model.visual.output_dim
    for tower in ("image", "text"):
        assert drawn[f"{tower}_down"].shape == (width // reduction, width)
        assert 0.9 * width**-0.5 < float(drawn[f"{tower}_down"].abs().max()) <= width**-0.5
        begin[f"{tower}_up"] = torch.zeros_like(drawn[f"{tower}_down"].T)
        begin[f"{tower}_gate"] = torch.zeros_like(drawn[f"{tower}_gate"])
    return begin


@contextmanager
def watched(blocks: Any, kept: list[Tensor]) -> Iterator[None]:
    """What each block gives goes into ``kept``."""
    handles = [block.register_forward_hook(lambda module, args, output: kept.append(output)) for block in blocks]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def size(x: Tensor) -> Tensor:
    return torch.sqrt((x**2).sum(-1) + 0.01)


def operated(params: Params, tower: str, features: Tensor, plain: Tensor) -> Tensor:
    weight, bias = params[f"{tower}_gate"]
    gate = torch.sigmoid(weight * size(features - plain) + bias).unsqueeze(1)
    return features + gate * (F.relu(features @ params[f"{tower}_down"].T) @ params[f"{tower}_up"].T)


def forward(plain: Plain, params: Params, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Logits, and the mean squared difference of the shifts' mean sizes."""
    clip, model = plain.clip, plain.clip.model
    seen: dict[str, list[Tensor]] = {name: [] for name in ("image", "image frozen", "text", "text frozen")}
    image_blocks, text_blocks = model.visual.transformer.resblocks, model.transformer.resblocks
    with watched(image_blocks, seen["image"]), watched(text_blocks, seen["text"]):
        images, texts = ivlp.features(plain, params, pixels)
    phrases = [f"{deep_language.PHRASE} {said(name)}." for name in plain.classes]
    with torch.no_grad(), watched(image_blocks, seen["image frozen"]), watched(text_blocks, seen["text frozen"]):
        frozen_images, frozen_texts = clip.image(pixels), clip.text(phrases)
    ends = clip.embedded(phrases)[1]
    rows = torch.arange(len(ends))
    depth = min(len(params["tokens"]), len(params["deeper"]) + 1)
    of_images = [size(a[:, 0] - b[:, 0]).mean() for a, b in zip(seen["image"], seen["image frozen"], strict=True)]
    of_texts = [
        size(a[rows, ends] - b[rows, ends]).mean() for a, b in zip(seen["text"], seen["text frozen"], strict=True)
    ]
    gaps = [(a - b) ** 2 for a, b in list(zip(of_images, of_texts, strict=False))[:depth]]
    images = operated(params, "image", images, frozen_images)
    texts = operated(params, "text", texts, frozen_texts)
    return clip.cosine_logits(images, texts), torch.stack(gaps).mean()


def logits(plain: Plain, params: Params, pixels: Tensor, **settings: Any) -> Tensor:
    return forward(plain, params, pixels)[0]


def train(
    plain: Plain, begin: Params, learning_rate: float, weight_decay: float, strength: float, **settings: Any
) -> Params:
    def loss(params: Params, chosen: Tensor, seed: int) -> Tensor:
        scores, gap = forward(plain, params, plain.train.pixels[chosen])
        return F.cross_entropy(scores, plain.train.labels[chosen]) + strength * gap

    return sgd(plain, begin, list(begin), loss, learning_rate, weight_decay)
