"""open_clip's own modules with other numbers in place of some of their weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from tests.reference.clip import said
from tests.reference.descent import Loss, by_epoch, leaves_of
from tests.reference.task import Params, Plain
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR


class _Asked(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ask: Callable[[Any], Tensor]) -> Tensor:
        return ask(self.model)


def rewritten(model: nn.Module, weights: Params, ask: Callable[[Any], Tensor]) -> Tensor:
    """``ask(model)`` while ``weights``, by their names in the model, stand in it."""
    named = {f"model.{name}": value for name, value in weights.items()}
    return torch.func.functional_call(_Asked(model), named, (ask,), strict=False)


def added(model: nn.Module, changes: Params) -> Params:
    """The model's own weights with ``changes`` added to them."""
    own = dict(model.named_parameters())
    return {name: own[name].detach() + change for name, change in changes.items()}


def logits(plain: Plain, weights: Params, pixels: Tensor) -> Tensor:
    """Cosine logits of images and of the dataset's template, with ``weights`` in place."""
    images = rewritten(plain.clip.model, weights, lambda model: model.encode_image(plain.clip.normalise(pixels)))
    tokens = plain.clip.tokenizer([plain.template.format(said(name)) for name in plain.classes])
    return plain.clip.cosine_logits(images, rewritten(plain.clip.model, weights, lambda m: m.encode_text(tokens)))


def blocks_of(tower: str) -> str:
    """Where the blocks of a tower stand in an open_clip model."""
    return "visual.transformer.resblocks" if tower == "vision" else "transformer.resblocks"


def depth_of(plain: Plain, tower: str) -> int:
    model = plain.clip.model
    return len((model.visual if tower == "vision" else model).transformer.resblocks)


def fitted(plain: Plain, begin: Params, optimizer: type, rate: float, decay: float, loss: Loss) -> Params:
    """All parameters by ``optimizer``, cosine by epoch without warm-up."""
    params, leaves = leaves_of(begin, list(begin))
    descent = optimizer(leaves, lr=rate, weight_decay=decay)

    def backward(leaves: list[Tensor], params: Params, chosen: Tensor, seed: int) -> None:
        loss(params, chosen, seed).backward()

    return by_epoch(plain, params, leaves, descent, CosineAnnealingLR(descent, T_max=len(plain.batches)), backward)
