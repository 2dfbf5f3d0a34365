"""A head of two layers on frozen class tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from promptgrid.contract.clip import Axes, Batch, Params, Recipe
from promptgrid.towers.methods.parts.headed import Headed
from promptgrid.towers.methods.parts.recipes import adamw


@dataclass(frozen=True)
class MappedHead(Headed):
    """A mapped head: a linear map of the frozen class token, and a linear head behind it; the tower stays as it is.

    Source: a control of ours, the host of ``pvp_head``.
    The map M (d, d) starts as the identity, so that it starts as a linear head. AdamW 1e-3, batch 16, 200 steps, cosine
    by step, no weight decay on M. Learns d² numbers and a head of C x (d + 1).
    """

    name: ClassVar[str] = "mapped_head"
    paper: ClassVar[str] = "control baseline"
    axes: ClassVar = Axes("classifier", "head", access="features", family="single_tower")
    needs: ClassVar[frozenset[str]] = frozenset({"unprojected"})

    def start(self, task: Any, rng: torch.Generator) -> Params:
        return {"map": torch.eye(task.tower.width)}

    def recipe(self, task: Any) -> Recipe | None:
        still = ("map", "head_bias")
        return adamw(self.learning_rate, self.weight_decay, self.steps, self.batch_size, undecayed=still)

    def features(self, params: Params, batch: Batch, task: Any) -> Tensor:
        return batch["unprojected"] @ params["map"].mT
