"""ProLIP: the projection of the image tower into the joint space is fine-tuned, and held to where it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from promptgrid.contract.clip import Axes, Batch, Classifier, Number, Outputs, Params, Task, knob
from promptgrid.contract.recipe import Adam, Batches, Cosine, Recipe
from promptgrid.tracks.image.methods.parts.settings import check

ALL_IMAGES = 1_000_000


@dataclass(frozen=True)
class ProLIP(Classifier):
    """ProLIP: the linear projection behind the image tower moves, all else stays.

    Source: Fahes et al., section 3; astra-vision/ProLIP 18facf5.
    f = x W, x the class token behind the tower's last norm, W (d, D) from the pretrained projection W0. Descended is
    CE on s cos(f, t_c) plus lambda |W - W0|², by W - W0, from zero: the same to Adam. lambda is 1 / N for N
    shots (``penalty: inverse``, the form without validation images), 1 / N² or ``strength``. Adam 1e-5, epsilon 1e-4,
    full batch, 300 epochs, cosine by epoch. Learns d x D numbers: 393,216 on ViT-B/16.
    Deviations: no ResNets; views come in a random order (the original: 300, one an epoch, in theirs).
    """

    name: ClassVar[str] = "prolip"
    kind: ClassVar = "weights"
    paper: ClassVar[str] = "Fahes et al., 2024, arXiv:2410.05270"
    axes: ClassVar = Axes("weight_deltas", "weights", access="features")
    needs: ClassVar[frozenset[str]] = frozenset({"unprojected"})
    frozen: ClassVar[frozenset[str]] = frozenset({"lambda"})
    zero_shot_at_start: ClassVar[bool] = True

    learning_rate: Number = knob(1e-5, low=1e-7, high=1.0, log=True)
    strength: Number = knob(0.1, low=0.0, high=10.0)
    epochs: int = 300
    penalty: Literal["inverse", "inverse_square", "fixed"] = "inverse"

    def __post_init__(self) -> None:
        check(self, epochs=1, penalty=("inverse", "inverse_square", "fixed"))

    def init(self, task: Task, rng: torch.Generator) -> Params:
        shots = max(1, task.shots)
        own = {"inverse": 1.0 / shots, "inverse_square": 1.0 / shots**2, "fixed": float(self.strength)}
        change = torch.zeros(task.backbone.vision.width, task.backbone.width)
        return {"change": change, "lambda": torch.tensor(own[self.penalty])}

    def recipe(self, task: Task) -> Recipe:
        return Recipe(Adam(self.learning_rate, epsilon=1e-4), self.epochs, Batches(ALL_IMAGES), Cosine())

    def image(self, params: Params, batch: Batch, task: Task) -> Tensor:
        return batch.features + batch["unprojected"] @ params["change"]

    def losses(self, params: Params, out: Outputs, labels: Tensor, task: Task) -> dict[str, Tensor]:
        own = {"penalty": params["lambda"] * params["change"].square().sum()}
        return super().losses(params, out, labels, task) | own
