"""Layers of graph towers in plain torch over links: GIN, GCN, GraphSAGE, and a GPS-like one with attention.

Each reads weights by name below a prefix and gives (B, M, width) states.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.towers.attention import attention
from promptgrid.tracks.graph.seen import Seen

Weights = Mapping[str, Tensor]
HEADS = 4
HIDDEN = -1e9
"""Added to attention scores at padding."""


def linear(own: str, states: Tensor, weights: Weights) -> Tensor:
    """W x + b; without b where there is none."""
    return F.linear(states, weights[f"{own}weight"], weights.get(f"{own}bias"))


def norm(own: str, states: Tensor, weights: Weights) -> Tensor:
    """LayerNorm over each node's numbers."""
    weight = weights[f"{own}weight"]
    return F.layer_norm(states, weight.shape, weight, weights[f"{own}bias"])


def gin(own: str, states: Tensor, seen: Seen, weights: Weights) -> Tensor:
    """MLP(h_v + sum of neighbours), eps 0. Source: Xu et al., ICLR 2019, equation 4.1."""
    inner = torch.relu(linear(f"{own}inner.", states + seen.summed(states), weights))
    return linear(f"{own}outer.", inner, weights)


def gcn(own: str, states: Tensor, seen: Seen, weights: Weights) -> Tensor:
    """D^-1/2 (A + I) D^-1/2 H W. Source: Kipf and Welling, ICLR 2017, equation 2."""
    return linear(own, propagated(states, seen), weights)


def propagated(states: Tensor, seen: Seen) -> Tensor:
    """D^-1/2 (A + I) D^-1/2 H, D the degrees with the node itself."""
    root = (seen.degrees + 1.0).rsqrt()
    return root * (seen.summed(root * states) + root * states)


def sage(own: str, states: Tensor, seen: Seen, weights: Weights) -> Tensor:
    """W_1 h_v + W_2 mean of neighbours. Source: Hamilton et al., NeurIPS 2017, with the mean aggregator."""
    around = seen.summed(states) / seen.degrees.clamp(min=1.0)
    return linear(f"{own}self.", states, weights) + linear(f"{own}around.", around, weights)


def gps(own: str, states: Tensor, seen: Seen, weights: Weights) -> Tensor:
    """Norm(h + SAGE(h)) + Norm(h + attention(h)) = z; Norm(z + MLP(z)).

    Source: Rampasek et al., NeurIPS 2022, with LayerNorm in the place of BatchNorm.
    """
    local = norm(f"{own}norm_local.", states + sage(f"{own}local.", states, seen, weights), weights)
    parts = linear(f"{own}qkv.", states, weights)
    parts = parts.view(*parts.shape[:-1], 3, HEADS, -1)
    query, key, value = (parts[..., at, :, :].transpose(1, 2) for at in range(3))
    hidden = torch.where(seen.there, 0.0, HIDDEN)[:, None, None, :].to(states.dtype)
    mask = hidden.expand(-1, 1, states.shape[1], -1)
    far = attention(query, key, value, mask).transpose(1, 2).flatten(2)
    wide = norm(f"{own}norm_far.", states + linear(f"{own}far.", far, weights), weights)
    inner = torch.relu(linear(f"{own}inner.", local + wide, weights))
    return norm(f"{own}norm_out.", local + wide + linear(f"{own}outer.", inner, weights), weights)


LAYERS: Mapping[str, Callable[[str, Tensor, Seen, Weights], Tensor]] = {
    "gin": gin, "gcn": gcn, "sage": sage, "gps": gps
}  # fmt: skip
