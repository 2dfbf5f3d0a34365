"""VP learned by SPSA-GC (Oh et al., 2023): VP's frame, BlackVIP's optimiser."""

from __future__ import annotations

from typing import Any

import torch
from tests.reference import vp
from tests.reference.answers import spsa_gc
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.nn import functional as F

SPSA = ("learning_rate", "rate_decay", "size", "size_decay", "momentum", "estimates")
start = vp.start
logits = vp.logits


def train(plain: Plain, begin: Params, **settings: Any) -> Params:
    def loss(params: Params, chosen: Tensor) -> Tensor:
        return F.cross_entropy(logits(plain, params, plain.train.pixels[chosen]), plain.train.labels[chosen])

    with torch.no_grad():
        return spsa_gc(plain, begin, vp.NAMES, loss, **{name: settings[name] for name in SPSA})
