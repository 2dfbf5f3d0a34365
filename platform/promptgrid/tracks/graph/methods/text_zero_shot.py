"""Text alone, zero-shot: a node is of the class whose sentence lies nearest to its own text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.method import Method, Params
from promptgrid.contract.task import Batch
from promptgrid.contract.taxonomy import Axes
from promptgrid.tracks.graph.task import GraphTask

SCALE = 1 / 0.07
"""GraphCLIP's scale before training."""


@dataclass(frozen=True)
class TextZeroShot(Method):
    """Text alone, zero-shot: cosines of a node's own text to sentences about classes; no link is looked at.

    Source: a control without a paper of its own: what GraphCLIP has to beat.
    Learns nothing; features and sentences are MiniLM's.
    Deviations: none, there is no original.
    """

    name: ClassVar[str] = "text_zero_shot"
    kind: ClassVar[str] = "zero-shot"
    paper: ClassVar[str] = "control baseline"
    axes: ClassVar = Axes("nothing", "nowhere", supervision="none", stage="training_free", access="features")
    needs: ClassVar[frozenset[str]] = frozenset({"own", "texts"})

    def init(self, task: GraphTask, rng: torch.Generator) -> Params:
        return {}

    def predict(self, params: Params, batch: Batch, task: GraphTask, once: Any = None) -> Tensor:
        return SCALE * F.normalize(batch.own, dim=-1) @ task.class_texts.mT
