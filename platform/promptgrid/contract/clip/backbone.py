"""A frozen dual encoder that methods reach into only with data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip.preprocessing import Preprocessing
from promptgrid.contract.clip.prompt_tokens import PromptTokens

if TYPE_CHECKING:
    from promptgrid.contract.edits import Edits


@dataclass(frozen=True)
class TowerShape:
    """Width and depth of one transformer tower (zero layers: not a transformer we can reach into)."""

    width: int
    layers: int


class Backbone(ABC):
    """Frozen image and text towers with a joint space.

    ``offers`` says what a method may ask for: ``features`` (always), ``text_tokens`` (learned prompt embeddings),
    ``text_blocks`` and ``vision_blocks`` (:class:`Edits` inside a tower), ``pixels`` (changed images, with gradients to
    them), ``logits`` (answers about changed images and nothing else, see :mod:`promptgrid.contract.clip.black_box`);
    ``unprojected`` (what the projection into the joint space reads of images), ``logit_bias`` (it was trained by
    sigmoids, and methods may be); ``tokens``, ``blocks`` and ``weights``
    are what methods on any tower of tokens ask of the image tower.
    ``digest`` names the whole model, as :meth:`BackboneFamily.facts` does; ``image_size`` is the longer side of the
    images that ``preprocessing`` makes (below, images are written as squares of ``size``).
    """

    id: str
    digest: str
    preprocessing: Preprocessing
    width: int
    image_size: int
    text: TowerShape
    vision: TowerShape
    patch_size: int
    logit_scale: float
    logit_bias: float = 0.0
    """What is added to scaled cosines: of a model trained by sigmoids (SigLIP's); classes of one image share it."""
    offers: frozenset[str]
    reads_texts: bool = True
    """False of an image tower alone, which refuses all that is asked of texts."""

    @abstractmethod
    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """(N, L) int64 token ids, cut behind the longest text's EOT. Raises Refused when a text does not fit."""

    @abstractmethod
    def embed_tokens(self, tokens: Tensor) -> Tensor:
        """(..., L) ids to (..., L, text width) embeddings, without positions."""

    @abstractmethod
    def encode_text(self, embeddings: Tensor, ends: Tensor, edits: Edits | None = None) -> Tensor:
        """Text features of prompts given as token embeddings.

        Args:
            embeddings: (N, L, text width), before positions are added.
            ends: (N,) index of each prompt's EOT.
            edits: deep prompts and weight deltas.

        Returns:
            (N, width), not normalised.
        """

    def encode_context(self, prompts: PromptTokens, context: Tensor, edits: Edits | None = None) -> Tensor:
        """Text features of ``prompts`` with a learned context in place.

        Say "context" rather than "these C prompts": a tower that can, encodes what all classes have in common once.
        For a context per image, ``torch.func.vmap`` this over the images.

        Args:
            prompts: of C classes, from :meth:`Task.prompts`.
            context: (n, text width) shared by the classes, or (C, n, text width) of each class its own.
            edits: deep prompts and weight deltas.

        Returns:
            (C, width), not normalised; as ``encode_text(prompts.fill(context), prompts.ends, edits)`` gives it.
        """
        return self.encode_text(prompts.fill(context), prompts.ends, edits)

    @abstractmethod
    def encode_prompts(self, texts: Sequence[str]) -> Tensor:
        """(N, width) frozen features of plain texts, not normalised; works for every tower, also unreachable ones."""

    @abstractmethod
    def patches(self, pixels: Tensor) -> Tensor:
        """(B, 3, size, size) uint8 pixels to (B, P, vision width) patch embeddings, without CLS and positions."""

    @abstractmethod
    def encode_patches(self, patches: Tensor, edits: Edits | None = None) -> Tensor:
        """(B, P, vision width) patch embeddings to (B, width) image features, not normalised."""

    def image_tokens(self, patches: Tensor, edits: Edits | None, layers: Sequence[int]) -> Tensor:
        """All tokens of the image tower behind some of its blocks; part of ``vision_blocks``.

        Args:
            patches: (B, P, vision width), as for :meth:`encode_patches`.
            edits: as there; tokens that enter the sequence are given too, where they stand.
            layers: blocks, counted from 0; -1 is what enters the first.

        Returns:
            (B, layers, tokens, vision width); token 0 is the class token.
        """
        raise NotImplementedError(f"backbone {self.id} does not give the tokens of its image tower")

    def text_ends(self, embeddings: Tensor, ends: Tensor, edits: Edits | None, layers: Sequence[int]) -> Tensor:
        """The EOT tokens of prompts behind some blocks; part of ``text_blocks``.

        Args:
            embeddings: (N, L, text width), as for :meth:`encode_text`.
            ends: (N,) index of each prompt's EOT.
            edits: as there.
            layers: blocks, counted from 0.

        Returns:
            (N, layers, text width).
        """
        raise NotImplementedError(f"backbone {self.id} does not give the tokens of its text tower")

    def project_image(self, tokens: Tensor) -> Tensor:
        """Tokens (..., vision width) behind the last block to (..., width), as the class token becomes the feature."""
        raise NotImplementedError(f"backbone {self.id} does not project tokens of its image tower")

    def project_text(self, tokens: Tensor) -> Tensor:
        """Tokens (..., text width) behind the last block to (..., width), as the EOT token becomes the feature."""
        raise NotImplementedError(f"backbone {self.id} does not project tokens of its text tower")

    @property
    def image_tokens_tower(self) -> Any:
        """The image tower as methods on any tower of tokens see it; part of ``tokens``."""
        raise NotImplementedError(f"backbone {self.id} does not offer its image tower as a tower of tokens")

    @abstractmethod
    def encode_pixels(self, pixels: Tensor) -> Tensor:
        """(B, 3, size, size) uint8 pixels to (B, width) image features, not normalised; works for every tower."""

    def unprojected(self, pixels: Tensor) -> Tensor:
        """(B, 3, size, size) uint8 pixels to (B, vision width): class tokens behind the last norm, what the projection
        into the joint space reads. Frozen; part of ``unprojected``."""
        raise NotImplementedError(f"backbone {self.id} does not give what its projection reads")

    @property
    def pixel_range(self) -> Tensor:
        """(2, 3, 1, 1): black and white as :meth:`encode_image` reads them; part of ``pixels``."""
        raise NotImplementedError(f"backbone {self.id} does not take images as floats")

    def normalised(self, pixels: Tensor) -> Tensor:
        """(B, 3, size, size) uint8 pixels to floats as :meth:`encode_image` reads them; part of ``pixels``."""
        black, white = self.pixel_range.unbind(0)
        return black + pixels.to(black) / 255.0 * (white - black)

    def encode_image(self, pixels: Tensor) -> Tensor:
        """(B, 3, size, size) normalised floats to (B, width) features, not normalised; part of ``pixels``.

        Gradients flow to the pixels. Of unchanged images they are the features of :meth:`encode_pixels`.
        """
        raise NotImplementedError(f"backbone {self.id} does not take images as floats")

    def ask(self, pixels: Tensor, texts: tuple[str, ...]) -> Tensor:
        """(B, texts) logits of (B, 3, size, size) normalised floats: scaled cosine and bias; part of ``logits``."""
        found = self.logit_scale * F.normalize(self.encode_image(pixels), dim=-1) @ _said(self, texts).mT
        return found + self.logit_bias if self.logit_bias else found


@lru_cache(maxsize=256)
def _said(backbone: Backbone, texts: tuple[str, ...]) -> Tensor:
    """(texts, width) unit text features."""
    with torch.no_grad():
        return F.normalize(backbone.encode_prompts(texts), dim=-1)
