"""The transformer blocks of open_clip, run as functions of their frozen weights, open to edits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from promptgrid.contract import Edits
from promptgrid.contract.edits import NormPlace, Part
from promptgrid.tracks.image.backbones.attention import attention

_Step = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Block:
    """One pre-norm residual block: the frozen weights, and where a delta may join them."""

    norm1: nn.LayerNorm
    in_weight: Tensor
    in_bias: Tensor
    out: nn.Linear
    scale1: _Step
    norm2: nn.LayerNorm
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

    def project(self, x: Tensor, parts: Literal["qkv", "kv", "q"]) -> Tensor:
        """(..., width) normed tokens to their queries, keys and values, side by side."""
        width = x.shape[-1]
        first, end = (width if parts == "kv" else 0), (width if parts == "q" else 3 * width)
        return F.linear(x, self.in_weight[first:end], self.in_bias[first:end])

    def heads_first(self, x: Tensor) -> Tensor:
        """(N, L, width) to (N, heads, L, width / heads)."""
        return x.view(*x.shape[:-1], self.heads, -1).transpose(1, 2)

    def after(self, x: Tensor, mixed: Tensor, layer: int = 0, edits: Edits | None = None) -> Tensor:
        """Tokens behind the block, from those before it and what attention gathered for them."""
        x = x + self.scale1(_project(mixed, self.out, layer, "out", edits))
        hidden = self.act(_project(normed(self.norm2, x, (layer, "second"), edits), self.fc, layer, "fc", edits))
        return x + self.scale2(_project(hidden, self.proj, layer, "proj", edits))

    def __call__(self, x: Tensor, layer: int, causal: bool, edits: Edits | None) -> Tensor:
        """(N, L, width) to (N, L, width)."""
        given = normed(self.norm1, x, (layer, "first"), edits)
        query, key, value = self._projected(given, layer, edits)
        first = self.heads_first
        mixed = attention(first(query), first(key), first(value), causal=causal)
        return self.after(x, mixed.transpose(1, 2).flatten(-2), layer, edits)

    def pooled(self, x: Tensor, places: Tensor, layer: int, causal: bool, edits: Edits | None) -> Tensor:
        """The block for one token of each row alone: (N, L, width) and its place (N,) to (N, width)."""
        rows, length = torch.arange(len(places), device=x.device), x.shape[1]
        given = normed(self.norm1, x, (layer, "first"), edits)
        query, key, value = self._projected(given, layer, edits, (rows, places))
        mask = None
        if causal:
            later = torch.arange(length, device=x.device) > places[:, None, None, None]
            mask = x.new_zeros(later.shape).masked_fill(later, -torch.inf)
        first = self.heads_first
        mixed = attention(first(query.unsqueeze(1)), first(key), first(value), mask)
        return self.after(x[rows, places], mixed.flatten(1), layer, edits)

    def _projected(
        self, x: Tensor, layer: int, edits: Edits | None, asking: tuple[Tensor, Tensor] | None = None
    ) -> list[Tensor]:
        """Queries, keys and values of normed tokens; queries of the tokens at ``asking`` alone, if that is given."""
        deltas = {} if edits is None else edits.deltas
        seed = None if edits is None else edits.seed
        if asking is None:
            parts = list(self.project(x, "qkv").chunk(3, dim=-1))
        else:
            parts = [self.project(x[asking], "q"), *self.project(x, "kv").chunk(2, dim=-1)]
        names: tuple[Part, ...] = ("q", "k", "v")
        for i, name in enumerate(names):
            if (layer, name) in deltas:
                more = deltas[layer, name](x, seed)  # of all tokens, so that dropout draws as it always did
                parts[i] = parts[i] + (more if asking is None or name != "q" else more[asking])
        return parts


def normed(norm: nn.LayerNorm, x: Tensor, place: NormPlace, edits: Edits | None) -> Tensor:
    """``x`` (..., width) behind the LayerNorm that stands at ``place``."""
    if edits is None or place not in edits.norms:
        frozen: Tensor = norm(x)
        return frozen
    weight, bias = edits.norms[place].of(norm.weight, norm.bias)
    return F.layer_norm(x, norm.normalized_shape, weight, bias, norm.eps).to(x.dtype)


def _project(x: Tensor, linear: nn.Linear, layer: int, part: Part, edits: Edits | None) -> Tensor:
    y = F.linear(x, linear.weight, linear.bias)
    if edits is not None and (layer, part) in edits.deltas:
        y = y + edits.deltas[layer, part](x, edits.seed)
    return y
