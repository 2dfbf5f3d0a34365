"""A tower that a method changes by edits or weights, and a linear head on its features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.edits import Edits
from promptgrid.contract.method import Method, Params, knob
from promptgrid.contract.recipe import Number, Recipe
from promptgrid.contract.settings import check
from promptgrid.contract.task import Batch
from promptgrid.towers.methods.parts.recipes import adamw

HEAD = ("head_weight", "head_bias")


@dataclass(frozen=True)
class Headed(Method):
    """A linear head learned together with what :meth:`start` draws and :meth:`edits` puts into the tower.

    The head's weight (C, width) starts from N(0, .02²), its bias (C,) from 0. AdamW, cosine by step; weight decay acts
    on everything with two dimensions or more, as is usual for transformers.
    """

    kind: ClassVar[str] = "tokens"

    learning_rate: Number = knob(1e-3, low=1e-6, high=1.0, log=True)
    weight_decay: Number = knob(0.01, low=0.0, high=0.1)
    steps: int = 200
    batch_size: int = 16

    def __post_init__(self) -> None:
        check(self, steps=1, **self.rules)

    @property
    def rules(self) -> Mapping[str, Any]:
        """What :func:`promptgrid.contract.settings.check` should know of further settings."""
        return {}

    @property
    def open_vocabulary(self) -> bool:
        return False

    def start(self, task: Any, rng: torch.Generator) -> Params:
        """What is learned beside the head."""
        return {}

    def edits(self, params: Params, task: Any) -> Edits | None:
        """What is changed in the tower."""
        return None

    def init(self, task: Any, rng: torch.Generator) -> Params:
        return self.start(task, rng) | head(task, rng)

    def recipe(self, task: Any) -> Recipe | None:
        return adamw(self.learning_rate, self.weight_decay, self.steps, self.batch_size, undecayed=("head_bias",))

    def features(self, params: Params, batch: Batch, task: Any) -> Tensor:
        """(B, width) what the head reads."""
        found: Tensor = task.tower.features(batch, self.edits(params, task))
        return found

    def predict(self, params: Params, batch: Batch, task: Any, once: Any = None) -> Tensor:
        return F.linear(self.features(params, batch, task), params["head_weight"], params["head_bias"])


def head(task: Any, rng: torch.Generator) -> Params:
    """A linear head on the features of ``task.tower``."""
    return {
        "head_weight": normal(rng, len(task.classes), task.tower.width),
        "head_bias": torch.zeros(len(task.classes)),
    }


def normal(rng: torch.Generator, *shape: int, std: float = 0.02) -> Tensor:
    """``shape`` draws of N(0, std²), float32."""
    return torch.randn(*shape, generator=rng) * std
