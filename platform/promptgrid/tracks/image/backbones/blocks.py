"""The transformer blocks of open_clip, run as functions of their frozen weights, open to edits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from promptgrid.contract import Edits
from promptgrid.contract.edits import Part
from promptgrid.tracks.image.backbones.attention import attention

_Step = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Block:
    """One pre-norm residual block: the frozen weights, and where a delta may join them."""

    norm1: _Step
    in_weight: Tensor
    in_bias: Tensor
    out: nn.Linear
    scale1: _Step
    norm2: _Step
    fc: nn.Linear
    act: _Step
    proj: nn.Linear
    scale2: _Step
    heads: int

    @classmethod
    def of(cls, block: Any) -> Block:
        """The weights of an open_clip ``ResidualAttentionBlock``.

        Raises:
            TypeError: a block of another kind, which we do not reach into.
        """
        attn = getattr(block, "attn", None)
        kind = type(block).__name__
        if not isinstance(attn, nn.MultiheadAttention) or kind != "ResidualAttentionBlock":
            raise TypeError(f"cannot reach into a {kind} with {type(attn).__name__}")
        if attn.in_proj_weight is None or attn.in_proj_bias is None:
            raise TypeError("cannot reach into attention without one packed, biased input projection")
        return cls(
            norm1=block.ln_1,
            in_weight=attn.in_proj_weight,
            in_bias=attn.in_proj_bias,
            out=attn.out_proj,
            scale1=block.ls_1,
            norm2=block.ln_2,
            fc=block.mlp.c_fc,
            act=block.mlp.gelu,
            proj=block.mlp.c_proj,
            scale2=block.ls_2,
            heads=attn.num_heads,
        )

    def __call__(self, x: Tensor, layer: int, causal: bool, edits: Edits | None) -> Tensor:
        """(N, L, width) to (N, L, width)."""
        x = x + self.scale1(self._attend(self.norm1(x), layer, causal, edits))
        hidden = self.act(_project(self.norm2(x), self.fc, layer, "fc", edits))
        return x + self.scale2(_project(hidden, self.proj, layer, "proj", edits))

    def _attend(self, x: Tensor, layer: int, causal: bool, edits: Edits | None) -> Tensor:
        parts = list(F.linear(x, self.in_weight, self.in_bias).chunk(3, dim=-1))
        names: tuple[Part, ...] = ("q", "k", "v")
        for i, name in enumerate(names):
            if edits is not None and (layer, name) in edits.deltas:
                parts[i] = parts[i] + edits.deltas[layer, name](x, edits.seed)
        split = [part.reshape(*part.shape[:-1], self.heads, -1).transpose(1, 2) for part in parts]
        mixed = attention(split[0], split[1], split[2], causal).transpose(1, 2).flatten(-2)
        return _project(mixed, self.out, layer, "out", edits)


def _project(x: Tensor, linear: nn.Linear, layer: int, part: Part, edits: Edits | None) -> Tensor:
    y = F.linear(x, linear.weight, linear.bias)
    if edits is not None and (layer, part) in edits.deltas:
        y = y + edits.deltas[layer, part](x, edits.seed)
    return y
