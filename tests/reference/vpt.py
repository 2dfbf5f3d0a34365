"""VPT on CLIP: tokens in the image tower, one set or fresh ones before every block (Jia et al., ECCV 2022).

The texts of both CLIP versions are ``a photo of a {}.``, whatever the dataset's own template says.
"""

from __future__ import annotations

from typing import Any

from tests.reference.clip import inserting, overwriting
from tests.reference.descent import sgd
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F

PHOTO = "a photo of a {}."


def start(plain: Plain, drawn: Params, start: str = "uniform", **settings: Any) -> Params:
    """Random: U(±sqrt(6 / (3 p² + d))), or N(0, .02²)."""
    visual = plain.clip.model.visual
    if start == "normal":
        assert 0.9 * 0.02 < float(drawn["tokens"].std()) < 1.1 * 0.02 < float(drawn["tokens"].abs().max())
        return drawn
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
    texts: str = "photo",
    **settings: Any,
) -> Tensor:
    visual, layers = plain.clip.model.visual, params["tokens"]
    slot = 1 if place == "after_class" else -layers.shape[1]
    with inserting(visual, layers[0], place, before_norm), overwriting(visual.transformer.resblocks, layers, slot):
        images = plain.clip.image(pixels)
    template = PHOTO if texts == "photo" else plain.template
    return plain.clip.cosine_logits(images, plain.clip.classes_in(template, plain.classes))


def train(
    plain: Plain,
    begin: Params,
    learning_rate: float,
    weight_decay: float,
    place: str = "after_class",
    before_norm: bool = False,
    texts: str = "photo",
    **settings: Any,
) -> Params:
    def loss(params: Params, chosen: Tensor, seed: int) -> Tensor:
        scores = logits(plain, params, plain.train.pixels[chosen], place, before_norm, texts)
        return F.cross_entropy(scores, plain.train.labels[chosen])

    return sgd(plain, begin, ["tokens"], loss, learning_rate, weight_decay)
