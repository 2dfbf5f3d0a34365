"""TaskRes: w_c = t_c + alpha R_c, t_c not normalised, R = 0 at the start, Adam (Yu et al., CVPR 2023).

t_c is the text of the class name as it is written: an underscore stays one.
"""

from __future__ import annotations

from typing import Any

import torch
from tests.reference.clip import said
from tests.reference.descent import by_epoch, coop_schedule, leaves_of
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F


def _base(plain: Plain, underscores: str = "kept") -> Tensor:
    names = plain.classes if underscores == "kept" else [said(name) for name in plain.classes]
    return plain.clip.text([plain.template.format(name) for name in names]).detach()


def start(plain: Plain, drawn: Params, underscores: str = "kept", **settings: Any) -> Params:
    base = _base(plain, underscores)
    return {"base": base, "residual": torch.zeros_like(base)}


def logits(
    plain: Plain, params: Params, pixels: Tensor, alpha: float = 0.5, underscores: str = "kept", **settings: Any
) -> Tensor:
    return plain.clip.cosine_logits(plain.clip.image(pixels), _base(plain, underscores) + alpha * params["residual"])


def train(
    plain: Plain,
    begin: Params,
    learning_rate: float,
    weight_decay: float,
    alpha: float,
    underscores: str = "kept",
    **settings: Any,
) -> Params:
    params, leaves = leaves_of(begin, ["residual"])
    optimizer = torch.optim.Adam(leaves, lr=learning_rate, weight_decay=weight_decay)

    def backward(leaves: list[Tensor], params: Params, chosen: Tensor, seed: int) -> None:
        scores = logits(plain, params, plain.train.pixels[chosen], alpha, underscores)
        F.cross_entropy(scores, plain.train.labels[chosen]).backward()

    return by_epoch(plain, params, leaves, optimizer, coop_schedule(optimizer, len(plain.batches)), backward)
