"""R-AMT: W' = W * 1[m > t], straight-through; gradients agree with zero-shot CLIP (Zheng et al., ICCV 2023)."""

from __future__ import annotations

from typing import Any

import torch
from tests.reference import rewritten
from tests.reference.descent import by_epoch, leaves_of
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F
from torch.optim.lr_scheduler import CosineAnnealingLR

from promptgrid.contract.randomness import draws

WEIGHTS = {
    "qkv": "attn.in_proj_weight",
    "out": "attn.out_proj.weight",
    "fc": "mlp.c_fc.weight",
    "proj": "mlp.c_proj.weight",
}
PARTS = {"attention": ("qkv", "out"), "mlp": ("fc", "proj"), "all": ("qkv", "out", "fc", "proj")}
POLICY_SALT = 1 << 32


class Binarised(torch.autograd.Function):
    """1 above the threshold, 0 at or below it; backward is the identity."""

    @staticmethod
    def forward(ctx: Any, real: Tensor, threshold: float) -> Tensor:
        return torch.where(real > threshold, 1.0, 0.0).to(real)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return grads[0], None


def start(plain: Plain, drawn: Params, masked: str = "attention", start: float = 0.01, **settings: Any) -> Params:
    """All masks at ``start``."""
    own, layers = dict(plain.clip.model.named_parameters()), range(rewritten.depth_of(plain, "vision"))
    return {
        part: torch.stack([torch.full_like(own[_name(part, layer)], start) for layer in layers])
        for part in PARTS[masked]
    }


def _name(part: str, layer: int) -> str:
    return f"{rewritten.blocks_of('vision')}.{layer}.{WEIGHTS[part]}"


def logits(plain: Plain, params: Params, pixels: Tensor, threshold: float = 0.005, **settings: Any) -> Tensor:
    own = dict(plain.clip.model.named_parameters())
    weights = {
        _name(part, layer): own[_name(part, layer)].detach() * Binarised.apply(mask, threshold)
        for part, masks in params.items()
        for layer, mask in enumerate(masks)
    }
    return rewritten.logits(plain, weights, pixels)


def train(
    plain: Plain,
    begin: Params,
    learning_rate: float,
    weight_decay: float,
    size_strength: float,
    level: float,
    regularised: bool = True,
    threshold: float = 0.005,
    **settings: Any,
) -> Params:
    teacher = plain.clip.classes_in(plain.template, plain.classes).detach()
    order = sorted(begin)

    def backward(leaves: list[Tensor], params: Params, chosen: Tensor, seed: int) -> None:
        images = plain.train.pixels[chosen]
        scores = logits(plain, params, images, threshold)
        with torch.no_grad():
            wanted = torch.softmax(plain.clip.cosine_logits(plain.clip.image(images), teacher), dim=-1)
        size = sum(torch.norm(mask.reshape(-1), 2) for masks in params.values() for mask in masks)
        main = F.cross_entropy(scores, plain.train.labels[chosen]) + size_strength * size
        guide = (-wanted * F.log_softmax(scores, dim=-1)).sum(1).mean()
        grads_a = torch.autograd.grad(main, leaves, retain_graph=True)
        grads_b = torch.autograd.grad(guide, leaves)
        for place, (leaf, a, b) in enumerate(zip(leaves, grads_a, grads_b, strict=True)):
            leaf.grad = a
            if regularised:
                purity = (torch.sign(a) * (a + b) / (a.abs() + b.abs() + 1e-8) + 1) / 2
                drawn = draws(a.shape, seed, POLICY_SALT + place).to(a)
                leaf.grad = ((1.0 - level) + level * (purity > drawn)) * a

    params, leaves = leaves_of({name: begin[name] for name in order}, order)
    optimizer = torch.optim.Adam(leaves, lr=learning_rate, weight_decay=weight_decay)
    schedule = CosineAnnealingLR(optimizer, T_max=len(plain.batches))
    return by_epoch(plain, params, leaves, optimizer, schedule, backward)
