"""What enters the blocks of a prompted image tower, and its statistics over images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from promptgrid.contract.clip import Backbone, Edits, TokenPlan


def entering(backbone: Backbone, patches: Tensor, prompts: Sequence[Tensor], blocks: int) -> Tensor:
    """(B, blocks, tokens, vision width): what enters the first ``blocks`` of the image tower, prompts last.

    Args:
        backbone: whose tower it is.
        patches: (B, P, vision width).
        prompts: (n, vision width) of each prompted block, appended before ``ln_pre``, overwritten in later blocks.
        blocks: how many.
    """
    edits = Edits(tokens=TokenPlan(tuple(prompts), "end", before_norm=True))
    behind = backbone.image_tokens(patches, edits, range(-1, blocks - 1))
    found = [behind[:, 0]]
    for block in range(1, behind.shape[1]):
        own = behind[:, block]
        if block < len(prompts):
            fresh = prompts[block].expand(len(own), -1, -1)
            own = torch.cat([own[:, : -fresh.shape[1]], fresh], dim=1)
        found.append(own)
    return torch.stack(found, dim=1)


def moments(chunks: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and variance over the rows of all ``chunks`` together, number by number, in float64."""
    sums, squares, count = [], [], 0
    for chunk in chunks:
        seen = chunk.double()
        sums.append(seen.sum(0))
        squares.append((seen * seen).sum(0))
        count += len(seen)
    mean, square = (torch.stack(parts).sum(0) / count for parts in (sums, squares))
    return mean, (square - mean * mean).clamp_min(0.0)
