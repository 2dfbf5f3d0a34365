"""BitFit: every bias but the keys' is learned as what is added to it (Ben Zaken et al., ACL 2022)."""

from __future__ import annotations

from typing import Any

import torch
from tests.reference import ln_tuning, rewritten
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F


def start(plain: Plain, drawn: Params, towers: str = "vision", **settings: Any) -> Params:
    """Nothing is added."""
    model = plain.clip.model
    sizes = {"vision": model.visual.conv1.out_channels}
    if towers == "both":
        sizes["text"] = model.positional_embedding.shape[-1]
    begin = {}
    for tower, width in sizes.items():
        depth = rewritten.depth_of(plain, tower)
        shapes = {"norms": (len(ln_tuning.norms(plain, tower)), width), "narrow": (depth, 4, width)}
        for what, shape in (shapes | {"wide": (depth, 4 * width)}).items():
            begin[f"{tower}_{what}"] = torch.zeros(*shape, dtype=plain.clip.dtype)
    return begin


def changed(plain: Plain, params: Params) -> Params:
    changes = {}
    for tower in {name.split("_")[0] for name in params}:
        for i, norm in enumerate(ln_tuning.norms(plain, tower)):
            changes[f"{norm}.bias"] = params[f"{tower}_norms"][i]
        for i in range(rewritten.depth_of(plain, tower)):
            block = f"{rewritten.blocks_of(tower)}.{i}"
            queries, values, out, down = params[f"{tower}_narrow"][i]
            changes[f"{block}.attn.in_proj_bias"] = torch.cat([queries, torch.zeros_like(queries), values])
            changes[f"{block}.attn.out_proj.bias"] = out
            changes[f"{block}.mlp.c_fc.bias"] = params[f"{tower}_wide"][i]
            changes[f"{block}.mlp.c_proj.bias"] = down
    return rewritten.added(plain.clip.model, changes)


def logits(plain: Plain, params: Params, pixels: Tensor, **settings: Any) -> Tensor:
    return rewritten.logits(plain, changed(plain, params), pixels)


def train(plain: Plain, begin: Params, learning_rate: float, weight_decay: float, **settings: Any) -> Params:
    def loss(params: Params, chosen: Tensor, seed: int) -> Tensor:
        return F.cross_entropy(logits(plain, params, plain.train.pixels[chosen]), plain.train.labels[chosen])

    return rewritten.fitted(plain, begin, torch.optim.AdamW, learning_rate, weight_decay, loss)
