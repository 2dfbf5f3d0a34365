"""TFUP: keys chosen and weighed by Kullback-Leibler divergences, written out (2404.16339)."""

from __future__ import annotations

from typing import Any

import torch
from tests.reference.task import Params, Pooled
from torch import Tensor
from torch.nn import functional as F


def texts(plain: Pooled) -> Tensor:
    """(C, width), not normalised."""
    return torch.stack([plain.clip.text(plain.said[name]).mean(0) for name in plain.classes])


def start(plain: Pooled, drawn: Params, **settings: Any) -> Params:
    """The cache."""
    images, weights = plain.clip.image(plain.pool), texts(plain)
    classes = len(weights) - first(plain)
    each = min(max(9, int(len(images) * 0.3 / classes)), 16)
    chosen = [
        (row, label) for label in range(first(plain), len(weights)) for row in nearest(images, weights, label, each)
    ]
    rows, labels = zip(*chosen, strict=True)
    return {
        "keys": F.normalize(images[list(rows)], dim=-1).detach(),
        "values": F.one_hot(torch.tensor(labels), len(weights)).to(images),
    }


def first(plain: Pooled) -> int:
    return plain.seen if plain.seen < len(plain.classes) else 0


def nearest(images: Tensor, weights: Tensor, label: int, each: int) -> list[int]:
    """Of the likeliest 2 ``each`` for ``label``, those with the smallest sum of divergences from the others."""
    likely = soft(images, weights)
    best = sorted(range(len(likely)), key=lambda i: -float(likely[i, label]))[: 2 * each]
    apart = {i: sum(float((likely[i] * (likely[i] / likely[j]).log()).sum()) for j in best) for i in best}
    return sorted(best, key=lambda i: apart[i])[:each]


def soft(images: Tensor, weights: Tensor) -> Tensor:
    return F.softmax(10.0 * F.normalize(images, dim=-1) @ F.normalize(weights, dim=-1).T, dim=1)


def with_cache(scale: Tensor, cache: Params, images: Tensor, weights: Tensor, alpha: float, beta: float) -> Tensor:
    """(N, C) logits of text and cache, with the original's z-score in front of the minmax."""
    unit, here, there = F.normalize(images, dim=-1), soft(images, weights), soft(cache["keys"], weights)
    apart = torch.stack([(row * (row / there).log()).sum(1) for row in here])
    apart = (apart - apart.mean(1, keepdim=True)) / apart.std(1, keepdim=True)
    low, high = apart.min(1, keepdim=True).values, apart.max(1, keepdim=True).values
    near = unit @ cache["keys"].T * (2 * (1 - (apart - low) / (high - low)))
    return scale * unit @ F.normalize(weights, dim=-1).T + alpha * (-(beta - beta * near)).exp() @ cache["values"]


def logits(plain: Pooled, params: Params, pixels: Tensor, alpha: float, beta: float, **settings: Any) -> Tensor:
    return with_cache(plain.clip.scale, params, plain.clip.image(pixels), texts(plain), alpha, beta)
