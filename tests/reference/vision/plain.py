"""open_clip's own image tower, block by block, in the fewest lines: what the references of vision methods stand on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

Params = dict[str, Tensor]
STEPS = 5


def entered(visual: Any, pixels: Tensor) -> Tensor:
    """(B, 3, s, s) normalised pixels to (B, 1 + P, d), what enters the first block."""
    x = visual.conv1(pixels).flatten(2).transpose(1, 2)
    first = visual.class_embedding.expand(len(x), 1, -1)
    return visual.ln_pre(torch.cat([first, x], 1) + visual.positional_embedding)


def block(own: Any, x: Tensor, beside: Callable[[Tensor], Tensor] = torch.zeros_like) -> Tensor:
    """One block; ``beside`` is added to what its MLP's half gives, from the tokens that enter that half."""
    given = own.ln_1(x)
    x = x + own.attn(given, given, given, need_weights=False)[0]
    return x + own.mlp(own.ln_2(x)) + beside(x)


def logits(params: Params, feature: Tensor) -> Tensor:
    return feature @ params["head_weight"].T + params["head_bias"]


def descended(
    loss: Callable[[Params, int], Tensor],
    start: Params,
    rate: float,
    steps: int = STEPS,
    undecayed: tuple[str, ...] = ("head_bias",),
) -> Params:
    """``start`` after ``steps`` of torch's AdamW (weight decay .01), the rate half a cosine by step."""
    params = {name: value.clone().requires_grad_() for name, value in start.items()}
    groups = [{"params": [value], "weight_decay": 0.0 if name in undecayed else 0.01} for name, value in params.items()]
    optimizer = torch.optim.AdamW(groups, lr=rate)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * 0.5 * (1.0 + math.cos(math.pi * step / steps))
        optimizer.zero_grad()
        loss(params, step).backward()
        optimizer.step()
    return {name: value.detach() for name, value in params.items()}


def largest(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> float:
    """The largest difference of any number."""
    assert found.keys() == wanted.keys()
    return max(float((found[name] - wanted[name]).abs().max()) for name in wanted)
