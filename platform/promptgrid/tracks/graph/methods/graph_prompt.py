"""GraphPrompt: a vector weighs the features in the readout, and classes are the means of their examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.method import Params, knob
from promptgrid.contract.recipe import Number
from promptgrid.contract.task import Batch
from promptgrid.tracks.graph.methods.parts.headed import HeadedGraph
from promptgrid.tracks.graph.task import GraphTask


@dataclass(frozen=True)
class GraphPrompt(HeadedGraph):
    """GraphPrompt: features p ⊙ s(x) of subgraphs, told apart by their cosine to the mean of each class's examples.

    Source: Liu et al., section 4.3, equations 6 to 8.
    p starts at one. Cross-entropy over cosines divided by ``temperature`` .1. The readout is a mean, so that weighing
    states before it is weighing the feature; class means are p ⊙ the means of frozen features, kept from the start.
    Adam 5e-3, 200 steps. Learns width numbers.
    Deviations: p starts at one, not from Glorot's uniform; the feature has the node's own state beside the mean; the
    recipe is ours.
    """

    name: ClassVar[str] = "graph_prompt"
    paper: ClassVar[str] = "Liu et al., WWW 2023, arXiv:2302.08043"
    frozen: ClassVar[frozenset[str]] = frozenset({"means"})

    temperature: Number = knob(0.1, low=0.01, high=10.0, log=True)

    def init(self, task: GraphTask, rng: torch.Generator) -> Params:
        means = class_means(task)
        return {"prompt": torch.ones(means.shape[1]), "means": means}

    def predict(self, params: Params, batch: Batch, task: GraphTask, once: Any = None) -> Tensor:
        features = task.tower.features(task.tower.seen(batch))
        shown = F.normalize(params["prompt"] * features, dim=-1)
        classes = F.normalize(params["prompt"] * params["means"], dim=-1)
        return shown @ classes.mT / self.temperature


def class_means(task: GraphTask) -> Tensor:
    """(C, width) mean frozen features of each class's few examples; zeros of a class without one."""
    examples = task.given.get("examples")
    if examples is None:
        return torch.zeros(len(task.classes), task.tower.width)
    with torch.no_grad():
        features = task.tower.features(task.tower.seen(examples))
    own = (examples.labels.unsqueeze(0) == torch.arange(len(task.classes), device=features.device).unsqueeze(1)).float()
    found: Tensor = (own @ features / own.sum(1, keepdim=True).clamp(min=1.0)).cpu()
    return found
