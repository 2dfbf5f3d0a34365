"""Fine-tuning: every weight of the graph tower moves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from promptgrid.contract.method import Params, knob
from promptgrid.contract.recipe import Number
from promptgrid.contract.task import Batch
from promptgrid.contract.taxonomy import Axes
from promptgrid.tracks.graph.methods.parts.headed import HEAD, HeadedGraph
from promptgrid.tracks.graph.task import GraphTask

OWN = "tower."


@dataclass(frozen=True)
class FineTuning(HeadedGraph):
    """Fine-tuning: a copy of every weight of the tower is learned, with a linear head on its feature.

    Source: Hu et al., section 5.
    Adam 1e-3 for the tower and 5e-3 for the head, 200 steps of at most 32 examples. Learns all of the tower and a head
    of C x (width + 1).
    Deviations: the head has five times the tower's rate; steps are counted instead of epochs.
    """

    name: ClassVar[str] = "fine_tuning"
    kind: ClassVar[str] = "weights"
    paper: ClassVar[str] = "Hu et al., ICLR 2020, arXiv:1905.12265"
    axes: ClassVar = Axes("weight_deltas", "weights", family="single_tower")
    needs: ClassVar[frozenset[str]] = frozenset({"graph", "tower", "weights"})

    learning_rate: Number = knob(1e-3, low=1e-6, high=1.0, log=True)
    head_ratio: float = 5.0

    @property
    def rates(self) -> Mapping[str, float]:
        return dict.fromkeys(HEAD, self.head_ratio)

    def start(self, task: GraphTask, rng: torch.Generator) -> Params:
        return {OWN + name: value.clone().float() for name, value in task.tower.weights().items()}

    def features(self, params: Params, batch: Batch, task: GraphTask) -> Tensor:
        weights = {name.removeprefix(OWN): value for name, value in params.items() if name.startswith(OWN)}
        found: Tensor = task.tower.features(task.tower.seen(batch), weights)
        return found
