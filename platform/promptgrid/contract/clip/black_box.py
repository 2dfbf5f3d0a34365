"""The face of a backbone that answers and shows nothing: images in, logits out, each image counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NoReturn

import torch
from torch import Tensor

from promptgrid.contract.clip.backbone import Backbone
from promptgrid.contract.edits import Edits
from promptgrid.contract.method import Method
from promptgrid.spec import Refused

PATCHES = frozenset({"vision_blocks", "tokens"})
"""What methods need that work on patch embeddings."""
INSIDE_IMAGES = PATCHES | {"pixels", "logits"}
"""What methods need that change images or what the image tower makes of them: they see images, not features alone."""
_HIDDEN = frozenset({"width", "text", "vision", "patch_size", "logit_scale", "model"})


class LogitsOnly(Backbone):
    """A backbone as a service: ``ask`` gives logits without gradients; towers, features and scale are refused.

    What every service tells stays readable: its name, the size of its images, and how they are normalised.

    Attributes:
        queries: images asked about so far. Under ``vmap`` those of one cell: all cells ask equally often.
    """

    def __init__(self, behind: Backbone) -> None:
        self.id, self.digest, self.image_size = behind.id, behind.digest, behind.image_size
        self.preprocessing = behind.preprocessing
        self.offers = frozenset({"logits"})
        self.queries = 0
        self._range = behind.pixel_range
        self._normal: Callable[[Tensor], Tensor] = lambda pixels: behind.normalised(pixels)
        self._answer: Callable[[Tensor, tuple[str, ...]], Tensor] = lambda pixels, texts: behind.ask(pixels, texts)

    @property
    def pixel_range(self) -> Tensor:
        return self._range

    def normalised(self, pixels: Tensor) -> Tensor:
        return self._normal(pixels)

    def ask(self, pixels: Tensor, texts: tuple[str, ...]) -> Tensor:
        self.queries += len(pixels)
        with torch.no_grad():
            return self._answer(pixels, texts)

    def encode_image(self, pixels: Tensor) -> NoReturn:
        self._refuse("image features")

    def encode_pixels(self, pixels: Tensor) -> NoReturn:
        self._refuse("image features")

    def encode_prompts(self, texts: Sequence[str]) -> NoReturn:
        self._refuse("text features")

    def encode_text(self, embeddings: Tensor, ends: Tensor, edits: Edits | None = None) -> NoReturn:
        self._refuse("text features")

    def tokenize(self, texts: Sequence[str]) -> NoReturn:
        self._refuse("tokens")

    def embed_tokens(self, tokens: Tensor) -> NoReturn:
        self._refuse("token embeddings")

    def patches(self, pixels: Tensor) -> NoReturn:
        self._refuse("patch embeddings")

    def encode_patches(self, patches: Tensor, edits: Edits | None = None) -> NoReturn:
        self._refuse("image features")

    def __getattr__(self, name: str) -> NoReturn:
        if name in _HIDDEN:
            self._refuse(name)
        raise AttributeError(name)

    def _refuse(self, what: str) -> NoReturn:
        raise Refused(f"a black box answers with logits alone, and was asked for its {what}", where=self.id)


def face_of(method: Method | type[Method], backbone: Backbone) -> Backbone:
    """What ``method`` is given of ``backbone``: answers alone where it needs ``logits``, else all of it."""
    return LogitsOnly(backbone) if "logits" in method.needs else backbone


def queries_of(backbone: Backbone) -> int:
    """Images asked about so far through a face that counts; 0 of a backbone that is open."""
    return backbone.queries if isinstance(backbone, LogitsOnly) else 0
