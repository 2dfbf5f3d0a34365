"""Edits of a tower of tokens that not only dual encoders know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.edits import Edits

Sublayer = Literal["attention", "mlp"]


@dataclass(frozen=True)
class Adapter:
    """A bottleneck behind a sublayer, before its residual sum: h + act(h downᵀ + b) upᵀ + c (Houlsby et al., 2019).

    ``down`` is (r, width), ``up`` is (width, r), ``down_bias`` (r,) and ``up_bias`` (width,) or None for zero.
    """

    down: Tensor
    up: Tensor
    down_bias: Tensor | None = None
    up_bias: Tensor | None = None
    act: Callable[[Tensor], Tensor] = F.gelu

    def __call__(self, x: Tensor) -> Tensor:
        """(..., width) to (..., width)."""
        hidden = x @ self.down.mT
        grown = self.act(hidden if self.down_bias is None else hidden + self.down_bias) @ self.up.mT
        return x + (grown if self.up_bias is None else grown + self.up_bias)


@dataclass(frozen=True)
class TowerEdits(Edits):
    """All that one method changes in a tower of tokens.

    Attributes:
        adapters: by (layer, sublayer).
    """

    adapters: Mapping[tuple[int, Sublayer], Adapter] = field(default_factory=dict)
