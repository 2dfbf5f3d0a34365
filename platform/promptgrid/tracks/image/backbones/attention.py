"""Scaled dot-product attention that keeps its kernel under vmap."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from promptgrid.tracks.image.backbones.folding import over_cells


def attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None, causal: bool = False) -> Tensor:
    """(N, heads, L, d) queries and (N, heads, M, d) keys and values to (N, heads, L, d).

    Attention has no batching rule on the CPU: under vmap torch would loop over the cells. Here the cell axis is folded
    into N, which is the same arithmetic in one kernel. ``mask`` (N, 1, L, M) is added to the scores.
    """

    def program(*cells: Tensor) -> Tensor:
        q, k, v, *masks = (x.flatten(0, 1) for x in cells)
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=masks[0] if masks else None, is_causal=causal)
        return mixed.view(cells[0].shape)

    return over_cells(program, query, key, value, *([] if mask is None else [mask]))
