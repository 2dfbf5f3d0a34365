"""SUPT-hard: each prompt goes to the nodes that score highest for it, and to no other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from promptgrid.contract.method import Params
from promptgrid.tracks.graph.methods.supt_soft import SUPTSoft
from promptgrid.tracks.graph.seen import Seen
from promptgrid.tracks.graph.task import GraphTask


@dataclass(frozen=True)
class SUPTHard(SUPTSoft):
    """SUPT-hard: of each of k prompts the share ``kept`` of the nodes that score highest get it, times tanh(score).

    Source: Lee et al., section 4, from memory; the choice is that of top-k pooling.
    At least one node; ties go to the first. ``kept`` .3. Recipe and parameters as ``supt_soft``.
    Deviations: the form of the scores is from memory; those of ``gpf``.
    """

    name: ClassVar[str] = "supt_hard"

    kept: float = 0.3

    @property
    def rules(self) -> Mapping[str, Any]:
        return {"prompts": 1, "kept": 1.0}

    def prompted(self, params: Params, seen: Seen, task: GraphTask) -> Seen:
        scores = self.scores(params, seen)
        there = seen.there.unsqueeze(-1)
        order = torch.where(there, scores, -torch.inf).argsort(dim=1, descending=True, stable=True)
        ranks = order.argsort(dim=1, stable=True)
        most = (self.kept * there.sum(1, keepdim=True)).ceil().clamp(min=1.0)
        chosen = (ranks < most) & there
        return seen.but(seen.x + (chosen * torch.tanh(scores)) @ params["prompts"])
