"""GRIP on text: CoOp in rounds, from scratch in each, on a growing share of the pool."""

from __future__ import annotations

from typing import Any

from tests.reference import coop
from tests.reference.pseudo import menghini
from tests.reference.task import Params, Pooled
from torch import Tensor

STRATEGY = "grip"


def start(plain: Pooled, drawn: Params, **settings: Any) -> Params:
    return drawn


def logits(plain: Pooled, params: Params, pixels: Tensor, **settings: Any) -> Tensor:
    return coop.logits(plain, params, pixels)


def train(plain: Pooled, begin: Params, strategy: str = STRATEGY, **settings: Any) -> Params:
    names = ("learning_rate", "weight_decay", "epochs", "confident", "rounds", "braces")
    return menghini(plain, plain.start_of, logits, strategy, **{name: settings[name] for name in names})
