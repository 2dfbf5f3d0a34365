"""LayerNorm tuning: weights and biases of the LayerNorms are learned as what is added to them."""

from __future__ import annotations

from typing import Any

import torch
from tests.reference import rewritten
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F


def norms(plain: Plain, tower: str) -> list[str]:
    """Both of each block, the last, and in the image tower that before the first block."""
    blocks = rewritten.blocks_of(tower)
    own = [f"{blocks}.{i}.{norm}" for i in range(rewritten.depth_of(plain, tower)) for norm in ("ln_1", "ln_2")]
    return [*own, "visual.ln_post", "visual.ln_pre"] if tower == "vision" else [*own, "ln_final"]


def start(plain: Plain, drawn: Params, towers: str = "vision", **settings: Any) -> Params:
    """Nothing is added."""
    model = plain.clip.model
    sizes = {"vision": model.visual.conv1.out_channels}
    if towers == "both":
        sizes["text"] = model.positional_embedding.shape[-1]
    begin = {}
    for tower, width in sizes.items():
        for what in ("weights", "biases"):
            begin[f"{tower}_{what}"] = torch.zeros(len(norms(plain, tower)), width, dtype=plain.clip.dtype)
    return begin


def changed(plain: Plain, params: Params) -> Params:
    changes = {}
    for tower in {name.split("_")[0] for name in params}:
        for i, norm in enumerate(norms(plain, tower)):
            changes[f"{norm}.weight"] = params[f"{tower}_weights"][i]
            changes[f"{norm}.bias"] = params[f"{tower}_biases"][i]
    return rewritten.added(plain.clip.model, changes)


def logits(plain: Plain, params: Params, pixels: Tensor, **settings: Any) -> Tensor:
    return rewritten.logits(plain, changed(plain, params), pixels)


def train(plain: Plain, begin: Params, learning_rate: float, weight_decay: float, **settings: Any) -> Params:
    def loss(params: Params, chosen: Tensor, seed: int) -> Tensor:
        return F.cross_entropy(logits(plain, params, plain.train.pixels[chosen]), plain.train.labels[chosen])

    return rewritten.fitted(plain, begin, torch.optim.AdamW, learning_rate, weight_decay, loss)
