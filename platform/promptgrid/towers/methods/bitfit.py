"""BitFit: the biases of the tower move, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from promptgrid.contract.edits import Edits, NormShift, Part
from promptgrid.contract.method import Params
from promptgrid.towers.methods.ln_tuning import LNTuning

NARROW: tuple[Part, ...] = ("q", "v", "out", "proj")
"""Projections onto the tower's width; keys are not among them: softmax does not see a bias that all keys share."""


@dataclass(frozen=True)
class BitFit(LNTuning):
    """BitFit: the biases of all projections and LayerNorms of the tower, and a linear head.

    Source: Ben Zaken et al., section 3.
    Learned is what is added, from zero, to the biases of queries, values, attention's output, both layers of the MLP
    and every LayerNorm. AdamW 1e-3, no weight decay, batch 16, 200 steps, cosine by step. Learns
    layers x (4 d + h) + norms x d numbers, h the MLP's width, and a head of C x (d + 1).
    Deviations: biases of keys stay (softmax is blind to them, so they would follow rounding); the recipe is ours.
    """

    name: ClassVar[str] = "bitfit"
    paper: ClassVar[str] = "Ben Zaken et al., ACL 2022, arXiv:2106.10199"

    def start(self, task: Any, rng: torch.Generator) -> Params:
        tower = task.tower
        return {
            "norm_biases": torch.zeros(len(tower.norms), tower.width),
            "narrow": torch.zeros(tower.layers, len(NARROW), tower.width),
            "wide": torch.zeros(tower.layers, tower.mlp_width),
        }

    def edits(self, params: Params, task: Any) -> Edits | None:
        biases: dict[tuple[int, Part], Tensor] = {}
        for layer, (narrow, wide) in enumerate(zip(params["narrow"], params["wide"], strict=True)):
            biases |= {(layer, part): own for part, own in zip(NARROW, narrow.unbind(0), strict=True)}
            biases[layer, "fc"] = wide
        rows = zip(task.tower.norms, params["norm_biases"], strict=True)
        return Edits(norms={place: NormShift(None, bias) for place, bias in rows}, biases=biases, seed=task.seed)
