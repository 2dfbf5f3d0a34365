"""Methods that work inside the blocks of the image tower, or of both towers."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from promptgrid.contract.clip import Batch, Edits, Params, Task, Trained
from promptgrid.contract.clip.backbone import TowerShape
from promptgrid.contract.clip.method import Kind
from promptgrid.tracks.image.methods.parts.sentences import sentences
from promptgrid.tracks.image.methods.parts.settings import check


@dataclass(frozen=True)
class TowerEdits(Trained):
    """Learned is what edits one tower (``towers: vision``), or each of the two alike (``both``).

    Texts are the dataset's template; where their tower is edited they are encoded at each step.
    """

    kind: ClassVar[Kind] = "weights"
    needs: ClassVar[frozenset[str]] = frozenset({"text_blocks", "vision_blocks"})

    towers: Literal["vision", "both"] = "vision"
    epochs: int = 50

    def __post_init__(self) -> None:
        check(self, towers=("vision", "both"))

    @abstractmethod
    def of_tower(self, tower: str, shape: TowerShape, task: Task, rng: torch.Generator) -> Params:
        """What is learned in ``tower`` (``vision``, ``text``), at its start; names begin with the tower's."""

    @abstractmethod
    def edits(self, tower: str, params: Params, task: Task) -> Edits:
        """What was learned of ``tower``, as it enters there."""

    def init(self, task: Task, rng: torch.Generator) -> Params:
        params = self.of_tower("vision", task.backbone.vision, task, rng)
        return params | self.of_tower("text", task.backbone.text, task, rng) if self.towers == "both" else params

    def text(self, params: Params, task: Task) -> Tensor:
        if self.towers != "both":
            return task.text
        return task.backbone.encode_text(*sentences(task, task.template), self.edits("text", params, task))

    def image(self, params: Params, batch: Batch, task: Task) -> Tensor:
        return task.backbone.encode_patches(batch.patches, self.edits("vision", params, task))
