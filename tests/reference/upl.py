"""UPL: CoOp on the surest guesses of zero-shot CLIP, each member by itself; the mean of their logits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from tests.reference import coop
from tests.reference.descent import sgd
from tests.reference.pseudo import confident, zero_shot
from tests.reference.task import Params, Pooled
from torch import Tensor
from torch.nn import functional as F


def start(plain: Pooled, drawn: Params, **settings: Any) -> Params:
    return drawn


def logits(plain: Pooled, params: Params, pixels: Tensor, vote: str = "logits", **settings: Any) -> Tensor:
    each = torch.stack([coop.logits(plain, {"context": context}, pixels) for context in params["context"]])
    return each.mean(0) if vote == "logits" else each.softmax(-1).mean(0).log()


def train(
    plain: Pooled, begin: Params, learning_rate: float, weight_decay: float, confident: int, **settings: Any
) -> Params:
    with torch.no_grad():
        chosen = choose(plain, confident)
    pixels = plain.pool[[i for i, _ in chosen]]
    labels = torch.tensor([label for _, label in chosen])
    own = replace(plain, batches=plain.draw(len(chosen), 0))

    def learn(context: Tensor) -> Tensor:
        def loss(params: Params, rows: Tensor, seed: int) -> Tensor:
            return F.cross_entropy(coop.logits(plain, params, pixels[rows]), labels[rows])

        return sgd(own, {"context": context}, ["context"], loss, learning_rate, weight_decay)["context"]

    return {"context": torch.stack([learn(context) for context in begin["context"]])}


def choose(plain: Pooled, most: int) -> list[tuple[int, int]]:
    return confident(zero_shot(plain, plain.pool), most)
