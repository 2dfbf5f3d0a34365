"""LayerNorm tuning: the norms of the tower move, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from promptgrid.contract.edits import Edits, NormShift
from promptgrid.contract.method import Params, knob
from promptgrid.contract.recipe import Number
from promptgrid.contract.taxonomy import Axes
from promptgrid.towers.methods.parts.headed import Headed


@dataclass(frozen=True)
class LNTuning(Headed):
    """LayerNorm tuning: weights and biases of all LayerNorms of the tower, and a linear head.

    Source: a control without a paper of its own; the norms are among what many methods learn.
    Learned is what is added to weight and bias, from zero. AdamW 1e-3, no weight decay, batch 16, 200 steps, cosine by
    step. Learns 2 x norms x d numbers and a head of C x (d + 1).
    Deviations: the recipe is ours.
    """

    name: ClassVar[str] = "ln_tuning"
    paper: ClassVar[str] = "control baseline"
    axes: ClassVar = Axes("norms_biases", "weights", family="single_tower")
    needs: ClassVar[frozenset[str]] = frozenset({"tokens", "blocks"})

    weight_decay: Number = knob(0.0, low=0.0, high=0.1)

    def start(self, task: Any, rng: torch.Generator) -> Params:
        own = torch.zeros(len(task.tower.norms), task.tower.width)
        return {"norm_weights": own, "norm_biases": own.clone()}

    def edits(self, params: Params, task: Any) -> Edits | None:
        rows = zip(task.tower.norms, params["norm_weights"], params["norm_biases"], strict=True)
        return Edits(norms={place: NormShift(weight, bias) for place, weight, bias in rows}, seed=task.seed)
