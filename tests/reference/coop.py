"""CoOp: prompt_c = [SOS, V, name_c, ., EOT], cross-entropy of s f̂ t̂_c, SGD-CoOp (Zhou et al., IJCV 2022)."""

from __future__ import annotations

from typing import Any

import torch
from tests.reference.clip import said
from tests.reference.descent import sgd
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F


def start(plain: Plain, drawn: Params, words: str = "", class_specific: bool = False, **settings: Any) -> Params:
    if not words:
        return drawn  # N(0, 0.02): random
    context = plain.clip.words(words)
    return {"context": context.expand(len(plain.classes), -1, -1) if class_specific else context}


def prompts(plain: Plain, context: Tensor, position: str = "end") -> tuple[Tensor, Tensor]:
    """Embeddings (C, 77, d) with the context in place, and EOT positions of the placeholder prompts."""
    length = context.shape[-2]
    filler = " ".join(["X"] * length)
    names = [said(name) for name in plain.classes]
    embeddings, ends = plain.clip.embedded([f"{filler} {name}." for name in names])
    rows = []
    for row, name in enumerate(names):
        own = context if context.dim() == 2 else context[row]
        prefix, suffix = embeddings[row, :1], embeddings[row, 1 + length :]
        tokens = len(plain.clip.tokenizer.encode(name))
        spoken, rest = suffix[:tokens], suffix[tokens:]
        half = length // 2
        parts = {
            "end": [prefix, own, suffix],
            "middle": [prefix, own[:half], spoken, own[half:], rest],
            "front": [prefix, spoken, own, rest],
        }[position]
        rows.append(torch.cat(parts))
    return torch.stack(rows), ends


def logits(plain: Plain, params: Params, pixels: Tensor, position: str = "end", **settings: Any) -> Tensor:
    texts = plain.clip.encode(*prompts(plain, params["context"], position))
    return plain.clip.cosine_logits(plain.clip.image(pixels), texts)


def train(
    plain: Plain, begin: Params, learning_rate: float, weight_decay: float, position: str = "end", **settings: Any
) -> Params:
    def loss(params: Params, chosen: Tensor, seed: int) -> Tensor:
        scores = logits(plain, params, plain.train.pixels[chosen], position)
        return F.cross_entropy(scores, plain.train.labels[chosen])

    return sgd(plain, begin, ["context"], loss, learning_rate, weight_decay)
