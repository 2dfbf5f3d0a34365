"""Tip-Adapter-F: Tip-Adapter with trained keys, AdamW with a cosine per iteration (Zhang et al., ECCV 2022)."""

from __future__ import annotations

from typing import Any

import torch
from tests.reference import tip_adapter
from tests.reference.descent import by_iteration, leaves_of
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F

start = tip_adapter.start
logits = tip_adapter.logits


def train(
    plain: Plain,
    begin: Params,
    learning_rate: float,
    weight_decay: float,
    search: bool = True,
    search_on: str = "whole",
    **settings: Any,
) -> Params:
    def loss(params: Params, chosen: Tensor, seed: int) -> Tensor:
        return F.cross_entropy(logits(plain, params, plain.train.pixels[chosen]), plain.train.labels[chosen])

    params, leaves = leaves_of(begin, ["keys"])
    optimizer = torch.optim.AdamW(leaves, lr=learning_rate, eps=1e-4, weight_decay=weight_decay)
    trained = by_iteration(plain, params, leaves, optimizer, loss, last=0.0)
    return tip_adapter.train(plain, trained, search, search_on)
