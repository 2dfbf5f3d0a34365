"""Full fine-tuning: every weight of the tower moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from promptgrid.contract.method import Params, knob
from promptgrid.contract.recipe import Number, Recipe
from promptgrid.contract.task import Batch
from promptgrid.contract.taxonomy import Axes
from promptgrid.towers.methods.parts.headed import Headed
from promptgrid.towers.methods.parts.recipes import adamw

OWN = "tower."


@dataclass(frozen=True)
class FullFinetune(Headed):
    """Full fine-tuning: a copy of every weight of the tower is learned, with a linear head on its pooled features.

    Source: Devlin et al., section 3.2.
    AdamW 2e-5, weight decay .01 but on biases and norms, batch 16, 200 steps, cosine by step, gradients clipped to norm
    1; the head's rate is ``head_ratio`` times the tower's. Learns all of the tower and a head of C x (d + 1).
    Deviations: a cosine without warm-up where the original warms up and then falls linearly; no dropout in the tower;
    the head has a rate of its own (one rate for both leaves a new head of a small tower almost where it was).
    """

    name: ClassVar[str] = "full_finetune"
    paper: ClassVar[str] = "Devlin et al., NAACL 2019, arXiv:1810.04805"
    axes: ClassVar = Axes("weight_deltas", "weights", family="single_tower")
    needs: ClassVar[frozenset[str]] = frozenset({"tokens", "weights"})

    learning_rate: Number = knob(2e-5, low=1e-7, high=1e-2, log=True)
    head_ratio: float = 50.0

    def start(self, task: Any, rng: torch.Generator) -> Params:
        return {OWN + name: value.clone().float() for name, value in task.tower.weights().items()}

    def recipe(self, task: Any) -> Recipe | None:
        return adamw(
            self.learning_rate,
            self.weight_decay,
            self.steps,
            self.batch_size,
            rates={"head_weight": self.head_ratio, "head_bias": self.head_ratio},
            clip=1.0,
        )

    def features(self, params: Params, batch: Batch, task: Any) -> Tensor:
        found: Tensor = task.tower.features(batch, weights=own_weights(params))
        return found


def own_weights(params: Params) -> Params:
    """The learned weights among ``params``, by their names in the tower."""
    return {name.removeprefix(OWN): value for name, value in params.items() if name.startswith(OWN)}
