"""What methods see of a frozen tower of tokens, whatever its tokens are of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

from torch import Tensor

from promptgrid.contract.edits import Edits, NormPlace
from promptgrid.contract.task import Batch


class TokenTower(Protocol):
    """Tokens of a batch in, features out; a task offers its own as ``task.tower``.

    Every verb works under ``torch.func.vmap`` over a leading cell axis of edits and weights.
    """

    @property
    def width(self) -> int:
        """Of tokens and of features."""

    @property
    def layers(self) -> int:
        """Blocks."""

    @property
    def mlp_width(self) -> int:
        """Of the hidden layer of a block's MLP."""

    @property
    def norms(self) -> tuple[NormPlace, ...]:
        """The LayerNorms it has."""

    @property
    def prompt_place(self) -> Literal["after_class", "end", "text"]:
        """Where learned tokens stand in its sequence, for :class:`promptgrid.contract.edits.TokenPlan`."""

    def weights(self) -> Mapping[str, Tensor]:
        """The frozen tensors that features are made with, by name."""

    def features(self, batch: Batch, edits: Edits | None = None, weights: Mapping[str, Tensor] | None = None) -> Tensor:
        """(B, width) pooled features of the examples, not normalised.

        Args:
            batch: with the columns that this tower reads.
            edits: deep tokens (all of ``tokens.layers``, the first too), deltas, biases, norms, adapters.
            weights: in place of frozen ones of the same name.
        """
