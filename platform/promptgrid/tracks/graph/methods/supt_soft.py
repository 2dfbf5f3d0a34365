"""SUPT-soft: prompts of subgraphs, which a convolution assigns to nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.method import Params
from promptgrid.tracks.graph.layers import propagated
from promptgrid.tracks.graph.methods.parts.headed import HeadedGraph, glorot
from promptgrid.tracks.graph.seen import Seen
from promptgrid.tracks.graph.task import GraphTask


@dataclass(frozen=True)
class SUPTSoft(HeadedGraph):
    """SUPT-soft: x + softmax(S X W) P: k prompts, mixed at each node by scores of its surroundings.

    Source: Lee et al., section 4, from memory.
    S is the symmetrically normalised adjacency with self-loops, W (k, d) and P (k, d) from Glorot's uniform;
    ``prompts`` k 10. Recipe as ``gpf``. Learns 2 k d numbers and a head of C x (width + 1).
    Deviations: the form of the scores is from memory; those of ``gpf``.
    """

    name: ClassVar[str] = "supt_soft"
    paper: ClassVar[str] = "Lee et al., 2024, arXiv:2402.10380"

    prompts: int = 10

    @property
    def rules(self) -> Mapping[str, Any]:
        return {"prompts": 1}

    def start(self, task: GraphTask, rng: torch.Generator) -> Params:
        wide = task.tower.inputs
        return {"prompts": glorot(rng, self.prompts, wide), "scores": glorot(rng, self.prompts, wide)}

    def scores(self, params: Params, seen: Seen) -> Tensor:
        """(B, M, k) of each node for each prompt."""
        return propagated(F.linear(seen.x, params["scores"]), seen)

    def prompted(self, params: Params, seen: Seen, task: GraphTask) -> Seen:
        return seen.but(seen.x + self.scores(params, seen).softmax(-1) @ params["prompts"])
