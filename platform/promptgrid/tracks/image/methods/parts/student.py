"""An image tower that is taught by labels which nobody gave: visual tokens, its LayerNorms, a linear head."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from promptgrid.contract.clip import Axes, Batch, Edits, Number, Params, Task, TokenPlan, knob
from promptgrid.contract.clip.method import Kind
from promptgrid.contract.edits import NormPlace, NormShift
from promptgrid.contract.recipe import AdamW, Batches, Constant, Recipe, Rule
from promptgrid.tracks.image.methods.parts.pseudo import WholePool
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.starts import uniform

PATCH = 16
"""What the originals' start reckons with, also where patches are larger."""


@dataclass(frozen=True)
class Student(WholePool):
    """What LaFTer and NoLA have in common: all but who teaches.

    Tokens stand behind CLS and ``ln_pre`` and propagate; LayerNorms are shifted; the head
    sees features that are not normalised. Subclasses give the loss, and a start with :meth:`student` in it.
    """

    kind: ClassVar[Kind] = "vision"
    axes: ClassVar = Axes("tokens", "vision", supervision="unlabelled", prompt="soft_prefix", design="data")

    tokens: int = 50
    learning_rate: Number = knob(5e-4, low=1e-6, high=1.0, log=True)
    weight_decay: Number = knob(0.01, low=0.0, high=0.1)
    batch_size: int = 50
    epochs: int = 50

    def __post_init__(self) -> None:
        check(self, tokens=1)

    @property
    def open_vocabulary(self) -> bool:
        return False

    def student(self, task: Task, rng: torch.Generator, head: Tensor) -> Params:
        """(tokens, d_v) prompts U(±√(6 / (3 16² + d_v))), shifts of every LayerNorm at 0, and ``head`` (C, width)."""
        tower = task.backbone.vision
        bound = (6.0 / (3 * PATCH**2 + tower.width)) ** 0.5
        norms = torch.zeros(2 * tower.layers + 2, tower.width)
        prompts = uniform(rng, bound, self.tokens, tower.width)
        return {"tokens": prompts, "norm_weights": norms, "norm_biases": norms.clone(), "head": head.clone()}

    def recipe(self, task: Task) -> Recipe:
        optimizer, rules = AdamW(self.learning_rate, self.weight_decay), {"norm_biases": Rule(decay=0.0)}
        return Recipe(optimizer, self.epochs, Batches(self.batch_size), Constant(), rules)

    def text(self, params: Params, task: Task) -> Tensor:
        return params["head"]

    def image(self, params: Params, batch: Batch, task: Task) -> Tensor:
        shifts = zip(_places(task), params["norm_weights"], params["norm_biases"], strict=True)
        norms = {place: NormShift(weight, bias) for place, weight, bias in shifts}
        plan = TokenPlan((params["tokens"],), "after_class")
        return task.backbone.encode_patches(batch.patches, Edits(tokens=plan, norms=norms))

    def head(self, params: Params, image: Tensor, text: Tensor, task: Task) -> Tensor:
        return image @ text.mT


def _places(task: Task) -> Iterator[NormPlace]:
    yield "pre"
    for layer in range(task.backbone.vision.layers):
        yield layer, "first"
        yield layer, "second"
    yield "post"
