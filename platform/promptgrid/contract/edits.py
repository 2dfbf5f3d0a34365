"""What a method may do inside a frozen tower, as data: no tower ever names a method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from promptgrid.contract.randomness import dropout

Part = Literal["q", "k", "v", "out", "fc", "proj"]
NormPlace = tuple[int, Literal["first", "second"]] | Literal["pre", "post"]
"""A block's two LayerNorms, ``pre``: the image tower's before its first block, ``post``: behind the last block."""


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
class NormShift:
    """What is added to the weight and to the bias of a LayerNorm, each (width,); None adds nothing."""

    weight: Tensor | None = None
    bias: Tensor | None = None

    def of(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """The weight and the bias to norm with, from the frozen ones."""
        return (
            weight if self.weight is None else weight + self.weight,
            bias if self.bias is None else bias + self.bias,
        )


@dataclass(frozen=True)
class Edits:
    """All that one method changes in one tower: token insertions, deltas by (layer, part), norms by place."""

    tokens: TokenPlan | None = None
    deltas: Mapping[tuple[int, Part], LowRank] = field(default_factory=dict)
    seed: Tensor | None = None
    norms: Mapping[NormPlace, NormShift] = field(default_factory=dict)

    @property
    def inside(self) -> bool:
        """Whether blocks work otherwise than frozen: what was worked out for frozen blocks does not hold then."""
        return bool(self.deltas or self.norms)
