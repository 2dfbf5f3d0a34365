"""The backbone as the public code of the field runs it: 77 tokens, every tower at every step, nothing kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Backbone, Edits, TokenPlan
from promptgrid.towers.clip.models.dual_encoder import DualEncoder


class PlainBackbone(Backbone):
    """open_clip's own modules behind the contract, without one shortcut: what our engine is measured against."""

    def __init__(self, encoder: DualEncoder) -> None:
        self._encoder = encoder
        self._model: Any = encoder.model
        self._source: Any = getattr(encoder.model, "text", encoder.model)
        own = ("id", "digest", "preprocessing", "width", "image_size", "text", "vision", "patch_size", "logit_scale")
        for name in (*own, "offers"):
            setattr(self, name, getattr(encoder, name))

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        return self._encoder.tokenize(texts)

    def embed_tokens(self, tokens: Tensor) -> Tensor:
        embedded: Tensor = self._source.token_embedding(tokens)
        return embedded

    def encode_text(self, embeddings: Tensor, ends: Tensor, edits: Edits | None = None) -> Tensor:
        positions, mask = self._source.positional_embedding, self._source.attn_mask
        missing = positions.shape[0] - embeddings.shape[1]
        x = F.pad(embeddings, (0, 0, 0, missing)) + positions
        plan = edits.tokens if edits is not None else None
        for layer, block in enumerate(self._source.transformer.resblocks):
            if plan is not None and 0 < layer < len(plan.layers):
                x = _overwritten(x, plan.layers[layer], 1)
            x = _run(block, x, layer, mask, edits)
        x = self._source.ln_final(x)[torch.arange(len(x), device=x.device), ends]
        projected: Tensor = x @ self._source.text_projection
        return projected

    def encode_prompts(self, texts: Sequence[str]) -> Tensor:
        with torch.no_grad():
            tokens = self.tokenize(texts)
            return self.encode_text(self.embed_tokens(tokens), tokens.argmax(-1))

    def patches(self, pixels: Tensor) -> Tensor:
        return self._encoder.patches(pixels)

    def encode_patches(self, patches: Tensor, edits: Edits | None = None) -> Tensor:
        visual = self._model.visual
        plan = edits.tokens if edits is not None else None
        x = torch.cat([visual.class_embedding.expand(len(patches), 1, -1), patches], 1) + visual.positional_embedding
        x = _inserted(x, plan) if plan is not None and plan.before_norm else x
        x = visual.ln_pre(x)
        x = _inserted(x, plan) if plan is not None and not plan.before_norm else x
        for layer, block in enumerate(visual.transformer.resblocks):
            if plan is not None and 0 < layer < len(plan.layers):
                start = 1 if plan.place == "after_class" else x.shape[1] - plan.count
                x = _overwritten(x, plan.layers[layer], start)
            x = _run(block, x, layer, None, edits)
        projected: Tensor = visual.ln_post(x[:, 0]) @ visual.proj
        return projected

    def unprojected(self, pixels: Tensor) -> Tensor:
        return self._encoder.unprojected(pixels)

    def encode_pixels(self, pixels: Tensor) -> Tensor:
        return self._encoder.encode_pixels(pixels)


def _inserted(x: Tensor, plan: TokenPlan) -> Tensor:
    rows = plan.layers[0].expand(len(x), -1, -1)
    return torch.cat([x[:, :1], rows, x[:, 1:]] if plan.place == "after_class" else [x, rows], dim=1)


def _overwritten(x: Tensor, tokens: Tensor, start: int) -> Tensor:
    rows = tokens.expand(len(x), -1, -1)
    return torch.cat([x[:, :start], rows, x[:, start + len(tokens) :]], dim=1)


def _run(block: Any, x: Tensor, layer: int, mask: Tensor | None, edits: Edits | None) -> Tensor:
    """open_clip's block itself; opened by hand only where a delta joins one of its projections.

    Raises:
        NotImplementedError: edits other than tokens and deltas, which no loop of the field is measured on.
    """
    if edits is not None and (edits.norms or edits.biases or edits.weights or edits.sides or edits.apart):
        raise NotImplementedError("the plain backbone knows tokens and deltas only")
    if edits is None or not any(place[0] == layer for place in edits.deltas):
        untouched: Tensor = block(x, attn_mask=mask)
        return untouched

    def delta(part: Any, value: Tensor, given: Tensor) -> Tensor:
        found = edits.deltas.get((layer, part))
        return value if found is None else value + found(given, edits.seed)

    attn, mlp, normed = block.attn, block.mlp, block.ln_1(x)
    joined = F.linear(normed, attn.in_proj_weight, attn.in_proj_bias).chunk(3, dim=-1)
    split = [
        delta(part, value, normed).reshape(*x.shape[:2], attn.num_heads, -1).transpose(1, 2)
        for part, value in zip("qkv", joined, strict=True)
    ]
    mixed = F.scaled_dot_product_attention(split[0], split[1], split[2], attn_mask=mask).transpose(1, 2).flatten(-2)
    x = x + block.ls_1(delta("out", attn.out_proj(mixed), mixed))
    normed = block.ln_2(x)
    hidden = mlp.gelu(delta("fc", mlp.c_fc(normed), normed))
    y: Tensor = x + block.ls_2(delta("proj", mlp.c_proj(hidden), hidden))
    return y
