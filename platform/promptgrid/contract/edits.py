"""What a method may do inside a frozen tower, as data: no tower ever names a method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from promptgrid.contract.randomness import dropout

Part = Literal["q", "k", "v", "out", "fc", "proj"]


@dataclass(frozen=True)
class TokenPlan:
    """Prompt tokens that live in a tower's blocks.

    Args:
        layers: one (tokens, width) tensor a layer: ``layers[0]`` enters before block 0, ``layers[l]`` overwrites the
            same slots before block ``l``; after the last, the tokens propagate.
        place: ``after_class`` (image tower, behind CLS), ``end`` (image tower, behind the patches) or ``text`` (text
            tower, slots 1..n: the prompt already holds ``layers[0]``, which is ignored here).
        before_norm: image tower: insert before ``ln_pre`` (and after positions) instead of behind it.
    """

    layers: tuple[Tensor, ...]
    place: Literal["after_class", "end", "text"]
    before_norm: bool = False

    @property
    def count(self) -> int:
        """Tokens a layer."""
        return int(self.layers[0].shape[-2])


@dataclass(frozen=True)
class LowRank:
    """A weight delta ``scale * up @ down`` on one projection, applied to its input (LoRA; Hu et al., 2021).

    ``down`` is (rank, inputs), ``up`` is (outputs, rank). ``rate`` drops inputs while training.
    """

    down: Tensor
    up: Tensor
    scale: Tensor | float = 1.0
    rate: float = 0.0
    salt: int = 0

    def __call__(self, x: Tensor, seed: Tensor | None) -> Tensor:
        """What the delta adds to the projection of ``x`` (..., inputs): (..., outputs)."""
        return (dropout(x, self.rate, seed, self.salt) @ self.down.mT) @ self.up.mT * self.scale


@dataclass(frozen=True)
class Edits:
    """All that one method changes in one tower: token insertions and deltas by (layer, part)."""

    tokens: TokenPlan | None = None
    deltas: Mapping[tuple[int, Part], LowRank] = field(default_factory=dict)
    seed: Tensor | None = None
