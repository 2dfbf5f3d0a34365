"""CLAP: prototypes from the texts, CE + mean_c lambda_c |w_c - t_c|² (Silva-Rodríguez et al., CVPR 2024).

lambda_c is the mean probability that zero-shot gives class c on the shots of c.
"""

from __future__ import annotations

from typing import Any

import torch
from tests.reference import taskres
from tests.reference.descent import sgd
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F


def start(plain: Plain, drawn: Params, underscores: str = "kept", **settings: Any) -> Params:
    base = taskres._base(plain, underscores)
    with torch.no_grad():
        told = torch.softmax(plain.clip.cosine_logits(plain.clip.image(plain.train.pixels), base), dim=-1)
    trust = [told[plain.train.labels == label, label].mean() for label in range(len(plain.classes))]
    return {"prototypes": base, "base": base, "multipliers": torch.stack(trust)}


def logits(plain: Plain, params: Params, pixels: Tensor, **settings: Any) -> Tensor:
    return plain.clip.cosine_logits(plain.clip.image(pixels), params["prototypes"])


def train(
    plain: Plain, begin: Params, learning_rate: float, weight_decay: float, penalty: str, **settings: Any
) -> Params:
    def loss(params: Params, chosen: Tensor, seed: int) -> Tensor:
        told = F.cross_entropy(logits(plain, params, plain.train.pixels[chosen]), plain.train.labels[chosen])
        if penalty == "none":
            return told
        apart = [(w - t).norm() ** 2 for w, t in zip(params["prototypes"], params["base"], strict=True)]
        return told + sum(m * d for m, d in zip(params["multipliers"], apart, strict=True)) / len(apart)

    return sgd(plain, begin, ["prototypes"], loss, learning_rate, weight_decay)
