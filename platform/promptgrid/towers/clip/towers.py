"""The two towers of a CLIP model as functions of embeddings, with prompts and deltas joining as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from promptgrid.contract.clip import Edits, TokenPlan
from promptgrid.towers.blocks import Block
from promptgrid.towers.edited import normed


@dataclass(frozen=True)
class TextTower:
    """A causal text transformer pooled at EOT: what stands behind EOT cannot change the result and is cut."""

    source: Any
    blocks: tuple[Block, ...]
    width: int

    @classmethod
    def of(cls, model: Any) -> TextTower:
        """The text tower of an open_clip ``CLIP`` (flat) or ``CustomTextCLIP`` (under ``.text``).

        Raises:
            TypeError: not causal, not pooled at EOT, or with blocks of another kind.
        """
        source = getattr(model, "text", model)
        pooled = getattr(source, "text_pool_type", getattr(source, "pool_type", None))
        mask = getattr(source, "attn_mask", None)
        projection = getattr(source, "text_projection", None)
        causal = mask is not None and bool(torch.isneginf(mask).triu(1).sum() == torch.ones_like(mask).triu(1).sum())
        if pooled != "argmax" or not causal or not isinstance(projection, Tensor):
            raise TypeError(f"text tower is not causal and pooled at EOT (pooling {pooled!r})")
        blocks = tuple(Block.of(block) for block in source.transformer.resblocks)
        return cls(source, blocks, source.positional_embedding.shape[-1])

    def embed(self, tokens: Tensor) -> Tensor:
        """(..., L) ids to (..., L, width), without positions."""
        found: Tensor = self.source.token_embedding(tokens)
        return found

    def positions(self, length: int) -> Tensor:
        """(length, width) position embeddings."""
        return self.source.positional_embedding[:length]  # type: ignore[no-any-return]

    def pooled(self, x: Tensor, edits: Edits | None = None) -> Tensor:
        """(..., width) EOT tokens behind the last block to (..., joint width)."""
        return normed(self.source.ln_final, x, "post", edits) @ self.source.text_projection  # type: ignore[no-any-return]

    def __call__(self, embeddings: Tensor, ends: Tensor, edits: Edits | None) -> Tensor:
        """(N, L, width) prompts with EOT at ``ends`` (N,) to (N, joint width)."""
        x = self._entered(embeddings, ends)
        *blocks, last = self.blocks
        for layer, block in enumerate(blocks):
            x = block(_fresh(x, layer, edits), layer, True, edits)
        layer = len(blocks)
        return self.pooled(last.pooled(_fresh(x, layer, edits), ends, layer, True, edits), edits)

    def ends_behind(self, embeddings: Tensor, ends: Tensor, edits: Edits | None, layers: Sequence[int]) -> Tensor:
        """EOT tokens (N, layers, width) behind blocks."""
        x, seen = self._entered(embeddings, ends), {}
        rows = torch.arange(len(ends), device=ends.device)
        for layer in range(max(layers) + 1):
            x = self.blocks[layer](_fresh(x, layer, edits), layer, True, edits)
            seen[layer] = x[rows, ends]
        return torch.stack([seen[layer] for layer in layers], dim=1)

    def _entered(self, embeddings: Tensor, ends: Tensor) -> Tensor:
        length = max(ends.tolist()) + 1
        return embeddings[:, :length] + self.positions(length)


@dataclass(frozen=True)
class ImageTower:
    """A ViT pooled at its class token.

    ``outside``: how the names of those weights begin that have no part between patch embeddings and class tokens.
    """

    outside: ClassVar[tuple[str, ...]] = ("conv1.", "proj")

    source: Any
    blocks: tuple[Block, ...]
    width: int

    @classmethod
    def of(cls, visual: Any) -> ImageTower:
        """The image tower of an open_clip ``VisionTransformer``.

        Raises:
            TypeError: a tower of another kind (ModifiedResNet, timm), or pooled otherwise.
        """
        if type(visual).__name__ != "VisionTransformer" or visual.pool_type != "tok" or visual.attn_pool is not None:
            raise TypeError(f"image tower {type(visual).__name__} is not a ViT pooled at its class token")
        if visual.proj is None:
            raise TypeError("image tower has no projection")
        blocks = tuple(Block.of(block) for block in visual.transformer.resblocks)
        return cls(visual, blocks, visual.conv1.out_channels)

    @property
    def norm_before(self) -> nn.Module:
        """In front of the first block."""
        return self.source.ln_pre  # type: ignore[no-any-return]

    @property
    def norm_behind(self) -> nn.LayerNorm:
        """Behind the last block."""
        return self.source.ln_post  # type: ignore[no-any-return]

    def patches(self, pixels: Tensor) -> Tensor:
        """(B, 3, size, size) normalised pixels to (B, P, width)."""
        return self.source.conv1(pixels).flatten(2).transpose(1, 2)  # type: ignore[no-any-return]

    def tokens(self, patches: Tensor) -> Tensor:
        """CLS and (..., P, width) patches with positions, before ``ln_pre``: (..., 1 + P, width)."""
        first = self.source.class_embedding.expand(*patches.shape[:-2], 1, -1)
        return torch.cat([first, patches], dim=-2) + self.source.positional_embedding  # type: ignore[no-any-return]

    def pooled(self, x: Tensor, edits: Edits | None = None) -> Tensor:
        """(..., width) class tokens behind the last block to (..., joint width)."""
        return normed(self.norm_behind, x, "post", edits) @ self.source.proj  # type: ignore[no-any-return]

    def __call__(self, patches: Tensor, edits: Edits | None) -> Tensor:
        """(B, P, width) patch embeddings to (B, joint width)."""
        return self.pooled(self._class_tokens(patches, edits), edits)

    def unprojected(self, patches: Tensor, edits: Edits | None) -> Tensor:
        """(B, P, width) patch embeddings to (B, width): class tokens behind the last norm, what ``proj`` reads.

        Where tokens are ``pooled``, the mean of class token and those.
        """
        if edits is None or edits.tokens is None or not edits.tokens.pooled:
            return normed(self.norm_behind, self._class_tokens(patches, edits), "post", edits)
        x, plan = self._entered(patches, edits), edits.tokens
        for layer, block in enumerate(self.blocks):
            x = block(_fresh(x, layer, edits), layer, False, edits)
        own = x[:, -plan.count :] if plan.place == "end" else x[:, 1 : 1 + plan.count]
        return normed(self.norm_behind, torch.cat([x[:, :1], own], dim=1), "post", edits).mean(1)

    def _class_tokens(self, patches: Tensor, edits: Edits | None) -> Tensor:
        """(B, width) class tokens behind the last block."""
        x = self._entered(patches, edits)
        first = torch.zeros(len(x), dtype=torch.long, device=x.device)
        *blocks, last = self.blocks
        for layer, block in enumerate(blocks):
            x = block(_fresh(x, layer, edits), layer, False, edits)
        layer = len(blocks)
        return last.pooled(_fresh(x, layer, edits), first, layer, False, edits)

    def tokens_behind(self, patches: Tensor, edits: Edits | None, layers: Sequence[int]) -> Tensor:
        """All tokens (B, layers, tokens, width) behind blocks; -1 is what enters the first."""
        x = self._entered(patches, edits)
        seen = {-1: x}
        for layer in range(max(layers) + 1):
            seen[layer] = x = self.blocks[layer](_fresh(x, layer, edits), layer, False, edits)
        return torch.stack([seen[layer] for layer in layers], dim=1)

    def _entered(self, patches: Tensor, edits: Edits | None) -> Tensor:
        """What enters the first block."""
        x = self.tokens(patches)
        plan = edits.tokens if edits is not None else None
        if plan is not None and plan.before_norm:
            x = _insert(x, plan)
        x = normed(self.norm_before, x, "pre", edits)
        return _insert(x, plan) if plan is not None and not plan.before_norm else x


def _fresh(x: Tensor, layer: int, edits: Edits | None) -> Tensor:
    """``x`` with the tokens that enter before block ``layer`` in place of those before them."""
    plan = edits.tokens if edits is not None else None
    if plan is None or not 0 < layer < len(plan.layers):
        return x
    return _overwrite(x, plan.layers[layer], start=x.shape[1] - plan.count if plan.place == "end" else 1)


def _insert(x: Tensor, plan: TokenPlan) -> Tensor:
    tokens = plan.layers[0].unsqueeze(0).expand(x.shape[0], -1, -1)
    if plan.place == "after_class":
        return torch.cat([x[:, :1], tokens, x[:, 1:]], dim=1)
    return torch.cat([x, tokens], dim=1)


def _overwrite(x: Tensor, tokens: Tensor, start: int) -> Tensor:
    """``x`` with ``tokens`` (n, width) in place of positions start .. start + n - 1 of every row."""
    many = tokens.unsqueeze(0).expand(x.shape[0], -1, -1)
    return torch.cat([x[:, :start], many, x[:, start + tokens.shape[-2] :]], dim=1)
