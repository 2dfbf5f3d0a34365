"""UPT's mixer: text and visual tokens meet in one small transformer block before they enter their towers."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Params
from promptgrid.tracks.image.methods.parts.starts import linear, uniform


def mixer(rng: torch.Generator, text_width: int, vision_width: int, width: int) -> Params:
    """Weights of the mixer as ``torch.nn`` starts them: four linear maps, and a block of one head and ``width``."""
    params: Params = {}
    for name, inputs, outputs in (
        ("text_in", text_width, width),
        ("vision_in", vision_width, width),
        ("text_out", width, text_width),
        ("vision_out", width, vision_width),
        ("block_out", width, width),
        ("block_up", width, 4 * width),
        ("block_down", 4 * width, width),
    ):
        params[f"{name}_weight"], params[f"{name}_bias"] = linear(rng, inputs, outputs)
    params["block_out_bias"] = torch.zeros(width)
    params["block_qkv_weight"] = uniform(rng, (6.0 / (4 * width)) ** 0.5, 3 * width, width)
    params["block_qkv_bias"] = torch.zeros(3 * width)
    for norm in ("block_norm1", "block_norm2"):
        params[f"{norm}_weight"], params[f"{norm}_bias"] = torch.ones(width), torch.zeros(width)
    return params


def mix(params: Params, text: Tensor, vision: Tensor) -> tuple[Tensor, Tensor]:
    """Tokens that have seen each other: (n, text width) and (m, vision width), attention over all n + m."""
    joined = torch.cat([_linear(params, "text_in", text), _linear(params, "vision_in", vision)])
    mixed = _block(params, joined)
    count = text.shape[0]
    return _linear(params, "text_out", mixed[:count]), _linear(params, "vision_out", mixed[count:])


def _block(params: Params, x: Tensor) -> Tensor:
    """CLIP's residual attention block with one head: pre-norm attention, then pre-norm MLP with QuickGELU."""
    q, k, v = _linear(params, "block_qkv", _norm(params, "block_norm1", x)).chunk(3, dim=-1)
    mixed = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v
    x = x + _linear(params, "block_out", mixed)
    up = _linear(params, "block_up", _norm(params, "block_norm2", x))
    return x + _linear(params, "block_down", up * torch.sigmoid(1.702 * up))


def _linear(params: Params, name: str, x: Tensor) -> Tensor:
    return F.linear(x, params[f"{name}_weight"], params[f"{name}_bias"])


def _norm(params: Params, name: str, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:]) * params[f"{name}_weight"] + params[f"{name}_bias"]
