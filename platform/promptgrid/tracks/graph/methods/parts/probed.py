"""Logistic regression on one row of numbers an example."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.method import Params
from promptgrid.contract.task import Batch
from promptgrid.towers.methods.linear_probe import LinearProbe
from promptgrid.tracks.graph.task import GraphTask


@dataclass(frozen=True)
class Probed(LinearProbe):
    """:class:`LinearProbe` on the one column that ``needs`` names."""

    def width(self, task: GraphTask) -> int:
        """How wide the column is."""
        return int(task["wide"])

    def init(self, task: GraphTask, rng: torch.Generator) -> Params:
        classes = len(task.classes)
        return {"weight": torch.zeros(classes, self.width(task)), "bias": torch.zeros(classes)}

    def predict(self, params: Params, batch: Batch, task: GraphTask, once: Any = None) -> Tensor:
        (column,) = self.needs
        return F.linear(batch[column], params["weight"], params["bias"])
