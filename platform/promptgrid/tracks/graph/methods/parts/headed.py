"""A frozen graph tower whose input a method changes, and a linear head on the tower's feature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.method import Method, Params, knob
from promptgrid.contract.recipe import Adam, Batches, Constant, Number, Recipe, Rule
from promptgrid.contract.settings import check
from promptgrid.contract.task import Batch
from promptgrid.contract.taxonomy import Axes
from promptgrid.tracks.graph.seen import Seen
from promptgrid.tracks.graph.task import GraphTask

HEAD = ("head_weight", "head_bias")


@dataclass(frozen=True)
class HeadedGraph(Method):
    """What :meth:`start` draws is learned together with a head; :meth:`prompted` changes what the tower sees.

    The head (C, width) starts from U(±1/√width), as torch's Linear. Adam at a constant rate, 200 steps of at most 32
    examples.
    """

    kind: ClassVar[str] = "nodes"
    axes: ClassVar = Axes("tokens", "weights", prompt="soft_tuning", family="single_tower")
    needs: ClassVar[frozenset[str]] = frozenset({"graph", "tower"})

    learning_rate: Number = knob(5e-3, low=1e-6, high=1.0, log=True)
    weight_decay: Number = knob(0.0, low=0.0, high=0.1)
    iterations: int = 200
    batch_size: int = 32

    def __post_init__(self) -> None:
        check(self, iterations=1, **self.rules)

    @property
    def rules(self) -> Mapping[str, Any]:
        """What :func:`promptgrid.contract.settings.check` should know of further settings."""
        return {}

    @property
    def rates(self) -> Mapping[str, float]:
        """What the learning rate of single parameters is multiplied by."""
        return {}

    @property
    def open_vocabulary(self) -> bool:
        return False

    def start(self, task: GraphTask, rng: torch.Generator) -> Params:
        """What is learned beside the head."""
        return {}

    def init(self, task: GraphTask, rng: torch.Generator) -> Params:
        return self.start(task, rng) | head(rng, len(task.classes), self.read(task))

    def read(self, task: GraphTask) -> int:
        """How wide the feature is that the head reads."""
        return int(task.tower.width)

    def recipe(self, task: GraphTask) -> Recipe | None:
        rules = {name: Rule(rate=rate) for name, rate in self.rates.items()}
        return Recipe(Adam(self.learning_rate, self.weight_decay), batches=Batches(self.batch_size, keep_last=True),
                      schedule=Constant(), rules=rules, iterations=self.iterations)  # fmt: skip

    def prompted(self, params: Params, seen: Seen, task: GraphTask) -> Seen:
        """The graphs as the tower sees them."""
        return seen

    def features(self, params: Params, batch: Batch, task: GraphTask) -> Tensor:
        """(B, width) what the head reads."""
        found: Tensor = task.tower.features(self.prompted(params, task.tower.seen(batch), task))
        return found

    def predict(self, params: Params, batch: Batch, task: GraphTask, once: Any = None) -> Tensor:
        return F.linear(self.features(params, batch, task), params["head_weight"], params["head_bias"])


def head(rng: torch.Generator, classes: int, width: int) -> Params:
    """A linear head as torch's Linear starts it."""
    return {"head_weight": uniform(rng, classes, width, bound=width**-0.5), "head_bias": torch.zeros(classes)}


def uniform(rng: torch.Generator, *shape: int, bound: float) -> Tensor:
    """``shape`` draws of U(-bound, bound)."""
    return (torch.rand(*shape, generator=rng) * 2.0 - 1.0) * bound


def glorot(rng: torch.Generator, *shape: int) -> Tensor:
    """``shape`` draws of U(±√(6 / (last two sizes))), Glorot's."""
    return uniform(rng, *shape, bound=(6.0 / (shape[-1] + shape[-2])) ** 0.5)
