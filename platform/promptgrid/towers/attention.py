"""Scaled dot-product attention that keeps its kernel under vmap, and its speed in half precision on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.engine.training.halves import asked
from promptgrid.towers.folding import over_cells


def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, causal: bool = False) -> Tensor:
    """(N, heads, L, d) queries and (N, heads, M, d) keys and values to (N, heads, L, d).

    Attention has no batching rule on the CPU: under vmap torch would loop over the cells. Here the cell axis is folded
    into N, which is the same arithmetic in one kernel. ``mask`` (N, 1, L, M) is added to the scores.
    """

    def program(*cells: Tensor) -> Tensor:
        q, k, v, *masks = (x.flatten(0, 1) for x in cells)
        return gathered(q, k, v, masks[0] if masks else None, causal).view(cells[0].shape)

    return over_cells(program, query, key, value, *([] if mask is None else [mask]))


def gathered(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, causal: bool = False) -> Tensor:
    """The same outside of ``vmap``."""
    half = asked(query.device)
    if half is None or query.device.type != "cpu":
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=causal)
    return _by_products(query.to(half), key.to(half), value.to(half), mask, causal)


def _by_products(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    """By two plain products: the backward pass of torch's kernel is four times slower in bf16 than these on a CPU."""
    scores = (query * query.shape[-1] ** -0.5) @ key.mT
    if causal:
        mask = scores.new_full(scores.shape[-2:], -torch.inf).triu(1)
    if mask is not None:
        scores = scores + mask.to(scores.dtype)
    mixed: Tensor = scores.softmax(-1) @ value
    return mixed
