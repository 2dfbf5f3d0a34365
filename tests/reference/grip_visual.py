"""GRIP on visual tokens: shallow VPT behind CLS, before ln_pre, in rounds."""

from __future__ import annotations

from typing import Any

from tests.reference import vpt
from tests.reference.pseudo import menghini
from tests.reference.task import Params, Pooled
from torch import Tensor


def start(plain: Pooled, drawn: Params, **settings: Any) -> Params:
    return drawn


def logits(plain: Pooled, params: Params, pixels: Tensor, **settings: Any) -> Tensor:
    return vpt.logits(plain, {"tokens": params["tokens"][None]}, pixels, "after_class", True, texts="dataset")


def train(plain: Pooled, begin: Params, strategy: str, **settings: Any) -> Params:
    names = ("learning_rate", "weight_decay", "epochs", "confident", "rounds")
    return menghini(plain, plain.start_of, logits, strategy, **{name: settings[name] for name in names})
