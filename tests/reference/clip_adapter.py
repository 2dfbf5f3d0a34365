"""CLIP-Adapter: f' = r A(f) + (1 - r) f, A two bias-free linear maps, each behind a ReLU (Gao et al., IJCV 2024)."""

from __future__ import annotations

from typing import Any

import torch
from tests.reference.descent import sgd
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F


def start(plain: Plain, drawn: Params, **settings: Any) -> Params:
    return drawn


def logits(plain: Plain, params: Params, pixels: Tensor, ratio: float = 0.2, **settings: Any) -> Tensor:
    feature = plain.clip.image(pixels)
    adapted = torch.relu(torch.relu(feature @ params["down"].T) @ params["up"].T)
    blended = ratio * adapted + (1 - ratio) * feature
    return plain.clip.cosine_logits(blended, plain.clip.classes_in(plain.template, plain.classes))


def train(
    plain: Plain, begin: Params, learning_rate: float, weight_decay: float, ratio: float, **settings: Any
) -> Params:
    def loss(params: Params, chosen: Tensor, seed: int) -> Tensor:
        return F.cross_entropy(logits(plain, params, plain.train.pixels[chosen], ratio), plain.train.labels[chosen])

    return sgd(plain, begin, ["down", "up"], loss, learning_rate, weight_decay)
