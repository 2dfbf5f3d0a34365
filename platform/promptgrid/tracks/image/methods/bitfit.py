"""BitFit: the biases of the towers move, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from promptgrid.contract.clip import Edits, Number, Params, Task, knob
from promptgrid.contract.clip.backbone import TowerShape
from promptgrid.contract.edits import Part
from promptgrid.tracks.image.methods.ln_tuning import LNTuning
from promptgrid.tracks.image.methods.parts.norms import norm_places, shifts

NARROW: tuple[Part, ...] = ("q", "v", "out", "proj")
"""Projections onto a tower's width; keys are not among them: softmax does not see a bias that all keys share."""


@dataclass(frozen=True)
class BitFit(LNTuning):
    """BitFit: the biases of projections and LayerNorms of the image tower, or of both towers.

    Source: Ben Zaken et al., section 3, which is about BERT.
    Learned is what is added, from zero, to the biases of queries, values, attention's output, both layers of the MLP
    (four times as wide, as in CLIP) and of every LayerNorm. ``towers``, texts and recipe as LayerNorm tuning.
    Learns 12 x 8 x 768 + 26 x 768 = 93,696 numbers on ViT-B/16, with both towers 155,648.
    Deviations: biases of keys stay (softmax is blind to them, so they would follow rounding); no classifier is
    learned beside the biases, CLIP's texts are it; the recipe is ours.
    """

    name: ClassVar[str] = "bitfit"
    paper: ClassVar[str] = "Ben Zaken et al., ACL 2022, arXiv:2106.10199"

    learning_rate: Number = knob(0.001, low=1e-6, high=1.0, log=True)

    def of_tower(self, tower: str, shape: TowerShape, task: Task, rng: torch.Generator) -> Params:
        return {
            f"{tower}_norms": torch.zeros(len(norm_places(task.backbone, tower)), shape.width),
            f"{tower}_narrow": torch.zeros(shape.layers, len(NARROW), shape.width),
            f"{tower}_wide": torch.zeros(shape.layers, 4 * shape.width),
        }

    def edits(self, tower: str, params: Params, task: Task) -> Edits:
        biases: dict[tuple[int, Part], Tensor] = {}
        for layer, (narrow, wide) in enumerate(zip(params[f"{tower}_narrow"], params[f"{tower}_wide"], strict=True)):
            biases |= {(layer, part): own for part, own in zip(NARROW, narrow.unbind(0), strict=True)}
            biases[layer, "fc"] = wide
        places = norm_places(task.backbone, tower)
        return Edits(norms=shifts(places, params[f"{tower}_norms"]), biases=biases)
