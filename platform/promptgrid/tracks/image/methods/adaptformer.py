"""AdaptFormer: a bottleneck beside the MLP of every block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from promptgrid.contract.clip import Axes, Edits, Number, Params, knob
from promptgrid.contract.edits import Parallel
from promptgrid.towers.methods.parts.headed import Headed


@dataclass(frozen=True)
class AdaptFormer(Headed):
    """AdaptFormer: s (ReLU(x W_d + b) W_u + c) is added beside the MLP of every block, and a linear head.

    Source: Chen et al., section 3.2; ShoufaChen/AdaptFormer (``custom_modules.py``).
    x enters the MLP's half, before its norm. W_d (r, d) starts from U(±1/√d), W_u and biases from zero, so that the
    tower starts as it was; ``bottleneck`` r is 64 and ``scale`` s .1. Learns layers x (2 r d + r + d) numbers and a
    head of C x (d + 1): 1,189,632 and the head on ViT-B/16.
    Deviations: no dropout inside the bottleneck (.1 there); AdamW 1e-3, batch 16, 200 steps, cosine by step, where the
    original has SGD .05 for 100 epochs and a BatchNorm in front of the head.
    """

    name: ClassVar[str] = "adaptformer"
    paper: ClassVar[str] = "Chen et al., NeurIPS 2022, arXiv:2205.13535"
    axes: ClassVar = Axes("adapter", "weights", family="single_tower")
    needs: ClassVar[frozenset[str]] = frozenset({"tokens", "blocks"})

    bottleneck: int = 64
    scale: Number = knob(0.1, low=0.0, high=10.0)

    @property
    def rules(self) -> Mapping[str, Any]:
        return {"bottleneck": 1}

    def start(self, task: Any, rng: torch.Generator) -> Params:
        layers, width = task.tower.layers, task.tower.width
        return {
            "down": (torch.rand(layers, self.bottleneck, width, generator=rng) * 2 - 1) * width**-0.5,
            "up": torch.zeros(layers, width, self.bottleneck),
            "down_bias": torch.zeros(layers, self.bottleneck),
            "up_bias": torch.zeros(layers, width),
        }

    def edits(self, params: Params, task: Any) -> Edits | None:
        down, up, low, high = (params[name] for name in ("down", "up", "down_bias", "up_bias"))
        layers = range(task.tower.layers)
        return Edits(parallel={at: Parallel(down[at], up[at], low[at], high[at], self.scale) for at in layers})
