"""Scaled dot-product attention that keeps its kernel under vmap."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


def attention(query: Tensor, key: Tensor, value: Tensor, causal: bool) -> Tensor:
    """(N, heads, L, d) queries, keys and values to (N, heads, L, d).

    Attention has no batching rule on the CPU: under vmap torch would loop over the cells. Here the cell axis is folded
    into N, which is the same arithmetic in one kernel.
    """
    if any(torch._C._functorch.is_batchedtensor(x) for x in (query, key, value)):
        folded: Tensor = _Folded.apply(query, key, value, causal)  # type: ignore[no-untyped-call]
        return folded
    return F.scaled_dot_product_attention(query, key, value, is_causal=causal)


class _Folded(torch.autograd.Function):
    """Only its batching rule ever runs: it is entered under vmap alone, and autograd sees what the rule calls."""

    @staticmethod
    def forward(query: Tensor, key: Tensor, value: Tensor, causal: bool) -> Tensor:
        return F.scaled_dot_product_attention(query, key, value, is_causal=causal)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs[:3])
        ctx.causal = inputs[3]

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        with torch.enable_grad():
            inputs = [x.detach().requires_grad_() for x in ctx.saved_tensors]
            output = F.scaled_dot_product_attention(inputs[0], inputs[1], inputs[2], is_causal=ctx.causal)
        return (*torch.autograd.grad(output, inputs, grads[0]), None)

    @staticmethod
    def vmap(info: Any, in_dims: Any, query: Tensor, key: Tensor, value: Tensor, causal: bool) -> tuple[Tensor, int]:
        cells = info.batch_size
        folded = [_fold(x, dim, cells) for x, dim in zip((query, key, value), in_dims[:3], strict=True)]
        output = attention(folded[0], folded[1], folded[2], causal)
        return output.reshape(cells, -1, *output.shape[1:]), 0


def _fold(x: Tensor, dim: int | None, cells: int) -> Tensor:
    """(cells * N, heads, L, d) of a tensor batched at ``dim`` or shared by all cells."""
    x = x.unsqueeze(0).expand(cells, *x.shape) if dim is None else x.movedim(dim, 0)
    return x.flatten(0, 1)
