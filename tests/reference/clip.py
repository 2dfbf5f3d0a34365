"""open_clip's own forward, opened where the papers open it: at the token embeddings and at the blocks.

Everything here runs the modules of an open_clip ``CLIP`` themselves (77-token prompts, the stored causal mask, hooks
on blocks); nothing comes from the engine. One cell at a time, no cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Clip:
    """An open_clip model with what its pixels are normalised by."""

    model: Any
    tokenizer: Any
    mean: Sequence[float]
    std: Sequence[float]

    @property
    def scale(self) -> Tensor:
        return self.model.logit_scale.exp()

    @property
    def dtype(self) -> torch.dtype:
        return self.model.positional_embedding.dtype

    def normalise(self, pixels: Tensor) -> Tensor:
        """uint8 (B, 3, s, s) to what the tower reads. Mean and std are float32 numbers in either precision."""
        mean, std = (torch.tensor(list(x)).view(1, 3, 1, 1).to(self.dtype) for x in (self.mean, self.std))
        return (pixels.to(self.dtype) / 255.0 - mean) / std

    def read(self, picture: Image) -> Tensor:
        """CLIP's test transform up to its normalisation: short side to size (bicubic), centre crop; uint8."""
        from torchvision.transforms import CenterCrop, InterpolationMode, PILToTensor, Resize

        size = self.model.visual.image_size[0]
        resized = Resize(size, interpolation=InterpolationMode.BICUBIC)(picture)
        return PILToTensor()(CenterCrop(size)(resized))

    def image(self, pixels: Tensor) -> Tensor:
        return self.model.encode_image(self.normalise(pixels))

    def text(self, prompts: Sequence[str]) -> Tensor:
        return self.model.encode_text(self.tokenizer(list(prompts)))

    def classes_in(self, template: str, classes: Sequence[str]) -> Tensor:
        """Unit features of one template with every class name."""
        return F.normalize(self.text([template.format(said(name)) for name in classes]), dim=-1)

    def embedded(self, prompts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Token embeddings (C, 77, d) and EOT positions (the largest id of each row)."""
        tokens = self.tokenizer(list(prompts))
        return self.model.token_embedding(tokens), tokens.argmax(-1)

    def words(self, text: str) -> Tensor:
        """Embeddings of the tokens of ``text`` between SOS and EOT."""
        embeddings, ends = self.embedded([text])
        return embeddings[0, 1 : ends[0]]

    def encode(self, embeddings: Tensor, ends: Tensor) -> Tensor:
        """What ``encode_text`` does behind its token embedding."""
        x = embeddings + self.model.positional_embedding
        x = self.model.transformer(x, attn_mask=self.model.attn_mask)
        x = self.model.ln_final(x)
        return x[torch.arange(len(x)), ends] @ self.model.text_projection

    def cosine_logits(self, images: Tensor, texts: Tensor) -> Tensor:
        return self.scale * F.normalize(images, dim=-1) @ F.normalize(texts, dim=-1).T


def said(name: str) -> str:
    return name.replace("_", " ")


@contextmanager
def overwriting(blocks: nn.ModuleList, layers: Sequence[Tensor], start: int) -> Iterator[None]:
    """Before block l >= 1, ``layers[l]`` takes the place of the tokens from ``start`` on (negative: from the end)."""

    def hook_with(tokens: Tensor) -> Any:
        def hook(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
            x = args[0].clone()
            first = start if start >= 0 else x.shape[1] + start
            x[:, first : first + len(tokens)] = tokens
            return (x, *args[1:])

        return hook

    with ExitStack() as stack:
        for block, tokens in list(zip(blocks, layers, strict=False))[1:]:
            stack.callback(block.register_forward_pre_hook(hook_with(tokens)).remove)
        yield


@contextmanager
def inserting(visual: Any, tokens: Tensor, place: str, before_norm: bool) -> Iterator[None]:
    """``tokens`` join the image tower's sequence behind CLS or at its end, before or behind ``ln_pre``."""

    def insert(x: Tensor) -> Tensor:
        rows = tokens.expand(len(x), -1, -1)
        return torch.cat([x[:, :1], rows, x[:, 1:]] if place == "after_class" else [x, rows], dim=1)

    if before_norm:
        handle = visual.ln_pre.register_forward_pre_hook(lambda module, args: (insert(args[0]),))
    else:
        handle = visual.ln_pre.register_forward_hook(lambda module, args, output: insert(output))
    try:
        yield
    finally:
        handle.remove()
