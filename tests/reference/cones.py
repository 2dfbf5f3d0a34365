"""ConES, our reading for classification: s f̂ Ê, E starts at the class texts, Adam (after arXiv:2305.18993)."""

from __future__ import annotations

from typing import Any

import torch
from tests.reference.descent import by_epoch, coop_schedule, leaves_of
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F


def start(plain: Plain, drawn: Params, start: str = "template", **settings: Any) -> Params:
    if start == "random":
        assert 0.5 < float(drawn["concepts"].norm(dim=-1).mean()) < 1.5
        return drawn
    return {"concepts": plain.clip.classes_in(plain.template, plain.classes)}


def logits(plain: Plain, params: Params, pixels: Tensor, **settings: Any) -> Tensor:
    return plain.clip.cosine_logits(plain.clip.image(pixels), params["concepts"])


def train(plain: Plain, begin: Params, learning_rate: float, weight_decay: float, **settings: Any) -> Params:
    params, leaves = leaves_of(begin, ["concepts"])
    optimizer = torch.optim.Adam(leaves, lr=learning_rate, weight_decay=weight_decay)

    def backward(leaves: list[Tensor], params: Params, chosen: Tensor, seed: int) -> None:
        F.cross_entropy(logits(plain, params, plain.train.pixels[chosen]), plain.train.labels[chosen]).backward()

    return by_epoch(plain, params, leaves, optimizer, coop_schedule(optimizer, len(plain.batches)), backward)
