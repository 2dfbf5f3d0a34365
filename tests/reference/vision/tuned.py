"""VPT, LoRA, adapters, AdaptFormer and a mapped head on open_clip's own blocks: hosts of PVP, and rows beside it."""

from __future__ import annotations

from typing import Any

import torch
from tests.reference.vision.plain import Params, block, entered, logits
from torch import Tensor
from torch.nn.functional import gelu, linear, scaled_dot_product_attention


def prompted(visual: Any, params: Params, pixels: Tensor) -> Tensor:
    """VPT: behind the patches, shallow (l, d) or deep (layers, l, d)."""
    prompt = params["prompt"]
    deep = prompt.dim() == 3
    x = entered(visual, pixels)
    tokens = x.shape[1]
    for layer, own in enumerate(visual.transformer.resblocks):
        if deep or layer == 0:
            x = torch.cat([x[:, :tokens], (prompt[layer] if deep else prompt).expand(len(x), -1, -1)], 1)
        x = block(own, x)
    return logits(params, visual.ln_post(x)[:, 0])


def lora(visual: Any, params: Params, pixels: Tensor, scale: float = 2.0) -> Tensor:
    """W + scale B A on queries and values, the weights written out."""
    x = entered(visual, pixels)
    for layer, own in enumerate(visual.transformer.resblocks):
        query, key, value = own.attn.in_proj_weight.chunk(3)
        query = query + scale * params["up"][layer, 0] @ params["down"][layer, 0]
        value = value + scale * params["up"][layer, 1] @ params["down"][layer, 1]
        given = linear(own.ln_1(x), torch.cat([query, key, value]), own.attn.in_proj_bias)
        heads = own.attn.num_heads
        q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in given.chunk(3, -1))
        mixed = scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + own.attn.out_proj(mixed)
        x = x + own.mlp(own.ln_2(x))
    return logits(params, visual.ln_post(x)[:, 0])


def adapted(visual: Any, params: Params, pixels: Tensor) -> Tensor:
    """Houlsby's adapters behind both sublayers."""

    def through(x: Tensor, layer: int, place: int) -> Tensor:
        down, up, low, high = (params[name][layer, place] for name in ("down", "up", "down_bias", "up_bias"))
        return x + gelu(x @ down.T + low) @ up.T + high

    x = entered(visual, pixels)
    for layer, own in enumerate(visual.transformer.resblocks):
        given = own.ln_1(x)
        x = x + through(own.attn(given, given, given, need_weights=False)[0], layer, 0)
        x = x + through(own.mlp(own.ln_2(x)), layer, 1)
    return logits(params, visual.ln_post(x)[:, 0])


def adaptformer(visual: Any, params: Params, pixels: Tensor, scale: float = 0.1) -> Tensor:
    x = entered(visual, pixels)
    for layer, own in enumerate(visual.transformer.resblocks):
        down, up, low, high = (params[name][layer] for name in ("down", "up", "down_bias", "up_bias"))
        x = block(own, x, lambda x, a=down, b=up, c=low, d=high: scale * (torch.relu(x @ a.T + c) @ b.T + d))
    return logits(params, visual.ln_post(x)[:, 0])


def mapped(visual: Any, params: Params, pixels: Tensor) -> Tensor:
    x = entered(visual, pixels)
    for own in visual.transformer.resblocks:
        x = block(own, x)
    return logits(params, visual.ln_post(x)[:, 0] @ params["map"].T)
