"""Full fine-tuning of the image tower against frozen texts: Adam, epsilon 1e-4, cosine by step."""

from __future__ import annotations

from typing import Any

import torch
from tests.reference import rewritten
from tests.reference.descent import by_iteration, leaves_of
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F


def start(plain: Plain, drawn: Params, **settings: Any) -> Params:
    named = dict(plain.clip.model.visual.named_parameters())
    own = {f"tower.{name}": value.detach().clone() for name, value in named.items() if name not in OUTSIDE}
    return own | {"projection": named["proj"].detach().clone()}


OUTSIDE = ("conv1.weight", "proj")


def logits(plain: Plain, params: Params, pixels: Tensor, **settings: Any) -> Tensor:
    weights = {f"visual.{name.removeprefix('tower.')}": value for name, value in params.items()}
    weights["visual.proj"] = weights.pop("visual.projection")
    seen = plain.clip.normalise(pixels)
    images = rewritten.rewritten(plain.clip.model, weights, lambda model: model.encode_image(seen))
    return plain.clip.cosine_logits(images, plain.clip.classes_in(plain.template, plain.classes))


def train(plain: Plain, begin: Params, learning_rate: float, **settings: Any) -> Params:
    params, leaves = leaves_of(begin, list(begin))
    optimizer = torch.optim.Adam(leaves, lr=learning_rate, eps=1e-4)

    def loss(params: Params, chosen: Tensor, seed: int) -> Tensor:
        return F.cross_entropy(logits(plain, params, plain.train.pixels[chosen]), plain.train.labels[chosen])

    return by_iteration(plain, params, leaves, optimizer, loss, 0.0)
