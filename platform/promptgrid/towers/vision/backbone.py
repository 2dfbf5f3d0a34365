"""An image tower alone as a backbone: features are what a linear head reads, and there are no texts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NoReturn

import torch
from torch import Tensor

from promptgrid.contract.clip import Backbone, Edits, Preprocessing
from promptgrid.contract.clip.backbone import TowerShape
from promptgrid.engine.training import halves
from promptgrid.spec import Refused
from promptgrid.towers.clip.image_tokens import ImageTokens
from promptgrid.towers.clip.towers import ImageTower

AT_ONCE = 64
OFFERS = frozenset({"features", "unprojected", "tokens", "blocks", "weights"})
"""What methods may ask of it. Those that compare images with texts are refused by name, whatever they need."""
ALONE = "without_texts"
"""Under this name the facts of a backbone say that it has no text tower."""


class VisionTower(Backbone):
    """A frozen ViT. ``features`` are class tokens behind the last norm, not normalised."""

    def __init__(self, id: str, digest: str, tower: ImageTower, preprocessing: Preprocessing, patch_size: int) -> None:
        self.id, self.digest = id, digest
        self.preprocessing, self.image_size, self.patch_size = preprocessing, preprocessing.side, patch_size
        tower.source.eval().requires_grad_(False)
        self._tower = tower
        self.device = next(tower.source.parameters()).device
        self._mean, self._std = (
            torch.tensor(values, device=self.device).view(1, 3, 1, 1)
            for values in (preprocessing.mean, preprocessing.std)
        )
        self.width = tower.width
        self.vision, self.text = TowerShape(tower.width, len(tower.blocks)), TowerShape(0, 0)
        self.logit_scale = 1.0
        self.offers, self.reads_texts = OFFERS, False

    def patches(self, pixels: Tensor) -> Tensor:
        return self._tower.patches(self._normalise(pixels))

    @halves.in_tower
    def encode_patches(self, patches: Tensor, edits: Edits | None = None) -> Tensor:
        return self._tower.unprojected(patches, edits)

    def encode_pixels(self, pixels: Tensor) -> Tensor:
        with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
            parts = torch.split(pixels, AT_ONCE)
            return torch.cat([self._tower.unprojected(self.patches(part), None) for part in parts])

    def unprojected(self, pixels: Tensor) -> Tensor:
        return self.encode_pixels(pixels)

    @halves.in_tower
    def image_tokens(self, patches: Tensor, edits: Edits | None, layers: Sequence[int]) -> Tensor:
        return self._tower.tokens_behind(patches, edits, layers)

    @cached_property
    def image_tokens_tower(self) -> ImageTokens:
        return ImageTokens(self._tower)

    def tokenize(self, texts: Sequence[str]) -> NoReturn:
        self._refuse()

    def embed_tokens(self, tokens: Tensor) -> NoReturn:
        self._refuse()

    def encode_text(self, embeddings: Tensor, ends: Tensor, edits: Edits | None = None) -> NoReturn:
        self._refuse()

    def encode_prompts(self, texts: Sequence[str]) -> NoReturn:
        self._refuse()

    def _normalise(self, pixels: Tensor) -> Tensor:
        return (pixels.to(self.device, self._mean.dtype) / 255.0 - self._mean) / self._std

    def _refuse(self) -> NoReturn:
        raise Refused("an image tower alone reads no texts", where=self.id)
