"""A text backbone as methods on any tower of tokens see it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from promptgrid.contract.edits import Edits, NormPlace
from promptgrid.contract.task import Batch
from promptgrid.tracks.text.backbone import TextBackbone
from promptgrid.tracks.text.edits import TextEdits
from promptgrid.tracks.text.reading import bare, pooled, sequence

FILLING = "mask."
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
        return int(self.backbone.weights()["blocks.0.fc.weight"].shape[0])

    @property
    def norms(self) -> tuple[NormPlace, ...]:
        """The LayerNorms it has."""
        own: list[NormPlace] = ["pre"]
        for layer in range(self.layers):
            own += [(layer, "first"), (layer, "second")]
        names = self.backbone.weights()
        return tuple(place for place in [*own, "post"] if _norm_name(place) in names)

    @property
    def prompt_place(self) -> Literal["text"]:
        """Where learned tokens stand: in the prompt slots."""
        return "text"

    def weights(self) -> Mapping[str, Tensor]:
        """The frozen tensors but those that only fill masks."""
        return {name: value for name, value in self.backbone.weights().items() if not name.startswith(FILLING)}

    def features(self, batch: Batch, edits: Edits | None = None, weights: Mapping[str, Tensor] | None = None) -> Tensor:
        """(B, width) pooled features of the bare texts, not normalised."""
        own = None if edits is None else TextEdits(**vars(edits))
        prompt = None if own is None or own.tokens is None else own.tokens.layers[0]
        return pooled(self.backbone, sequence(self.backbone, bare(batch), prompt, weights=weights), own, weights)


def _norm_name(place: NormPlace) -> str:
    return f"{place}.weight" if isinstance(place, str) else f"blocks.{place[0]}.{place[1]}.weight"
