"""GPF: one vector is added to the features of every node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from promptgrid.contract.method import Params
from promptgrid.tracks.graph.methods.parts.headed import HeadedGraph, glorot
from promptgrid.tracks.graph.seen import Seen
from promptgrid.tracks.graph.task import GraphTask


@dataclass(frozen=True)
class GPF(HeadedGraph):
    """GPF: a learned vector p is added to the features of every node, and a linear head reads the frozen tower.

    Source: Fang et al., section 3.2, equation 5.
    p starts from Glorot's uniform. Adam 5e-3, 200 steps of at most 32 examples. Learns d numbers and a head of
    C x (width + 1).
    Deviations: the recipe is ours, the same for all methods of this wing; the head is one layer.
    """

    name: ClassVar[str] = "gpf"
    paper: ClassVar[str] = "Fang et al., NeurIPS 2023, arXiv:2209.15240"

    def start(self, task: GraphTask, rng: torch.Generator) -> Params:
        return {"prompt": glorot(rng, 1, task.tower.inputs)}

    def prompted(self, params: Params, seen: Seen, task: GraphTask) -> Seen:
        return seen.but(seen.x + params["prompt"])
