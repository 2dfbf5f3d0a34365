"""CLIP-LoRA: W + (alpha / sqrt(r)) B A on q, k, v of all blocks of both towers (Zanella and Ben Ayed, CVPRW 2024).

Texts are ``a photo of a {}.`` on every dataset; an epoch ends in the images that a batch leaves over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from tests.reference.clip import said
from tests.reference.descent import by_iteration, leaves_of
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import dropout

NAMES = ("text_down", "text_up", "image_down", "image_up")
IMAGE_SALT = 1_000_000
Mask = Callable[[Tensor, int, int], Tensor]  # LoRA's input, layer, which of q k v -> its mask


def start(plain: Plain, drawn: Params, rank: int = 2, **settings: Any) -> Params:
    """A random: kaiming uniform with a = sqrt(5), that is U(±1/sqrt(d)); B zero."""
    for name in ("text_down", "image_down"):
        bound = drawn[name].shape[-1] ** -0.5
        assert 0.9 * bound < float(drawn[name].abs().max()) <= bound
        assert drawn[name].shape[1:3] == (3, rank)
    return drawn | {name: torch.zeros_like(drawn[name]) for name in ("text_up", "image_up")}


@contextmanager
def adapted(blocks: Any, down: Tensor, up: Tensor, scale: float, mask: Mask) -> Iterator[None]:
    """The blocks' attention written out, with LoRA on its three input projections."""

    def attention_of(layer: int, module: Any) -> Callable[..., Tensor]:
        def attention(q_x: Tensor, k_x: None = None, v_x: None = None, attn_mask: Tensor | None = None) -> Tensor:
            weights, biases = module.in_proj_weight.chunk(3), module.in_proj_bias.chunk(3)
            q, k, v = (
                q_x @ weights[i].T + biases[i] + scale * (q_x * mask(q_x, layer, i)) @ down[layer, i].T @ up[layer, i].T
                for i in range(3)
            )
            q, k, v = (x.unflatten(-1, (module.num_heads, -1)).transpose(1, 2) for x in (q, k, v))
            affinity = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
            if attn_mask is not None:
                affinity = affinity + attn_mask.to(affinity)
            mixed = (torch.softmax(affinity, dim=-1) @ v).transpose(1, 2).flatten(-2)
            return module.out_proj(mixed)

        return attention

    for layer, block in enumerate(blocks):
        block.attention = attention_of(layer, block.attn)
    try:
        yield
    finally:
        for block in blocks:
            del block.attention


def logits(
    plain: Plain,
    params: Params,
    pixels: Tensor,
    alpha: float = 1.0,
    rank: int = 2,
    texts: str = "photo",
    **settings: Any,
) -> Tensor:
    return _forward(_worded(plain, texts), params, pixels, alpha / rank**0.5, 0.0, None)


def _worded(plain: Plain, texts: str) -> Plain:
    return replace(plain, template="a photo of a {}.") if texts == "photo" else plain


def _forward(plain: Plain, params: Params, pixels: Tensor, scale: float, rate: float, seed: int | None) -> Tensor:
    model = plain.clip.model
    tokens = plain.clip.tokenizer([plain.template.format(said(name)) for name in plain.classes])
    longest = int(tokens.argmax(-1).max()) + 1

    def text_mask(x: Tensor, layer: int, part: int) -> Tensor:
        kept = torch.ones_like(x)  # behind the last EOT a mask changes nothing, and none is drawn
        kept[:, :longest] = _mask(kept[:, :longest], rate, seed, 3 * layer + part)
        return kept

    def image_mask(x: Tensor, layer: int, part: int) -> Tensor:
        return _mask(x, rate, seed, IMAGE_SALT + 3 * layer + part)

    with adapted(model.transformer.resblocks, params["text_down"], params["text_up"], scale, text_mask):
        texts = model.encode_text(tokens)
    blocks = model.visual.transformer.resblocks
    with adapted(blocks, params["image_down"], params["image_up"], scale, image_mask):
        images = plain.clip.image(pixels)
    return plain.clip.cosine_logits(images, texts)


def _mask(like: Tensor, rate: float, seed: int | None, salt: int) -> Tensor:
    ones = torch.ones_like(like)
    return ones if seed is None else dropout(ones, rate, torch.tensor(seed), salt)


def train(
    plain: Plain,
    begin: Params,
    learning_rate: float,
    weight_decay: float,
    alpha: float,
    rank: int,
    rate: float,
    texts: str = "photo",
    **settings: Any,
) -> Params:
    worded = _worded(plain, texts)

    def loss(params: Params, chosen: Tensor, seed: int) -> Tensor:
        scores = _forward(worded, params, plain.train.pixels[chosen], alpha / rank**0.5, rate, seed)
        return F.cross_entropy(scores, plain.train.labels[chosen])

    params, leaves = leaves_of(begin, NAMES)
    optimizer = torch.optim.AdamW(leaves, lr=learning_rate, weight_decay=weight_decay, betas=(0.9, 0.999))
    return by_iteration(plain, params, leaves, optimizer, loss, last=1e-6)
