"""What a method may do inside a frozen tower, as data: no tower ever names a method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.randomness import dropout

Part = Literal["q", "k", "v", "out", "fc", "proj"]
Sublayer = Literal["attention", "mlp"]
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
        pooled: of a tower of tokens: its features are the mean of the class token and of these tokens behind the last
            norm, instead of the class token alone.
    """

    layers: tuple[Tensor, ...]
    place: Literal["after_class", "end", "text"]
    before_norm: bool = False
    pooled: bool = False

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
class SidePath:
    """Approximated prompts beside a block's attention (APT; Wu et al., arXiv:2306.15706).

    They are never in the sequence: to what attention answers to a token h (normed, as attention reads it) they add
    w e, where e = ReLU(h keysᵀ) tokens, and w is the largest of these scores, held fixed. ``gain`` multiplies the sum.
    ``keys`` and ``tokens`` are (n, width).
    """

    keys: Tensor
    tokens: Tensor
    gain: Tensor | float = 1.0

    def __call__(self, given: Tensor, answered: Tensor) -> Tensor:
        """What goes on instead of ``answered`` (..., width), attention's answer to ``given`` (..., width)."""
        scores = (given @ self.keys.mT).relu()
        weight = scores.amax(-1, keepdim=True).detach()
        return (answered + weight * (scores @ self.tokens)) * self.gain


@dataclass(frozen=True)
class Apart:
    """Tokens that a block's attention reads apart from its sequence (DPL; arXiv:2308.10061).

    What a query gathers becomes ``share`` times what it gathers from the tokens, plus 1 - ``share`` times what it
    gathers from the sequence. The block's own first norm and frozen projections read them; they are not written to.

    Args:
        tokens: (n, width), or (N, n, width) of each row its own.
        share: a scalar in 0 .. 1.
    """

    tokens: Tensor
    share: Tensor


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
class Parallel:
    """A bottleneck beside a block's MLP: it reads the tokens h that enter the MLP's half, before the norm, and adds to
    what that half gives ``gain`` (act(h downᵀ + b) upᵀ + c) (AdaptFormer; Chen et al., arXiv:2205.13535).

    With ``queries`` (m, r) nothing is added to each token for itself: Z = softmax(queries Tᵀ / √r) T gathers from the
    hidden T = act(h downᵀ + b) of all tokens, and Z upᵀ is added to the m tokens from slot ``first`` on (DVPT).
    ``down`` is (r, width), ``up`` is (width, r), ``down_bias`` (r,) and ``up_bias`` (width,) or None for zero.
    """

    down: Tensor
    up: Tensor
    down_bias: Tensor | None = None
    up_bias: Tensor | None = None
    gain: Tensor | float = 1.0
    act: Callable[[Tensor], Tensor] = F.relu
    queries: Tensor | None = None
    first: int = 1

    def __call__(self, x: Tensor) -> Tensor:
        """(..., width) to what is added to it; with queries (..., tokens, width)."""
        hidden = x @ self.down.mT
        hidden = self.act(hidden if self.down_bias is None else hidden + self.down_bias)
        if self.queries is not None:
            scores = hidden @ self.queries.mT * self.queries.shape[-1] ** -0.5
            hidden = scores.mT.softmax(-1) @ hidden
        grown = hidden @ self.up.mT
        grown = (grown if self.up_bias is None else grown + self.up_bias) * self.gain
        if self.queries is None:
            return grown
        behind = x.shape[-2] - self.first - grown.shape[-2]
        return F.pad(grown, (0, 0, self.first, behind))


@dataclass(frozen=True)
class Edits:
    """All that one method changes in one tower.

    Attributes:
        tokens: that enter the sequence.
        deltas: low-rank changes by (layer, part).
        seed: of this training step, for dropout; None when evaluating.
        norms: what is added to LayerNorms, by place.
        biases: (outputs,) what is added to the bias of a projection, by (layer, part).
        weights: (outputs, inputs) what the weight of a projection is multiplied by, number by number.
        sides: what joins attention's answer, by layer.
        apart: what attention reads beside the sequence, by layer.
        adapters: bottlenecks behind sublayers, by (layer, sublayer).
        parallel: bottlenecks beside the MLP, by layer; of the image tower alone.
    """

    tokens: TokenPlan | None = None
    deltas: Mapping[tuple[int, Part], LowRank] = field(default_factory=dict)
    seed: Tensor | None = None
    norms: Mapping[NormPlace, NormShift] = field(default_factory=dict)
    biases: Mapping[tuple[int, Part], Tensor] = field(default_factory=dict)
    weights: Mapping[tuple[int, Part], Tensor] = field(default_factory=dict)
    sides: Mapping[int, SidePath] = field(default_factory=dict)
    apart: Mapping[int, Apart] = field(default_factory=dict)
    adapters: Mapping[tuple[int, Sublayer], Adapter] = field(default_factory=dict)
    parallel: Mapping[int, Parallel] = field(default_factory=dict)

    @property
    def inside(self) -> bool:
        """Whether blocks work otherwise than frozen: what was worked out for frozen blocks does not hold then."""
        blocks = (
            self.deltas,
            self.norms,
            self.biases,
            self.weights,
            self.sides,
            self.apart,
            self.adapters,
            self.parallel,
        )
        return any(blocks)
