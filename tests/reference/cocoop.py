"""CoCoOp: V_m(x) = V_m + meta(f̂(x)); C prompts are encoded for every image (Zhou et al., CVPR 2022)."""

from __future__ import annotations

from typing import Any

import torch
from tests.reference import coop
from tests.reference.descent import sgd
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F

NAMES = ("context", "down_weight", "down_bias", "up_weight", "up_bias")


def start(plain: Plain, drawn: Params, words: str = "", **settings: Any) -> Params:
    return drawn | {"context": plain.clip.words(words)} if words else drawn


def logits(plain: Plain, params: Params, pixels: Tensor, **settings: Any) -> Tensor:
    rows = []
    for image in F.normalize(plain.clip.image(pixels), dim=-1):
        hidden = torch.relu(params["down_weight"] @ image + params["down_bias"])
        shift = params["up_weight"] @ hidden + params["up_bias"]
        texts = plain.clip.encode(*coop.prompts(plain, params["context"] + shift))
        rows.append(plain.clip.scale * F.normalize(texts, dim=-1) @ image)
    return torch.stack(rows)


def train(plain: Plain, begin: Params, learning_rate: float, weight_decay: float, **settings: Any) -> Params:
    def loss(params: Params, chosen: Tensor, seed: int) -> Tensor:
        return F.cross_entropy(logits(plain, params, plain.train.pixels[chosen]), plain.train.labels[chosen])

    return sgd(plain, begin, NAMES, loss, learning_rate, weight_decay)
