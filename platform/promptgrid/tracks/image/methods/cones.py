"""ConES for classification: the class embeddings themselves are learned, and no text tower is needed afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from promptgrid.contract.clip import Adam, Axes, Batches, Number, Params, Recipe, Task, Trained, knob
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.starts import gaussian


@dataclass(frozen=True)
class ConES(Trained):
    """ConES, reading 1: one learned embedding a class in the joint space, in place of the text tower's answer.

    Source: the abstract of arXiv:2305.18993, which is not about classification; there is no public code.
    E (C, D) starts at the frozen texts of the dataset's template (``start: random``: N(0, 1 / D)); logits s f̂ Êᵀ, CE.
    Beside TaskRes there is no residual with a strength of its own, beside a linear probe no bias, and lengths do not
    count. The recipe is TaskRes's, so that the two differ in form alone: Adam .002, weight decay 5e-4, batch 256, 100
    epochs up to 4 shots, 200 beyond. Learns C x D numbers; cannot score unseen classes.
    Deviations: the whole classification form is our reading; see the card's open choices.
    """

    name: ClassVar[str] = "cones"
    kind: ClassVar = "head"
    paper: ClassVar[str] = "ConES, 2023, arXiv:2305.18993"
    axes: ClassVar = Axes("classifier", "head", access="features", prompt="soft_tuning")
    zero_shot_at_start: ClassVar[bool] = True

    start: Literal["template", "random"] = "template"
    learning_rate: Number = knob(0.002, low=1e-5, high=1.0, log=True)
    batch_size: int = 256

    def __post_init__(self) -> None:
        check(self, start=("template", "random"))

    @property
    def open_vocabulary(self) -> bool:
        return False

    def init(self, task: Task, rng: torch.Generator) -> Params:
        width = task.backbone.width
        random = gaussian(rng, len(task.classes), width, std=width**-0.5)
        return {"concepts": task.text.detach().float().clone() if self.start == "template" else random}

    def recipe(self, task: Task) -> Recipe:
        epochs = self.epochs or (100 if task.shots <= 4 else 200)
        return Recipe(Adam(self.learning_rate, self.weight_decay), epochs, Batches(self.batch_size))

    def text(self, params: Params, task: Task) -> Tensor:
        return params["concepts"]
