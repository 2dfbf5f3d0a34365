"""GPF-plus: every node gets its own mixture of a few learned vectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch.nn import functional as F

from promptgrid.contract.method import Params
from promptgrid.tracks.graph.methods.parts.headed import HeadedGraph, glorot, uniform
from promptgrid.tracks.graph.seen import Seen
from promptgrid.tracks.graph.task import GraphTask


@dataclass(frozen=True)
class GPFPlus(HeadedGraph):
    """GPF-plus: x + softmax(a(x)) P: node by node an attention over k learned vectors.

    Source: Fang et al., section 3.2, equation 7.
    a is linear with a bias, as torch's Linear starts it; P (k, d) from Glorot's uniform; ``prompts`` k 10. Recipe as
    ``gpf``. Learns k d + k (d + 1) numbers and a head of C x (width + 1).
    Deviations: those of ``gpf``.
    """

    name: ClassVar[str] = "gpf_plus"
    paper: ClassVar[str] = "Fang et al., NeurIPS 2023, arXiv:2209.15240"

    prompts: int = 10

    @property
    def rules(self) -> Mapping[str, Any]:
        return {"prompts": 1}

    def start(self, task: GraphTask, rng: torch.Generator) -> Params:
        wide = task.tower.inputs
        return {
            "prompts": glorot(rng, self.prompts, wide),
            "scores": uniform(rng, self.prompts, wide, bound=wide**-0.5),
            "scores_bias": uniform(rng, self.prompts, bound=wide**-0.5),
        }

    def prompted(self, params: Params, seen: Seen, task: GraphTask) -> Seen:
        shares = F.linear(seen.x, params["scores"], params["scores_bias"]).softmax(-1)
        return seen.but(seen.x + shares @ params["prompts"])
