"""A text backbone as methods on any tower of tokens see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from promptgrid.contract.edits import NormPlace
from promptgrid.contract.task import Batch
from promptgrid.towers.edits import TowerEdits
from promptgrid.tracks.text.backbone import TextBackbone
from promptgrid.tracks.text.edits import TextEdits
from promptgrid.tracks.text.reading import bare, pooled, sequence

FILLING = "fill."
"""How the names of weights begin that only filling masks looks at."""


@dataclass(frozen=True)
class TextTower:
    """The :class:`promptgrid.towers.tower.TokenTower` of a text backbone; it reads the column ``tokens``."""

    backbone: TextBackbone

    @property
    def width(self) -> int:
        """Of tokens and of features."""
        return self.backbone.width

    @property
    def layers(self) -> int:
        """Blocks."""
        return self.backbone.layers

    @property
    def mlp_width(self) -> int:
        """Of the hidden layer of a block's MLP."""
        return self.backbone.mlp_width

    @property
    def norms(self) -> tuple[NormPlace, ...]:
        """The LayerNorms it has."""
        return self.backbone.norms

    @property
    def prompt_place(self) -> Literal["text"]:
        """Where learned tokens stand: in the prompt slots."""
        return "text"

    def weights(self) -> Mapping[str, Tensor]:
        """The frozen tensors but those that only fill masks."""
        return {name: value for name, value in self.backbone.weights().items() if not name.startswith(FILLING)}

    def features(
        self, batch: Batch, edits: TowerEdits | None = None, weights: Mapping[str, Tensor] | None = None
    ) -> Tensor:
        """(B, width) pooled features of the bare texts, not normalised."""
        own = None if edits is None else TextEdits(**vars(edits))
        prompt = None if own is None or own.tokens is None else own.tokens.layers[0]
        return pooled(self.backbone, sequence(self.backbone, bare(batch), prompt, weights=weights), own, weights)
