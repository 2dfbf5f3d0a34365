"""Deep language prompting: learned tokens before the name and in later text blocks (Khattak et al., CVPR 2023)."""

from __future__ import annotations

from typing import Any

import torch
from tests.reference.clip import overwriting, said
from tests.reference.descent import sgd
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F

PHRASE = "a photo of a"


def start(plain: Plain, drawn: Params, context_length: int = 4, depth: int = 12, **settings: Any) -> Params:
    """The first words of the phrase; later prompts N(0, 0.02), random."""
    layers = min(depth, len(plain.clip.model.transformer.resblocks))
    assert drawn["deeper"].shape[:2] == (layers - 1, context_length)
    assert 0.01 < float(drawn["deeper"].std()) < 0.03
    return drawn | {"context": plain.clip.words(PHRASE)[:context_length]}


def texts(plain: Plain, params: Params) -> Tensor:
    context = params["context"]
    embeddings, ends = plain.clip.embedded([f"{PHRASE} {said(name)}." for name in plain.classes])
    filled = torch.cat(
        [embeddings[:, :1], context.expand(len(plain.classes), -1, -1), embeddings[:, 1 + len(context) :]], dim=1
    )
    with overwriting(plain.clip.model.transformer.resblocks, [context, *params["deeper"]], 1):
        return plain.clip.encode(filled, ends)


def logits(plain: Plain, params: Params, pixels: Tensor, **settings: Any) -> Tensor:
    return plain.clip.cosine_logits(plain.clip.image(pixels), texts(plain, params))


def train(plain: Plain, begin: Params, learning_rate: float, weight_decay: float, **settings: Any) -> Params:
    def loss(params: Params, chosen: Tensor, seed: int) -> Tensor:
        return F.cross_entropy(logits(plain, params, plain.train.pixels[chosen]), plain.train.labels[chosen])

    return sgd(plain, begin, ["context", "deeper"], loss, learning_rate, weight_decay)
