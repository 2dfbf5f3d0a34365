"""PromptAlign: MaPLe's prompts, TPT's entropy and the distance of token statistics (Abdul Samadh et al., 2023)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from tests.reference import maple, tpt
from tests.reference.task import Params, Plain
from torch import Tensor

NAMES = maple.NAMES
logits = maple.logits


def start(plain: Plain, drawn: Params, depth: int = 3, **settings: Any) -> Params:
    """MaPLe's start; the statistics are filled in behind training."""
    prompts = {name: value for name, value in drawn.items() if name in NAMES}
    empty = {name: torch.zeros_like(drawn[name]) for name in ("means", "variances")}
    return maple.start(plain, prompts, depth=depth) | empty


def train(plain: Plain, begin: Params, learning_rate: float, weight_decay: float, **settings: Any) -> Params:
    prompts = {name: begin[name] for name in NAMES}
    learned = maple.train(plain, prompts, learning_rate, weight_decay)
    with torch.no_grad():
        means, variances = statistics(plain, learned, plain.train.pixels, settings.get("layers", 3))
    return learned | {"means": means, "variances": variances}


@contextmanager
def listening(plain: Plain, layers: int) -> Iterator[list[Tensor]]:
    """What enters the first ``layers`` - 1 blocks of the image tower, prompts included, in order."""
    heard: list[Tensor] = []
    blocks = plain.clip.model.visual.transformer.resblocks
    handles = [
        block.ln_1.register_forward_hook(lambda module, args, output: heard.append(args[0]))
        for block in list(blocks)[: layers - 1]
    ]
    try:
        yield heard
    finally:
        for handle in handles:
            handle.remove()


def statistics(plain: Plain, params: Params, pixels: Tensor, layers: int) -> tuple[Tensor, Tensor]:
    """Means and variances over images, (layers - 1, tokens, width)."""
    with listening(plain, layers) as heard:
        maple.logits(plain, params, pixels)
    seen = torch.stack(heard)
    return seen.mean(1), ((seen - seen.mean(1, keepdim=True)) ** 2).mean(1)


def answer(plain: Plain, begin: Params, seen: Tensor, **settings: Any) -> Tensor:
    params = {name: begin[name].detach().clone().requires_grad_() for name in NAMES}
    rate, decay = settings.get("tuning_rate", 5e-4), settings.get("tuning_decay", 0.01)
    layers, weight = settings.get("layers", 3), settings.get("alignment", 100.0)
    optimizer = torch.optim.AdamW(params.values(), lr=rate, weight_decay=decay)
    chosen = None
    for _ in range(settings.get("tuning_steps", 1)):
        scores = maple.logits(plain, params, seen)
        if chosen is None:
            chosen = tpt.choose(scores.detach(), seen, kept=settings.get("kept", 0.1))
        means, variances = statistics(plain, params, seen[chosen], layers)
        far = [
            0.5 * (a - b).abs().mean()
            for own, wanted in ((means, begin["means"]), (variances, begin["variances"]))
            for a, b in zip(own, wanted, strict=True)
        ]
        loss = tpt.of_the_mean(scores[chosen]) + weight / layers * torch.stack(far).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        return maple.logits(plain, params, seen[:1])[0]
