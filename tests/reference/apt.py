"""APT on CLIP: approximated prompts on the input and the output of every attention (Wu et al., arXiv:2306.15706)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from tests.reference.clip import said
from tests.reference.descent import sgd
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F


def start(
    plain: Plain, drawn: Params, tokens: int = 50, rank: int = 4, towers: str = "vision", **settings: Any
) -> Params:
    """Tokens N(0, 0.02), the map's first layer N(0, 1), its second 0, the log gain 0."""
    model = plain.clip.model
    layers, width = len(model.visual.transformer.resblocks), model.visual.conv1.out_channels
    assert drawn["vision_tokens"].shape == (layers, tokens, width)
    assert drawn["vision_down"].shape == (layers, width, rank)
    assert 0.01 < float(drawn["vision_tokens"].std()) < 0.03
    assert 0.5 < float(drawn["vision_down"].std()) < 1.5
    own = [name.split("_")[0] for name in drawn if name.endswith("_tokens")]
    assert own == (["vision", "text"] if towers == "both" else ["vision"])
    zeros = {f"{tower}_{what}" for tower in own for what in ("up", "gain")}
    return drawn | {name: torch.zeros_like(drawn[name]) for name in zeros}


@contextmanager
def beside(blocks: Any, params: Params, tower: str) -> Iterator[None]:
    """Every block's attention, followed by its approximated prompts."""

    def attention_of(layer: int, module: Any) -> Callable[..., Tensor]:
        def attention(q_x: Tensor, k_x: None = None, v_x: None = None, attn_mask: Tensor | None = None) -> Tensor:
            mask = None if attn_mask is None else attn_mask.to(q_x)
            out = module(q_x, q_x, q_x, need_weights=False, attn_mask=mask)[0]
            z = params[f"{tower}_tokens"][layer]
            keys = z + F.linear(F.linear(z, params[f"{tower}_down"][layer].T), params[f"{tower}_up"][layer].T)
            scores = F.relu(torch.einsum("bld,nd->bln", q_x, keys))
            weights = scores.max(dim=-1, keepdim=True)[0].clone().detach()
            return (out + torch.einsum("bln,nd->bld", scores, z) * weights) * params[f"{tower}_gain"][layer].exp()

        return attention

    for layer, block in enumerate(blocks):
        block.attention = attention_of(layer, block.attn)
    try:
        yield
    finally:
        for block in blocks:
            del block.attention


def logits(plain: Plain, params: Params, pixels: Tensor, **settings: Any) -> Tensor:
    model = plain.clip.model
    with beside(model.visual.transformer.resblocks, params, "vision"):
        images = plain.clip.image(pixels)
    tokens = plain.clip.tokenizer([plain.template.format(said(name)) for name in plain.classes])
    if "text_tokens" not in params:
        return plain.clip.cosine_logits(images, model.encode_text(tokens))
    with beside(model.transformer.resblocks, params, "text"):
        return plain.clip.cosine_logits(images, model.encode_text(tokens))


def train(plain: Plain, begin: Params, learning_rate: float, weight_decay: float, **settings: Any) -> Params:
    def loss(params: Params, chosen: Tensor, seed: int) -> Tensor:
        return F.cross_entropy(logits(plain, params, plain.train.pixels[chosen]), plain.train.labels[chosen])

    return sgd(plain, begin, list(begin), loss, learning_rate, weight_decay)
