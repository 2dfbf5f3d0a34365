"""The transformer blocks of open_clip, run as functions of their frozen weights, open to edits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from promptgrid.contract.clip import Edits
from promptgrid.contract.edits import Part, Sublayer
from promptgrid.engine.training.halves import frozen, rounded
from promptgrid.towers.attention import attention
from promptgrid.towers.edited import Frozen, normed, projected, weighted

_Step = Callable[[Tensor], Tensor]
QKV: tuple[Part, ...] = ("q", "k", "v")


@dataclass(frozen=True)
class Block:
    """One pre-norm residual block: the frozen weights, and where edits may join them."""

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
        return F.linear(x, frozen(self.in_weight)[first:end], frozen(self.in_bias)[first:end])

    def heads_first(self, x: Tensor) -> Tensor:
        """(N, L, width) to (N, heads, L, width / heads)."""
        return x.view(*x.shape[:-1], self.heads, -1).transpose(1, 2)

    def after(
        self, x: Tensor, mixed: Tensor, layer: int = 0, edits: Edits | None = None, given: Tensor | None = None
    ) -> Tensor:
        """Tokens behind the block, from those before it, what attention gathered for them and what it was ``given``."""
        answered = projected(mixed, _weights(self.out), (layer, "out"), edits)
        if edits is not None and layer in edits.sides and given is not None:
            answered = edits.sides[layer](given, answered)
        x = x + self.scale1(_adapted(answered, layer, "attention", edits))
        normal = rounded(normed(self.norm2, x, (layer, "second"), edits))
        hidden = self.act(projected(normal, _weights(self.fc), (layer, "fc"), edits))
        narrowed = projected(hidden, _weights(self.proj), (layer, "proj"), edits)
        behind = x + self.scale2(_adapted(narrowed, layer, "mlp", edits))
        return behind if edits is None or layer not in edits.parallel else behind + edits.parallel[layer](x)

    def __call__(self, x: Tensor, layer: int, causal: bool, edits: Edits | None) -> Tensor:
        """(N, L, width) to (N, L, width)."""
        given = rounded(normed(self.norm1, x, (layer, "first"), edits))
        query, key, value = (self.heads_first(part) for part in self._projected(given, layer, edits))
        mixed = self._joined(query, attention(query, key, value, causal=causal), layer, edits)
        return self.after(x, mixed.transpose(1, 2).flatten(-2), layer, edits, given)

    def pooled(self, x: Tensor, places: Tensor, layer: int, causal: bool, edits: Edits | None) -> Tensor:
        """The block for one token of each row alone: (N, L, width) and its place (N,) to (N, width)."""
        rows, length = torch.arange(len(places), device=x.device), x.shape[1]
        given = rounded(normed(self.norm1, x, (layer, "first"), edits))
        asked, key, value = self._projected(given, layer, edits, (rows, places))
        mask = None
        if causal:
            later = torch.arange(length, device=x.device) > places[:, None, None, None]
            mask = x.new_zeros(later.shape).masked_fill(later, -torch.inf)
        query = self.heads_first(asked.unsqueeze(1))
        mixed = attention(query, self.heads_first(key), self.heads_first(value), mask)
        mixed = self._joined(query, mixed, layer, edits)
        return self.after(x[rows, places], mixed.flatten(1), layer, edits, given[rows, places])

    def _projected(
        self, x: Tensor, layer: int, edits: Edits | None, asking: tuple[Tensor, Tensor] | None = None
    ) -> list[Tensor]:
        """Queries, keys and values of normed tokens; queries of the tokens at ``asking`` alone, if that is given."""
        asked = x if asking is None else x[asking]
        if edits is not None and any((layer, name) in edits.weights for name in QKV):
            frozen = list(zip(self.in_weight.chunk(3), self.in_bias.chunk(3), strict=True))
            read = (asked, x, x)
            parts = [weighted(read[i], frozen[i], (layer, name), edits) for i, name in enumerate(QKV)]
        elif asking is None:
            parts = list(self.project(x, "qkv").chunk(3, dim=-1))
        else:
            parts = [self.project(asked, "q"), *self.project(x, "kv").chunk(2, dim=-1)]
        for i, name in enumerate(QKV if edits is not None else ()):
            assert edits is not None
            if (layer, name) in edits.deltas:
                more = edits.deltas[layer, name](x, edits.seed)  # of all tokens, so that dropout draws as it always did
                parts[i] = parts[i] + (more if asking is None or name != "q" else more[asking])
            if (layer, name) in edits.biases:
                parts[i] = parts[i] + edits.biases[layer, name]
        return parts

    def _joined(self, query: Tensor, mixed: Tensor, layer: int, edits: Edits | None) -> Tensor:
        """``mixed``, what (N, heads, L, d) queries gathered, with what they gather from tokens that stand apart."""
        if edits is None or layer not in edits.apart:
            return mixed
        own = edits.apart[layer]
        read = self.project(normed(self.norm1, own.tokens, (layer, "first"), edits), "kv")
        key, value = (self.heads_first(part.expand(mixed.shape[0], -1, -1)) for part in read.chunk(2, dim=-1))
        return own.share * attention(query, key, value) + (1.0 - own.share) * mixed


def _adapted(x: Tensor, layer: int, sublayer: Sublayer, edits: Edits | None) -> Tensor:
    """What a sublayer answers, behind its adapter."""
    return x if edits is None or (layer, sublayer) not in edits.adapters else edits.adapters[layer, sublayer](x)


def _weights(linear: nn.Linear) -> Frozen:
    return linear.weight, linear.bias
