"""Adapters: bottlenecks behind attention and MLP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from promptgrid.contract.edits import Adapter, Edits, Sublayer
from promptgrid.contract.method import Params
from promptgrid.contract.taxonomy import Axes
from promptgrid.towers.methods.parts.headed import Headed, normal

SUBLAYERS: tuple[Sublayer, ...] = ("attention", "mlp")


@dataclass(frozen=True)
class Adapters(Headed):
    """Adapters: h + W_u GELU(W_d h + b) + c behind both sublayers of every block, and a linear head.

    Source: Houlsby et al., section 2.
    W_d (r, d) and W_u (d, r) start from N(0, 1e-4), biases from zero, so that the tower starts nearly as it was.
    ``bottleneck`` r is 16; AdamW 1e-3, batch 16, 200 steps, cosine by step. Learns layers x 2 x (2 r d + r + d)
    numbers and a head of C x (d + 1).
    Deviations: LayerNorms stay frozen (the original learns them, which is ``ln_tuning``'s idea); the recipe is ours.
    """

    name: ClassVar[str] = "adapter"
    paper: ClassVar[str] = "Houlsby et al., ICML 2019, arXiv:1902.00751"
    axes: ClassVar = Axes("adapter", "weights", family="single_tower")
    needs: ClassVar[frozenset[str]] = frozenset({"tokens", "blocks"})

    bottleneck: int = 16

    @property
    def rules(self) -> Mapping[str, Any]:
        return {"bottleneck": 1}

    def start(self, task: Any, rng: torch.Generator) -> Params:
        width, stacked = task.tower.width, (task.tower.layers, len(SUBLAYERS))
        return {
            "down": normal(rng, *stacked, self.bottleneck, width, std=1e-2),
            "up": normal(rng, *stacked, width, self.bottleneck, std=1e-2),
            "down_bias": torch.zeros(*stacked, self.bottleneck),
            "up_bias": torch.zeros(*stacked, width),
        }

    def edits(self, params: Params, task: Any) -> Edits | None:
        places = [(layer, i) for layer in range(task.tower.layers) for i in range(len(SUBLAYERS))]
        down, up, low, high = (params[name] for name in ("down", "up", "down_bias", "up_bias"))
        found = {
            (layer, SUBLAYERS[i]): Adapter(down[layer, i], up[layer, i], low[layer, i], high[layer, i])
            for layer, i in places
        }
        return Edits(adapters=found, seed=task.seed)
