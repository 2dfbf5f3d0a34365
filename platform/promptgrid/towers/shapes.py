"""A tower of tokens by its sizes alone: what a method learns on it can be counted without any weights."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from promptgrid.contract.edits import Edits, NormPlace
from promptgrid.contract.task import Batch


class TowerShapes:
    """A tower of ``layers`` blocks on ``length`` tokens that has sizes and nothing else; weights take no memory."""

    prompt_place: Literal["end"] = "end"

    def __init__(self, width: int, layers: int, length: int, joint: int = 0) -> None:
        self.projection = torch.zeros(width, joint)
        self.width, self.layers, self.mlp_width, self._length = width, layers, 4 * width, length
        blocks: list[NormPlace] = [(layer, which) for layer in range(layers) for which in ("first", "second")]
        self.norms: tuple[NormPlace, ...] = ("pre", *blocks, "post")

    def weights(self) -> dict[str, Tensor]:
        """Every tensor from a first token and positions to the last norm, on the device ``meta``."""
        d, wide = self.width, self.mlp_width
        block = {"in": (3 * d, d), "in_bias": (3 * d,), "out": (d, d), "out_bias": (d,), "fc": (wide, d),
                 "fc_bias": (wide,), "proj": (d, wide), "proj_bias": (d,)}  # fmt: skip
        sizes: dict[str, tuple[int, ...]] = {"class": (d,), "positions": (self._length, d)}
        sizes |= {f"{place}.{part}": (d,) for place in self.norms for part in ("weight", "bias")}
        sizes |= {f"{layer}.{name}": size for layer in range(self.layers) for name, size in block.items()}
        return {name: torch.zeros(size, device="meta") for name, size in sizes.items()}

    def features(self, batch: Batch, edits: Edits | None = None, weights: object = None) -> Tensor:
        """(B, width) zeros."""
        return torch.zeros(len(batch), self.width)
