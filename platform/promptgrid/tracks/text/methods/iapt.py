"""IAPT: prompt tokens that each layer makes from the text itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.edits import Edits
from promptgrid.contract.method import Params
from promptgrid.contract.taxonomy import Axes
from promptgrid.towers.methods.parts.headed import normal
from promptgrid.tracks.text.edits import Generated, Generator, TextEdits
from promptgrid.tracks.text.methods.parts.answers import ANSWERS, Answering
from promptgrid.tracks.text.methods.parts.rational import gelu_start, rational
from promptgrid.tracks.text.reading import Sequence, Text, sequence
from promptgrid.tracks.text.task import TextTask

ACTIVATIONS = ("rational", "gelu", "relu")


@dataclass(frozen=True)
class IAPT(Answering):
    """IAPT: before every layer k tokens, made from the hidden states of the text, take the last layer's tokens' place.

    Source: Zhu et al., sections on prompt generators, self-attention pooling and learned activations.
    Z = H W_d (d to r), a = softmax over the text of (Z W_p)ᵀ (k rows), tokens = ρ(a Z) W_u. ρ is a quotient of
    polynomials of degree 5 and 4 for each layer, started at GELU; ``activation`` takes ``gelu`` or ``relu`` instead.
    ``shared``: all layers have one W_d and W_u. Matrices start from N(0, .02²). k 4, r 16; AdamW .005, batch 16, 200
    steps, cosine by step. Learns 2 d r + layers x (k r + 10) numbers when shared and a head of C x (d + 1).
    Deviations: no code is public; k, r, the polynomials' degrees and the starts are our reading; the paper tunes a
    causal model on instructions, here an encoder reads the text.
    """

    name: ClassVar[str] = "iapt"
    paper: ClassVar[str] = "Zhu et al., ACL 2024, arXiv:2405.18203"
    axes: ClassVar = Axes("prompt_network", "weights", prompt="soft_prefix", family="single_tower")
    needs: ClassVar[frozenset[str]] = frozenset({"tokens", "blocks"})

    prompt_length: int = 4
    bottleneck: int = 16
    activation: Literal["rational", "gelu", "relu"] = "rational"
    shared: bool = True

    @property
    def rules(self) -> Mapping[str, Any]:
        return {"answers": ANSWERS, "activation": ACTIVATIONS, "prompt_length": 1, "bottleneck": 1}

    def start(self, task: TextTask, rng: torch.Generator) -> Params:
        width, layers = task.backbone.width, task.backbone.layers
        maps = 1 if self.shared else layers
        own = {
            "down": normal(rng, maps, width, self.bottleneck),
            "pool": normal(rng, layers, self.bottleneck, self.prompt_length),
            "up": normal(rng, maps, self.bottleneck, width),
        }
        if self.activation == "rational":
            own["activation"] = gelu_start().repeat(layers, 1)
        return own

    def enter(self, params: Params, text: Text, task: TextTask) -> Sequence:
        slots = params["down"].new_zeros(self.prompt_length, task.backbone.width)
        return sequence(task.backbone, text, slots)

    def inside(self, params: Params, task: TextTask) -> Edits | None:
        made = {layer: self._generator(params, layer) for layer in range(task.backbone.layers)}
        return TextEdits(generated=Generated(made, self.prompt_length), seed=task.seed)

    def _generator(self, params: Params, layer: int) -> Generator:
        own = 0 if self.shared else layer

        def tokens(hidden: Tensor, mask: Tensor) -> Tensor:
            low = hidden @ params["down"][own]
            scores = (low @ params["pool"][layer]).masked_fill(~mask[..., None], float("-inf"))
            return self._bend(scores.softmax(-2).mT @ low, params, layer) @ params["up"][own]

        return tokens

    def _bend(self, x: Tensor, params: Params, layer: int) -> Tensor:
        if self.activation == "rational":
            return rational(x, params["activation"][layer])
        return F.gelu(x) if self.activation == "gelu" else F.relu(x)
