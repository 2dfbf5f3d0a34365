"""LoRA: low-rank changes of attention's projections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from promptgrid.contract.edits import Edits, LowRank, Part
from promptgrid.contract.method import Params, knob
from promptgrid.contract.recipe import Number
from promptgrid.contract.taxonomy import Axes
from promptgrid.towers.methods.parts.headed import Headed

PARTS: tuple[Part, ...] = ("q", "v")


@dataclass(frozen=True)
class LoRA(Headed):
    """LoRA: W + (alpha / r) B A on the queries and values of every block, and a linear head.

    Source: Hu et al., section 4.
    A starts as torch's Linear, U(±1/√d), B at zero; ``rate`` drops inputs of the changes while training. r 8, alpha 16,
    AdamW 1e-3, batch 16, 200 steps, cosine by step. Learns layers x 2 x 2 r d numbers and a head of C x (d + 1).
    Deviations: the recipe is ours.
    """

    name: ClassVar[str] = "lora"
    paper: ClassVar[str] = "Hu et al., ICLR 2022, arXiv:2106.09685"
    axes: ClassVar = Axes("weight_deltas", "weights", family="single_tower")
    needs: ClassVar[frozenset[str]] = frozenset({"tokens", "blocks"})

    rank: int = 8
    alpha: Number = knob(16.0, low=0.1, high=64.0, log=True)
    rate: float = 0.1

    @property
    def rules(self) -> Mapping[str, Any]:
        return {"rank": 1, "rate": 0.99}

    def start(self, task: Any, rng: torch.Generator) -> Params:
        width, stacked = task.tower.width, (task.tower.layers, len(PARTS))
        down = (torch.rand(*stacked, self.rank, width, generator=rng) * 2 - 1) * width**-0.5
        return {"down": down, "up": torch.zeros(*stacked, width, self.rank)}

    def edits(self, params: Params, task: Any) -> Edits | None:
        places = [(layer, i) for layer in range(task.tower.layers) for i in range(len(PARTS))]
        scale = self.alpha / self.rank
        deltas = {
            (layer, PARTS[i]): LowRank(
                params["down"][layer, i], params["up"][layer, i], scale, self.rate, len(PARTS) * layer + i
            )
            for layer, i in places
        }
        return Edits(deltas=deltas, seed=task.seed)
