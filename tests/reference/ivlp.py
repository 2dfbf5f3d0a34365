"""IVLP: prompts of its own in the first J blocks of each tower (the baseline of Khattak et al., CVPR and ICCV 2023)."""

from __future__ import annotations

from typing import Any

from tests.reference import deep_language
from tests.reference.clip import inserting, overwriting
from tests.reference.descent import sgd
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F


def start(plain: Plain, drawn: Params, depth: int = 9, tokens: int = 4, **settings: Any) -> Params:
    """Visual prompts: N(0, 0.02), random."""
    visual = plain.clip.model.visual
    assert drawn["tokens"].shape == (
        min(depth, len(visual.transformer.resblocks)),
        tokens,
        visual.conv1.out_channels,
    )
    assert 0.01 < float(drawn["tokens"].std()) < 0.03
    return deep_language.start(plain, drawn, depth=depth, **settings)


def features(plain: Plain, params: Params, pixels: Tensor) -> tuple[Tensor, Tensor]:
    """Image and text features, not normalised."""
    visual, layers = plain.clip.model.visual, params["tokens"]
    with (
        inserting(visual, layers[0], "end", before_norm=True),
        overwriting(visual.transformer.resblocks, layers, -layers.shape[1]),
    ):
        images = plain.clip.image(pixels)
    return images, deep_language.texts(plain, params)


def logits(plain: Plain, params: Params, pixels: Tensor, **settings: Any) -> Tensor:
    return plain.clip.cosine_logits(*features(plain, params, pixels))


def train(plain: Plain, begin: Params, learning_rate: float, weight_decay: float, **settings: Any) -> Params:
    def loss(params: Params, chosen: Tensor, seed: int) -> Tensor:
        return F.cross_entropy(logits(plain, params, plain.train.pixels[chosen]), plain.train.labels[chosen])

    return sgd(plain, begin, ["context", "deeper", "tokens"], loss, learning_rate, weight_decay)
