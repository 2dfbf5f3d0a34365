"""TaskRes: w_c = t_c + alpha R_c, t_c not normalised, R = 0 at the start, Adam (Yu et al., CVPR 2023)."""

from __future__ import annotations

from typing import Any

import torch
from tests.reference.clip import said
from tests.reference.descent import by_epoch, coop_schedule, leaves_of
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F


def _base(plain: Plain) -> Tensor:
    return plain.clip.text([plain.template.format(said(name)) for name in plain.classes]).detach()


def start(plain: Plain, drawn: Params, **settings: Any) -> Params:
    base = _base(plain)
    return {"base": base, "residual": torch.zeros_like(base)}


def logits(plain: Plain, params: Params, pixels: Tensor, alpha: float = 0.5, **settings: Any) -> Tensor:
    return plain.clip.cosine_logits(plain.clip.image(pixels), _base(plain) + alpha * params["residual"])


def train(
    plain: Plain, begin: Params, learning_rate: float, weight_decay: float, alpha: float, **settings: Any
) -> Params:
    params, leaves = leaves_of(begin, ["residual"])
    optimizer = torch.optim.Adam(leaves, lr=learning_rate, weight_decay=weight_decay)

    def backward(leaves: list[Tensor], params: Params, chosen: Tensor, seed: int) -> None:
        scores = logits(plain, params, plain.train.pixels[chosen], alpha)
        F.cross_entropy(scores, plain.train.labels[chosen]).backward()

    return by_epoch(plain, params, leaves, optimizer, coop_schedule(optimizer, len(plain.batches)), backward)
