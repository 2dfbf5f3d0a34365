"""GRIP on text and visual tokens that meet in UPT's block; the visual ones enter once, before ln_pre."""

from __future__ import annotations

from typing import Any

from tests.reference import coop
from tests.reference.clip import inserting
from tests.reference.pseudo import menghini
from tests.reference.task import Params, Pooled
from tests.reference.upt import mixed
from torch import Tensor


def start(plain: Pooled, drawn: Params, **settings: Any) -> Params:
    return drawn


def logits(plain: Pooled, params: Params, pixels: Tensor, **settings: Any) -> Tensor:
    context, layers = mixed(params | {"tokens": params["tokens"][None]}, attends="across")
    with inserting(plain.clip.model.visual, layers[0], "after_class", True):
        images = plain.clip.image(pixels)
    return plain.clip.cosine_logits(images, plain.clip.encode(*coop.prompts(plain, context)))


def train(plain: Pooled, begin: Params, strategy: str, **settings: Any) -> Params:
    names = ("learning_rate", "weight_decay", "epochs", "confident", "rounds")
    return menghini(plain, plain.start_of, logits, strategy, **{name: settings[name] for name in names})
