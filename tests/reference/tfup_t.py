"""TFUP-T: two phases of torch's AdamW over a text residual and an image adapter."""

from __future__ import annotations

import math
from typing import Any

import torch
from tests.reference import tfup
from tests.reference.descent import detached, leaves_of
from tests.reference.task import Params, Pooled
from torch import Tensor
from torch.nn import functional as F
from torch.optim.lr_scheduler import LambdaLR

LEARNED = ("residual", "down", "up")


def start(plain: Pooled, drawn: Params, **settings: Any) -> Params:
    return drawn | tfup.start(plain, drawn) | {"residual": torch.zeros_like(drawn["residual"])}


def parts(plain: Pooled, params: Params, images: Tensor) -> tuple[Tensor, Tensor]:
    """Adapted image features, moved text features."""
    adapted = torch.relu(torch.relu(images @ params["down"].T) @ params["up"].T)
    return 0.2 * adapted + (1 - 0.2) * images, 0.5 * tfup.texts(plain) + 0.5 * params["residual"]


def logits(plain: Pooled, params: Params, pixels: Tensor, **settings: Any) -> Tensor:
    return plain.clip.cosine_logits(*parts(plain, params, plain.clip.image(pixels)))


def train(
    plain: Pooled, begin: Params, learning_rate: float, weight_decay: float, alpha: float, beta: float,
    threshold: float, spread: float, epochs: int, share: float, phases: int = 2, **settings: Any,
) -> Params:  # fmt: skip
    params, leaves = leaves_of(begin, LEARNED)
    first = max(1, epochs // 6)
    weights, features = tfup.texts(plain), plain.clip.image(plain.pool).detach()
    unseen = tfup.first(plain)
    most = max(9, int(share * len(features) / (len(weights) - unseen)))
    rows = [i for label in range(unseen, len(weights)) for i in tfup.nearest(features, weights, label, most)]
    said = tfup.with_cache(plain.clip.scale, begin, features[rows], weights, alpha, beta)[:, unseen:].argmax(1) + unseen

    def taught(chosen: Tensor) -> Tensor:
        own = [rows[int(i)] for i in chosen]
        return F.cross_entropy(plain.clip.cosine_logits(*parts(plain, params, features[own])), said[chosen])

    def alone(chosen: Tensor) -> Tensor:
        images, moved = parts(plain, params, features[chosen])
        scores = plain.clip.cosine_logits(images, moved)
        with torch.no_grad():
            guess = tfup.with_cache(plain.clip.scale, params, images, moved, alpha, beta)[:, unseen:]
            sure = F.softmax(guess, dim=1).max(1).values > threshold
        agree = F.cross_entropy(scores[sure], unseen + guess.argmax(1)[sure]) if sure.any() else 0.0
        mean = F.softmax(scores[:, unseen:], dim=1).mean(0)
        return agree + spread * (mean * torch.log(mean + 1e-6)).sum()

    for turn, (loss, count) in enumerate([(taught, len(rows)), (alone, len(features))][:phases]):
        steps = [chosen for epoch in plain.draw(count, turn) for chosen, _ in epoch]
        steps = steps[: len(steps) // epochs * ((epochs - first) if turn else first)]
        walked = (first / epochs, 1.0) if turn else (0.0, first / epochs)
        optimizer = torch.optim.AdamW(leaves, lr=learning_rate, eps=3e-3, weight_decay=weight_decay)
        scheduler = LambdaLR(optimizer, lambda step, walked=walked, steps=steps: cosine(step / len(steps), *walked))
        for chosen in steps:
            optimizer.zero_grad()
            loss(chosen).backward()
            optimizer.step()
            scheduler.step()
    return detached(params)


def cosine(done: float, first: float, last: float) -> float:
    return 0.5 * (1.0 + math.cos(math.pi * (first + (last - first) * done)))
