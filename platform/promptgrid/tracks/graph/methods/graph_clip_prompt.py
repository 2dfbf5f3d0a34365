"""GraphCLIP with its prompt: a few vectors, mixed node by node, move the features towards the sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.method import Params
from promptgrid.contract.task import Batch
from promptgrid.contract.taxonomy import Axes
from promptgrid.tracks.graph.methods.parts.headed import HeadedGraph, uniform
from promptgrid.tracks.graph.task import GraphTask


@dataclass(frozen=True)
class GraphCLIPPrompt(HeadedGraph):
    """GraphCLIP, few-shot: x + softmax(a(x)) P in front of both frozen towers, fitted by a contrast with labels.

    Source: Zhu et al., section 4.4; the form of the prompt is from memory.
    The loss has labels as texts: cross-entropy over exp(s) cosines to the sentences about all classes. P starts
    from zero, so that the first answers are the zero-shot ones; a as torch's Linear starts it; ``prompts`` 10. Adam
    5e-3, 200 steps. Learns k d + k (d + 1) numbers.
    Deviations: those of ``graph_clip``; the recipe is ours.
    """

    name: ClassVar[str] = "graph_clip_prompt"
    paper: ClassVar[str] = "Zhu et al., WWW 2025, arXiv:2410.10329"
    axes: ClassVar = Axes("tokens", "weights", prompt="soft_tuning")
    needs: ClassVar[frozenset[str]] = frozenset({"graph", "tower", "texts"})

    prompts: int = 10

    @property
    def rules(self) -> Mapping[str, Any]:
        return {"prompts": 1}

    @property
    def open_vocabulary(self) -> bool:
        return True

    def init(self, task: GraphTask, rng: torch.Generator) -> Params:
        wide = task.tower.inputs
        return {
            "prompts": torch.zeros(self.prompts, wide),
            "scores": uniform(rng, self.prompts, wide, bound=wide**-0.5),
            "scores_bias": uniform(rng, self.prompts, bound=wide**-0.5),
        }

    def predict(self, params: Params, batch: Batch, task: GraphTask, once: Any = None) -> Tensor:
        tower = task.tower
        seen = tower.seen(batch)
        shares = F.linear(seen.x, params["scores"], params["scores_bias"]).softmax(-1)
        shown = seen.but(seen.x + shares @ params["prompts"])
        found: Tensor = tower.scale * tower.in_texts(tower.features(shown)) @ task.class_texts.mT
        return found
