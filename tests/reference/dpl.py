"""DPL, reading 1: share Attn(q, prompts) + (1 - share) Attn(q, instance) in the first blocks of both towers."""

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


def start(plain: Plain, drawn: Params, tokens: int = 4, depth: int = 9, share: float = 0.1, **settings: Any) -> Params:
    """Prompts N(0, 0.02), shares sigmoid(s) = ``share``, the map as torch's Linear."""
    model = plain.clip.model
    blocks = {"vision": model.visual.transformer.resblocks, "text": model.transformer.resblocks}
    begin = dict(drawn)
    for tower, own in blocks.items():
        assert drawn[f"{tower}_tokens"].shape[:2] == (min(depth, len(own)), tokens)
        assert 0.01 < float(drawn[f"{tower}_tokens"].std()) < 0.03
        odds = torch.tensor(share / (1 - share), dtype=plain.clip.dtype)
        begin[f"{tower}_share"] = odds.log().expand(min(depth, len(own))).clone()
    width = model.positional_embedding.shape[-1]
    assert drawn["map_weight"].shape == (width, width)
    assert 0.9 * width**-0.5 < float(drawn["map_weight"].abs().max()) <= width**-0.5
    return begin


@contextmanager
def decoupled(blocks: Any, prompts: Tensor, shares: Tensor) -> Iterator[None]:
    """Attention written out; ``prompts`` is (depth, n, d) or, of each row its own, (depth, N, n, d)."""

    def attention_of(block: Any, own: Tensor, share: Tensor) -> Callable[..., Tensor]:
        def attention(q_x: Tensor, k_x: None = None, v_x: None = None, attn_mask: Tensor | None = None) -> Tensor:
            module = block.attn
            weights, biases = module.in_proj_weight.chunk(3), module.in_proj_bias.chunk(3)
            rows = block.ln_1(own).expand(len(q_x), -1, -1)

            def heads(x: Tensor, i: int) -> Tensor:
                return (x @ weights[i].T + biases[i]).unflatten(-1, (module.num_heads, -1)).transpose(1, 2)

            def gathered(read: Tensor, mask: Tensor | None) -> Tensor:
                affinity = query @ heads(read, 1).transpose(-1, -2) / query.shape[-1] ** 0.5
                affinity = affinity if mask is None else affinity + mask.to(affinity)
                return torch.softmax(affinity, dim=-1) @ heads(read, 2)

            query = heads(q_x, 0)
            mixed = share * gathered(rows, None) + (1 - share) * gathered(q_x, attn_mask)
            return module.out_proj(mixed.transpose(1, 2).flatten(-2))

        return attention

    edited = list(zip(blocks, prompts, torch.sigmoid(shares), strict=False))
    for block, own, share in edited:
        block.attention = attention_of(block, own, share)
    try:
        yield
    finally:
        for block, _, _ in edited:
            del block.attention


def logits(plain: Plain, params: Params, pixels: Tensor, **settings: Any) -> Tensor:
    clip, model = plain.clip, plain.clip.model
    with decoupled(model.visual.transformer.resblocks, params["vision_tokens"], params["vision_share"]):
        images = clip.image(pixels)
    names = torch.stack([clip.words(said(name)).mean(0) for name in plain.classes])
    told = names @ params["map_weight"].T + params["map_bias"]
    prompts = params["text_tokens"].unsqueeze(1) + told[None, :, None]
    with decoupled(model.transformer.resblocks, prompts, params["text_share"]):
        texts = clip.text([plain.template.format(said(name)) for name in plain.classes])
    return clip.cosine_logits(images, texts)


def train(plain: Plain, begin: Params, learning_rate: float, weight_decay: float, **settings: Any) -> Params:
    def loss(params: Params, chosen: Tensor, seed: int) -> Tensor:
        return F.cross_entropy(logits(plain, params, plain.train.pixels[chosen]), plain.train.labels[chosen])

    return sgd(plain, begin, list(begin), loss, learning_rate, weight_decay)
