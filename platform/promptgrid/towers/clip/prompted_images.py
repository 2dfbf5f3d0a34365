"""Image features under learned tokens, without what nobody reads.

Where the next block brings fresh tokens, or there is no next block, the outputs of this block's tokens are discarded:
they are keys and values only, and these do not depend on the image. The last block works for the class token alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from promptgrid.engine.training.halves import rounded
from promptgrid.towers.attention import gathered
from promptgrid.towers.blocks import Block
from promptgrid.towers.clip.towers import ImageTower


@dataclass(frozen=True)
class PromptedImages:
    """An image tower with fresh tokens before its first blocks; behind them the last ones propagate.

    Args:
        tower: pooled at its class token.
        before_norm: whether the first tokens go through ``ln_pre``.

    Where the tokens stand among the patches does not matter: they carry no position, and attention knows no order.
    """

    tower: ImageTower
    before_norm: bool

    def __call__(self, patches: Tensor, *fresh: Tensor) -> Tensor:
        """Features (K, B, joint width) of K cells with B images each.

        Args:
            patches: (K, B, P, width).
            fresh: one (K, n, width) a layer, from the first on.
        """
        cells, images = patches.shape[:2]
        x = self.tower.source.ln_pre(self.tower.tokens(patches.flatten(0, 1)))
        *blocks, last = self.tower.blocks
        for layer, block in enumerate(blocks):
            tokens = self._entering(fresh, layer)
            if tokens is None:
                x = block(x, layer, False, None)
            elif layer + 1 < len(fresh):
                x = _beside(block, x, x, tokens)
            else:
                x = block(torch.cat([x, _each(tokens, images)], dim=1), layer, False, None)
        tokens = self._entering(fresh, len(blocks))
        first = x[:, :1]
        if tokens is None:
            tokens = x.new_zeros(cells, 0, x.shape[-1])
        return self.tower.pooled(_beside(last, first, x, tokens)[:, 0]).view(cells, images, -1)

    def _entering(self, fresh: tuple[Tensor, ...], layer: int) -> Tensor | None:
        if layer >= len(fresh):
            return None
        tokens: Tensor = self.tower.source.ln_pre(fresh[layer]) if layer == 0 and self.before_norm else fresh[layer]
        return tokens


def _beside(block: Block, asking: Tensor, x: Tensor, tokens: Tensor) -> Tensor:
    """``asking`` (K B, a, width), the first of ``x``, behind a block that also sees ``tokens`` (K, n, width)."""
    normed, count = rounded(block.norm1(x)), asking.shape[1]
    if count == x.shape[1]:
        query, own_key, own_value = block.project(normed, "qkv").chunk(3, dim=-1)
    else:
        query = block.project(normed[:, :count], "q")
        own_key, own_value = block.project(normed, "kv").chunk(2, dim=-1)
    once_key, once_value = block.project(block.norm1(tokens), "kv").chunk(2, dim=-1)
    images, first = len(x) // len(tokens), block.heads_first
    key = first(torch.cat([own_key, _each(once_key, images)], dim=1))
    value = first(torch.cat([own_value, _each(once_value, images)], dim=1))
    mixed = gathered(first(query), key, value)
    return block.after(asking, mixed.transpose(1, 2).flatten(-2))


def _each(tokens: Tensor, images: int) -> Tensor:
    """(K, n, width) to (K B, n, width): the same for every image of a cell."""
    return tokens.unsqueeze(1).expand(-1, images, -1, -1).flatten(0, 1)
