"""UPT in MVLPT's deep form, its block from torch.nn modules (Zang et al., 2022; Shen et al., WACV 2024).

The shape that the block is handed decides who sees whom. CLIP's block, and ``nn.MultiheadAttention`` as it is made by
default, read (sequence, batch, width): attention runs along axis 0. MVLPT joins the L tokens as (1, L, width), so that
the sequence has length 1 and axis 1 is a batch of L: a token attends to itself alone, softmax of one number is 1, and
attention is the value of that token. ``across`` is (L, 1, width): one sequence of L tokens, a batch of one.
"""

from __future__ import annotations

from typing import Any

import torch
from tests.reference import coop, vpt
from tests.reference.clip import inserting, overwriting
from tests.reference.descent import sgd
from tests.reference.task import Params, Plain
from torch import Tensor, nn
from torch.nn import functional as F

MODULES = {
    "block_qkv_weight": "attn.in_proj_weight",
    "block_qkv_bias": "attn.in_proj_bias",
    "block_out_weight": "attn.out_proj.weight",
    "block_out_bias": "attn.out_proj.bias",
    "block_norm1_weight": "ln_1.weight",
    "block_norm1_bias": "ln_1.bias",
    "block_norm2_weight": "ln_2.weight",
    "block_norm2_bias": "ln_2.bias",
    "block_up_weight": "up.weight",
    "block_up_bias": "up.bias",
    "block_down_weight": "down.weight",
    "block_down_bias": "down.bias",
}


class Block(nn.Module):
    """CLIP's ResidualAttentionBlock on (sequence, batch, width): one head, MLP of four widths, QuickGELU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.attn = nn.MultiheadAttention(width, 1)
        assert not self.attn.batch_first, "axis 0 is the sequence"
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        normal = self.ln_1(x)
        x = x + self.attn(normal, normal, normal, need_weights=False)[0]
        up = self.up(self.ln_2(x))
        return x + self.down(up * torch.sigmoid(1.702 * up))


def start(plain: Plain, drawn: Params, **settings: Any) -> Params:
    """Random tokens as CoOp and VPT draw theirs; biases of the attention at zero, norms at one."""
    vpt.start(plain, {"tokens": drawn["tokens"]})
    zeros = ("block_qkv_bias", "block_out_bias", "block_norm1_bias", "block_norm2_bias")
    ones = ("block_norm1_weight", "block_norm2_weight")
    known = {name: torch.zeros_like(drawn[name]) for name in zeros}
    return drawn | known | {name: torch.ones_like(drawn[name]) for name in ones}


def logits(
    plain: Plain, params: Params, pixels: Tensor, position: str = "end", attends: str = "alone", **settings: Any
) -> Tensor:
    visual = plain.clip.model.visual
    context, layers = mixed(params, attends)
    with inserting(visual, layers[0], "after_class", False), overwriting(visual.transformer.resblocks, layers, 1):
        images = plain.clip.image(pixels)
    return plain.clip.cosine_logits(images, plain.clip.encode(*coop.prompts(plain, context, position)))


def train(plain: Plain, begin: Params, learning_rate: float, weight_decay: float, **settings: Any) -> Params:
    def loss(params: Params, chosen: Tensor, seed: int) -> Tensor:
        scores = logits(plain, params, plain.train.pixels[chosen], **settings)
        return F.cross_entropy(scores, plain.train.labels[chosen])

    return sgd(plain, begin, list(begin), loss, learning_rate, weight_decay)


def mixed(params: Params, attends: str = "alone") -> tuple[Tensor, Tensor]:
    """The context (M, d_t) and the visual tokens (layers, n, d_v) that enter the towers."""
    context, tokens = params["context"], params["tokens"]
    joined = torch.cat([_map(params, "text_in", context), _map(params, "vision_in", tokens.flatten(0, 1))])
    length, width = joined.shape
    handed = joined.view(1, length, width) if attends == "alone" else joined.view(length, 1, width)
    block = Block(width).to(joined.dtype)
    weights = {theirs: params[ours] for ours, theirs in MODULES.items()}
    mixed = torch.func.functional_call(block, weights, (handed,)).view(length, width)
    back = _map(params, "text_out", mixed[: len(context)]), _map(params, "vision_out", mixed[len(context) :])
    return back[0], back[1].view(tokens.shape)


def _map(params: Params, name: str, x: Tensor) -> Tensor:
    return x @ params[f"{name}_weight"].T + params[f"{name}_bias"]
