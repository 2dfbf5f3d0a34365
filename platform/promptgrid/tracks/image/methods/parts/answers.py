"""What methods have in common that change images and learn from a model's answers about them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from promptgrid.contract.clip import SGD, Batch, Batches, Classifier, Inverse, Number, Params, Recipe, Spsa, Task, knob
from promptgrid.tracks.image.methods.parts.published import paper_name, published

EPOCHS = {"StanfordCars": 2500, "SUN397": 1000, "ImageNet": 500}
"""Of black-box learning, where not 5000 (docs/configuration.md of changdaeoh/BlackVIP)."""


@dataclass(frozen=True)
class Answered(Classifier):
    """A method that shows changed images to a black box. The box names the classes by the dataset's template."""

    kind: ClassVar = "vision"
    needs: ClassVar[frozenset[str]] = frozenset({"logits"})

    @abstractmethod
    def changed(self, params: Params, batch: Batch, task: Task) -> Tensor:
        """(B, 3, size, size) normalised floats: the images of ``batch`` as the model is to see them."""

    def text(self, params: Params, task: Task) -> Tensor:
        """(C, 0): no one is shown the texts."""
        return torch.zeros(len(task.classes), 0)

    def image(self, params: Params, batch: Batch, task: Task) -> Tensor:
        """(B, C) answers, in the place of features."""
        return task.ask(self.changed(params, batch, task))

    def head(self, params: Params, image: Tensor, text: Tensor, task: Task) -> Tensor:
        return image


@dataclass(frozen=True)
class SpsaGC(Answered):
    """Learned by SPSA with gradient correction (Oh et al., CVPR 2023): two queries of each image an estimate.

    At the k-th step: ĝ from two-sided estimates at c_k = size / k^size_decay; m = momentum m + ĝ (m = ĝ at k = 1);
    w = w - a_k (ĝ + momentum m), a_k = learning_rate / (k + 1)^rate_decay. That is SGD with Nesterov's momentum.
    """

    learning_rate: Number = knob(0.01, low=1e-5, high=1000.0, log=True)
    rate_decay: Number = knob(0.4, low=0.0, high=1.0)
    size: Number = knob(0.01, low=1e-4, high=1.0, log=True)
    size_decay: Number = knob(0.1, low=0.0, high=1.0)
    momentum: Number = knob(0.9, low=0.0, high=0.99)
    estimates: int = 5
    batch_size: int = 128
    epochs: int = 0
    as_published: bool = True

    settings_of: ClassVar[Mapping[str, Mapping[str, float]]] = {}
    """What the paper set, by setting and dataset."""

    def own(self, setting: str, task: Task) -> Number:
        """``setting`` as the paper has it for the dataset of ``task``, where it was left as it is."""
        return published(self, setting, self.settings_of.get(setting, {}), task.dataset)

    def recipe(self, task: Task) -> Recipe:
        decay, momentum = float(self.rate_decay), float(self.own("momentum", task))
        optimizer = SGD(self.own("learning_rate", task) * 2.0**-decay, momentum=momentum, nesterov=True)
        return Recipe(optimizer, self.epochs or epochs_of(task), Batches(self.batch_size), Inverse(0.5, decay))

    def step(self, task: Task) -> Spsa:
        return Spsa(self.own("size", task), self.own("size_decay", task), self.estimates)


def epochs_of(task: Task) -> int:
    """The epochs of BlackVIP's black-box experiments."""
    return EPOCHS.get(paper_name(task.dataset), 5000)
