"""GCN from scratch: what a graph network learns from the few labels alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.method import Params, knob
from promptgrid.contract.randomness import dropout
from promptgrid.contract.recipe import Number
from promptgrid.contract.task import Batch
from promptgrid.contract.taxonomy import Axes
from promptgrid.tracks.graph.layers import propagated
from promptgrid.tracks.graph.methods.parts.headed import HeadedGraph, glorot
from promptgrid.tracks.graph.seen import Seen
from promptgrid.tracks.graph.task import GraphTask


@dataclass(frozen=True)
class GCNScratch(HeadedGraph):
    """GCN from scratch: two layers of a graph convolution and a head, drawn at random, learned from the few labels.

    Source: Kipf and Welling, sections 3 and 5.2.
    ReLU(S ReLU(S X W1) W2), hidden 64, dropout .5 on both inputs, weight decay 5e-4, Adam .01, 200 steps. Read is the
    state of the node itself; of whole graphs the mean. No frozen tower is asked. Learns d x 64 + 64 x 64 and a head.
    Deviations: examples are a node's surroundings of at most 20 nodes, not the whole graph in one batch; the second
    layer is as wide as the first and a head follows; weight decay on all weights.
    """

    name: ClassVar[str] = "gcn_scratch"
    kind: ClassVar[str] = "weights"
    paper: ClassVar[str] = "Kipf and Welling, ICLR 2017, arXiv:1609.02907"
    axes: ClassVar = Axes("weight_deltas", "weights", family="single_tower")
    needs: ClassVar[frozenset[str]] = frozenset({"graph"})

    learning_rate: Number = knob(1e-2, low=1e-6, high=1.0, log=True)
    weight_decay: Number = knob(5e-4, low=0.0, high=0.1)
    hidden: int = 64
    rate: float = 0.5

    @property
    def rules(self) -> Mapping[str, Any]:
        return {"hidden": 1, "rate": 0.99}

    def read(self, task: GraphTask) -> int:
        return self.hidden

    def start(self, task: GraphTask, rng: torch.Generator) -> Params:
        return {"first": glorot(rng, self.hidden, task["wide"]), "second": glorot(rng, self.hidden, self.hidden)}

    def features(self, params: Params, batch: Batch, task: GraphTask) -> Tensor:
        seen = Seen.of(batch)
        states = dropout(seen.x, self.rate, task.seed, 1)
        states = torch.relu(propagated(F.linear(states, params["first"]), seen))
        states = dropout(states, self.rate, task.seed, 2)
        states = torch.relu(propagated(F.linear(states, params["second"]), seen)) * seen.there.unsqueeze(-1)
        return states[:, 0] if "kinds" not in batch else seen.mean(states)
