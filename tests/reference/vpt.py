"""VPT on CLIP: tokens in the image tower, one set or fresh ones before every block (Jia et al., ECCV 2022)."""

from __future__ import annotations

from typing import Any

from tests.reference.clip import inserting, overwriting
from tests.reference.descent import sgd
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F


def start(plain: Plain, drawn: Params, **settings: Any) -> Params:
    """Random: U(±sqrt(6 / (3 p² + d)))."""
    visual = plain.clip.model.visual
    bound = (6 / (3 * visual.conv1.kernel_size[0] ** 2 + visual.conv1.out_channels)) ** 0.5
    tokens = drawn["tokens"]
    assert 0.9 * bound < float(tokens.abs().max()) <= bound
    return drawn


def logits(
    plain: Plain,
    params: Params,
    pixels: Tensor,
    place: str = "after_class",
    before_norm: bool = False,
    **settings: Any,
) -> Tensor:
    visual, layers = plain.clip.model.visual, params["tokens"]
    slot = 1 if place == "after_class" else -layers.shape[1]
    with inserting(visual, layers[0], place, before_norm), overwriting(visual.transformer.resblocks, layers, slot):
        images = plain.clip.image(pixels)
    return plain.clip.cosine_logits(images, plain.clip.classes_in(plain.template, plain.classes))


def train(
    plain: Plain,
    begin: Params,
    learning_rate: float,
    weight_decay: float,
    place: str = "after_class",
    before_norm: bool = False,
    **settings: Any,
) -> Params:
    def loss(params: Params, chosen: Tensor, seed: int) -> Tensor:
        scores = logits(plain, params, plain.train.pixels[chosen], place, before_norm)
        return F.cross_entropy(scores, plain.train.labels[chosen])

    return sgd(plain, begin, ["tokens"], loss, learning_rate, weight_decay)
