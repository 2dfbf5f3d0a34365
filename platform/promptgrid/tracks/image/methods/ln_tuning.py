"""LayerNorm tuning: the norms of the towers move, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from promptgrid.contract.clip import AdamW, Axes, Batches, Cosine, Edits, Number, Params, Recipe, Task, knob
from promptgrid.contract.clip.backbone import TowerShape
from promptgrid.tracks.image.methods.parts.norms import norm_places, shifts
from promptgrid.tracks.image.methods.parts.towers import TowerEdits


@dataclass(frozen=True)
class LNTuning(TowerEdits):
    """LayerNorm tuning: weights and biases of the LayerNorms of the image tower, or of both towers.

    Source: a control without a paper of its own; the norms of the image tower are among what LaFTer, NoLA (ffd99ac)
    and MoCoOp (dyabel/mocoop 04b5d2a) learn.
    Learned is what is added to weight and bias, from zero, of both norms of each block, of ``ln_pre`` and ``ln_post``
    (``towers: both``: and of the text tower, with ``ln_final``). Texts are the dataset's template; with ``both`` they
    are encoded at each step. AdamW .001, no weight decay, batch 32, 50 epochs, cosine by epoch without warm-up.
    Learns 2 x 26 x 768 = 39,936 numbers on ViT-B/16, with both towers 65,536.
    Deviations: the recipe is ours.
    """

    name: ClassVar[str] = "ln_tuning"
    paper: ClassVar[str] = "control baseline, after LaFTer, NeurIPS 2023, arXiv:2305.18287"
    axes: ClassVar = Axes("norms_biases", "weights")
    zero_shot_at_start: ClassVar[bool] = True

    learning_rate: Number = knob(0.001, low=1e-6, high=1.0, log=True)
    weight_decay: Number = knob(0.0, low=0.0, high=0.1)

    def of_tower(self, tower: str, shape: TowerShape, task: Task, rng: torch.Generator) -> Params:
        own = torch.zeros(len(norm_places(task.backbone, tower)), shape.width)
        return {f"{tower}_weights": own, f"{tower}_biases": own.clone()}

    def edits(self, tower: str, params: Params, task: Task) -> Edits:
        places = norm_places(task.backbone, tower)
        return Edits(norms=shifts(places, params[f"{tower}_biases"], params[f"{tower}_weights"]))

    def recipe(self, task: Task) -> Recipe:
        return Recipe(AdamW(self.learning_rate, self.weight_decay), self.epochs, Batches(self.batch_size), Cosine())
