"""GPPT: a node's class is the task token that it would be linked to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from promptgrid.contract.method import Params, knob
from promptgrid.contract.recipe import Number
from promptgrid.contract.task import Batch
from promptgrid.tracks.graph.methods.graph_prompt import class_means
from promptgrid.tracks.graph.methods.parts.headed import HeadedGraph
from promptgrid.tracks.graph.task import GraphTask


@dataclass(frozen=True)
class GPPT(HeadedGraph):
    """GPPT: classes are learned task tokens; a node is of the class whose token, beside its structure, it fits best.

    Source: Sun et al., sections 4.2 to 4.4, equations 5 to 9.
    The feature has the node's state and the mean of its surroundings, which stands for the structure token. These
    fall into as many clusters as there are classes, by the nearest of learned centres; each cluster has its own task
    tokens E_m (C, width), started from the classes' mean features. Logits are E_m z. Loss: cross-entropy, and
    ``orthogonal`` .01 times the mean over clusters of |E E' - I|² between the tokens. Adam 5e-3, 200 steps. Learns
    clusters x C x width numbers and clusters x state width.
    Deviations: the tower stays frozen, where the original tunes it too; clusters start from the classes' surroundings
    instead of k-means; memberships are soft, so that centres learn; the structure token is the mean over all that the
    example shows, not over neighbours alone.
    """

    name: ClassVar[str] = "gppt"
    paper: ClassVar[str] = "Sun et al., KDD 2022, doi:10.1145/3534678.3539249"

    orthogonal: Number = knob(0.01, low=0.0, high=10.0)

    def init(self, task: GraphTask, rng: torch.Generator) -> Params:
        means = class_means(task)
        around = means[:, : task.tower.state_width]
        return {"centres": around.clone(), "tokens": means.repeat(len(task.classes), 1, 1)}

    def objective(self, params: Params, batch: Batch, task: GraphTask) -> dict[str, Tensor]:
        tokens = params["tokens"]
        apart = tokens @ tokens.mT - torch.eye(tokens.shape[1], device=tokens.device)
        found = super().objective(params, batch, task)
        return found | {"orthogonal": self.orthogonal * apart.square().mean()}

    def predict(self, params: Params, batch: Batch, task: GraphTask, once: Any = None) -> Tensor:
        features = task.tower.features(task.tower.seen(batch))
        around = features[:, : task.tower.state_width]
        near = -(around.unsqueeze(1) - params["centres"]).square().sum(-1)
        by_cluster = torch.einsum("mcw,bw->bmc", params["tokens"], features)
        found: Tensor = (near.softmax(-1).unsqueeze(-1) * by_cluster).sum(1)
        return found
