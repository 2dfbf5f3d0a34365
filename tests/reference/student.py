"""What LaFTer and NoLA teach: open_clip's own image tower with LayerNorms of its own, prompts, and a linear head."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from tests.reference.clip import inserting, said
from tests.reference.descent import detached, leaves_of
from tests.reference.task import Params, Pooled
from torch import Tensor
from torch.nn import functional as F

LEARNED = ("tokens", "norm_weights", "norm_biases", "head")


def looked_at(plain: Pooled, params: Params, pixels: Tensor) -> Tensor:
    """(B, width), with every LayerNorm's weight and bias replaced by the frozen ones plus the shifts, behind tokens."""
    with inserting(plain.clip.model.visual, params["tokens"], "after_class", False):
        return moved(plain, params, pixels)


def moved(plain: Pooled, params: Params, pixels: Tensor) -> Tensor:
    """(B, width) by the tower whose LayerNorms have moved."""
    visual = plain.clip.model.visual
    blocks = visual.transformer.resblocks
    norms = ["ln_pre", *(f"transformer.resblocks.{i}.ln_{j}" for i in range(len(blocks)) for j in (1, 2)), "ln_post"]
    frozen = dict(visual.named_parameters())
    shifted = {}
    for name, weight, bias in zip(norms, params["norm_weights"], params["norm_biases"], strict=True):
        shifted[f"{name}.weight"] = frozen[f"{name}.weight"] + weight
        shifted[f"{name}.bias"] = frozen[f"{name}.bias"] + bias
    features: Tensor = torch.func.functional_call(visual, shifted, (plain.clip.normalise(pixels),))
    return features


def logits(plain: Pooled, params: Params, pixels: Tensor, **settings: Any) -> Tensor:
    return looked_at(plain, params, pixels) @ params["head"].T


def sentences(plain: Pooled) -> list[tuple[int, str]]:
    """(class, sentence): descriptions, then the template, class by class."""
    return [
        (label, sentence)
        for label, name in enumerate(plain.classes)
        for sentence in (*plain.said[name], plain.template.format(said(name)))
    ]


def bound_of(plain: Pooled) -> float:
    return float((6.0 / (3 * 16 * 16 + plain.clip.model.visual.conv1.out_channels)) ** 0.5)


def check_start(plain: Pooled, drawn: Params) -> Params:
    """What is known of the student's start; tokens are random."""
    bound = bound_of(plain)
    assert 0.9 * bound < float(drawn["tokens"].abs().max()) <= bound
    return {name: torch.zeros_like(drawn[name]) for name in ("norm_weights", "norm_biases")}


def train(
    plain: Pooled, begin: Params, guess: Callable[[Params, Tensor], Tensor], learning_rate: float, weight_decay: float
) -> Params:
    """AdamW without decay on biases, at a constant rate; the label is a guess, at each step, on the image itself."""
    params, _ = leaves_of(begin, LEARNED)
    groups = [
        {"params": [params[name] for name in ("tokens", "norm_weights", "head")], "weight_decay": weight_decay},
        {"params": [params["norm_biases"]], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=learning_rate)
    for steps in plain.draw(len(plain.pool), 0):
        for rows, _ in steps:
            optimizer.zero_grad()
            with torch.no_grad():
                labels = guess(params, plain.pool[rows])
            spoken = F.log_softmax(logits(plain, params, plain.pool[rows]), dim=1)
            right = F.nll_loss(spoken, labels)
            (0.9 * right + 0.1 * -spoken.mean(1).mean()).backward()
            optimizer.step()
    return detached(params)
