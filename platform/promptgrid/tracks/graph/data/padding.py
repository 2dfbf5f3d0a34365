"""Examples side by side: padded nodes, links and categories."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from promptgrid.tracks.graph.datasets.graph import Example
from promptgrid.tracks.graph.seen import NONE


def padded(examples: Sequence[Example], most: int, links: int = 0) -> dict[str, Tensor]:
    """``nodes`` (B, ``most``), ``links`` (B, E, 2) and perhaps ``kinds`` (B, E, 2), ``NONE`` at padding.

    E is that of the example with the most links, at least ``links`` and at least 1.
    """
    wide = max([1, links, *(len(one.links) for one in examples)])
    found = {"nodes": torch.full((len(examples), most), NONE), "links": torch.full((len(examples), wide, 2), NONE)}
    if any(one.kinds is not None for one in examples):
        found["kinds"] = torch.zeros(len(examples), wide, 2, dtype=torch.int64)
    for row, one in enumerate(examples):
        found["nodes"][row, : len(one.nodes)] = torch.from_numpy(one.nodes)
        found["links"][row, : len(one.links)] = torch.from_numpy(one.links)
        if one.kinds is not None:
            found["kinds"][row, : len(one.links)] = torch.from_numpy(one.kinds)
    return found


def features_of(nodes: Tensor, table: Tensor) -> Tensor:
    """(..., M, d) rows of ``table`` (N, d) for ``nodes`` (..., M), zeros at padding."""
    return table[nodes.clamp(min=0)] * (nodes >= 0).unsqueeze(-1)
