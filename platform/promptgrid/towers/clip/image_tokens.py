"""The image tower of a dual encoder as methods on any tower of tokens see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from torch import Tensor, nn
from torch.func import functional_call

from promptgrid.contract.edits import Edits, NormPlace
from promptgrid.contract.task import Batch
from promptgrid.engine.training import halves
from promptgrid.towers.clip.towers import ImageTower


class ImageTokens:
    """The :class:`promptgrid.towers.tower.TokenTower` of a ViT pooled at its class token; it reads ``patches``.

    Its features are class tokens behind the last norm and before the projection into the joint space, as linear probes
    of CLIP read them (Radford et al., 2021).
    """

    prompt_place: Literal["end"] = "end"

    def __init__(self, tower: ImageTower) -> None:
        self._tower, self._open = tower, _Open(tower.source, type(tower))
        self.device = next(tower.source.parameters()).device

    @property
    def projection(self) -> Tensor:
        """(width, joint width) what its features are multiplied with to enter the joint space; frozen."""
        found: Tensor = self._tower.source.proj.detach()
        return found

    @property
    def width(self) -> int:
        """Of tokens and of features."""
        return self._tower.width

    @property
    def layers(self) -> int:
        """Blocks."""
        return len(self._tower.blocks)

    @property
    def mlp_width(self) -> int:
        """Of the hidden layer of a block's MLP."""
        return self._tower.blocks[0].fc.out_features

    @property
    def norms(self) -> tuple[NormPlace, ...]:
        """The LayerNorms it has."""
        blocks: list[NormPlace] = []
        for layer in range(self.layers):
            blocks += [(layer, "first"), (layer, "second")]
        before: list[NormPlace] = ["pre"] if isinstance(self._tower.norm_before, nn.LayerNorm) else []
        return (*before, *blocks, "post")

    def weights(self) -> Mapping[str, Tensor]:
        """The frozen tensors behind the patch embeddings, by their names in the tower."""
        own = self._tower.source.named_parameters()
        return {name: value.detach() for name, value in own if not name.startswith(self._tower.outside)}

    @halves.in_tower
    def features(self, batch: Batch, edits: Edits | None = None, weights: Mapping[str, Tensor] | None = None) -> Tensor:
        """(B, width) class tokens, not normalised.

        Args:
            batch: with ``patches`` (B, P, width).
            edits: as everywhere; prompts enter behind ``ln_pre``.
            weights: in place of frozen ones of the same name.
        """
        if not weights:
            return self._tower.unprojected(batch["patches"], edits)
        own = {f"source.{name}": value for name, value in weights.items()}
        found: Tensor = functional_call(self._open, own, (batch["patches"], edits))
        return found


class _Open(nn.Module):
    """The tower read anew at every call, with whatever weights it has then."""

    def __init__(self, source: Any, kind: type[ImageTower]) -> None:
        super().__init__()
        self.source, self.kind = source, kind

    def forward(self, patches: Tensor, edits: Edits | None) -> Tensor:
        """(B, P, width) to (B, width)."""
        return self.kind.of(self.source).unprojected(patches, edits)
