"""Tokens without the padding between them: most of a block works token by token, and texts differ in length."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

WORTH = 0.9
"""Padding is left out where tokens are a smaller share than this of the places."""


@dataclass(frozen=True)
class Rows:
    """B rows of L places, and where in them tokens stand.

    Attributes:
        batch: B.
        length: L.
        places: (T,) of the tokens in the flattened rows; None where rows keep their padding.
    """

    batch: int
    length: int
    places: Tensor | None

    @classmethod
    def of(cls, mask: Tensor) -> Rows:
        """Of (B, L), False at padding.

        How many tokens there are is a shape, so it must be known: under ``torch.func.vmap`` cells differ in it, and a
        GPU would have to be waited for. Both keep their padding.
        """
        batch, length = mask.shape
        if mask.device.type != "cpu" or torch._C._functorch.is_batchedtensor(mask):
            return cls(batch, length, None)
        places = mask.flatten().nonzero().squeeze(1)
        return cls(batch, length, places if len(places) < WORTH * mask.numel() else None)

    def closed(self, x: Tensor) -> Tensor:
        """(B, L, d) to (1, T, d), padding left out."""
        return x if self.places is None else x.flatten(0, 1).index_select(0, self.places).unsqueeze(0)

    def opened(self, x: Tensor) -> Tensor:
        """(1, T, d) to (B, L, d), zeros at padding."""
        if self.places is None:
            return x
        rows = x.new_zeros(self.batch * self.length, x.shape[-1]).index_copy(0, self.places, x.squeeze(0))
        return rows.view(self.batch, self.length, -1)
