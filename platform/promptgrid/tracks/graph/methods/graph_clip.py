"""GraphCLIP, zero-shot: a node is of the class whose sentence lies nearest to what the tower makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from promptgrid.contract.method import Method, Params
from promptgrid.contract.task import Batch
from promptgrid.contract.taxonomy import Axes
from promptgrid.tracks.graph.task import GraphTask


@dataclass(frozen=True)
class GraphCLIP(Method):
    """GraphCLIP, zero-shot: scaled cosines of a tower that was trained beside texts to sentences about classes.

    Source: Zhu et al., section 4; ZhuYun97/GraphCLIP c016277.
    Logits are exp(s) cos(g(x), t_c), with t_c what MiniLM makes of the graph's sentence about class c, such as "A
    computing term about programming languages." Learns nothing. The tower says how it was trained: ``gps`` with the
    invariance term, ``gps-plain`` without.
    Deviations: features and texts are the first 128 principal directions of MiniLM's 384; the tower is small and
    was trained on summaries made by a template, not by a language model.
    """

    name: ClassVar[str] = "graph_clip"
    kind: ClassVar[str] = "zero-shot"
    paper: ClassVar[str] = "Zhu et al., WWW 2025, arXiv:2410.10329"
    axes: ClassVar = Axes("nothing", "nowhere", supervision="none", stage="training_free", access="features")
    needs: ClassVar[frozenset[str]] = frozenset({"graph", "tower", "texts"})

    def init(self, task: GraphTask, rng: torch.Generator) -> Params:
        return {}

    def predict(self, params: Params, batch: Batch, task: GraphTask, once: Any = None) -> Tensor:
        tower = task.tower
        found: Tensor = tower.scale * tower.in_texts(tower.features(tower.seen(batch))) @ task.class_texts.mT
        return found
