"""PRE: V' = V + BiLSTM(V), the LSTM torch's own (Minh et al., 2023)."""

from __future__ import annotations

from typing import Any

import torch
from tests.reference import coop
from tests.reference.descent import sgd
from tests.reference.task import Params, Plain
from torch import Tensor, nn
from torch.nn import functional as F

MODULES = {
    "weight_ih": "weight_input",
    "weight_hh": "weight_hidden",
    "bias_ih": "bias_input",
    "bias_hh": "bias_hidden",
}


def start(plain: Plain, drawn: Params, words: str = "a photo of a", **settings: Any) -> Params:
    """The encoder as torch starts an LSTM: U(±1/sqrt(hidden))."""
    bound = drawn["weight_hidden"].shape[-1] ** -0.5
    for name in MODULES.values():
        assert 0.9 * bound < float(drawn[name].abs().max()) <= bound
    return drawn | {"context": plain.clip.words(words)} if words else drawn


def logits(plain: Plain, params: Params, pixels: Tensor, **settings: Any) -> Tensor:
    context = params["context"]
    width = context.shape[-1]
    encoder = nn.LSTM(width, width // 2, num_layers=1, bidirectional=True, batch_first=True).to(context.dtype)
    weights = {
        f"{theirs}_l0{way}": params[ours][row]
        for theirs, ours in MODULES.items()
        for row, way in enumerate(("", "_reverse"))
    }
    seen, _ = torch.func.functional_call(encoder, weights, (context[None],))
    texts = plain.clip.encode(*coop.prompts(plain, context + seen[0]))
    return plain.clip.cosine_logits(plain.clip.image(pixels), texts)


def train(plain: Plain, begin: Params, learning_rate: float, weight_decay: float, **settings: Any) -> Params:
    def loss(params: Params, chosen: Tensor, seed: int) -> Tensor:
        return F.cross_entropy(logits(plain, params, plain.train.pixels[chosen]), plain.train.labels[chosen])

    return sgd(plain, begin, list(begin), loss, learning_rate, weight_decay)
