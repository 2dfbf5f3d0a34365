"""Full fine-tuning of the image tower: every weight behind the patches moves, and the class texts stay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from promptgrid.contract.clip import Axes, Batch, Classifier, Number, Params, Task, knob
from promptgrid.contract.recipe import Adam, Batches, Cosine, Recipe
from promptgrid.towers.methods.full_finetune import OWN, own_weights
from promptgrid.tracks.image.methods.parts.settings import check


@dataclass(frozen=True)
class ImageFinetune(Classifier):
    """Full fine-tuning of the image tower, its projection too, against the frozen texts of the classes.

    Source: what papers on few-shot CLIP compare with; the recipe is that of Fahes et al., table 6, in their code
    (astra-vision/ProLIP 18facf5, ``Full_FT.py``): Adam 1e-5, epsilon 1e-4, batch 16, 300 epochs, cosine by step, CE on
    s cos(f, t_c). Beside ``full_finetune`` there is no new head, so that it begins as zero-shot CLIP and scores new
    classes. Learns 85,602,816 numbers on ViT-B/16.
    Deviations: the patch embedding stays; images are normalised in training too (there in tests only); no ResNets.
    """

    name: ClassVar[str] = "image_finetune"
    kind: ClassVar = "weights"
    paper: ClassVar[str] = "a baseline; recipe after Fahes et al., 2024, arXiv:2410.05270"
    axes: ClassVar = Axes("weight_deltas", "weights")
    needs: ClassVar[frozenset[str]] = frozenset({"tokens", "weights"})
    zero_shot_at_start: ClassVar[bool] = True

    learning_rate: Number = knob(1e-5, low=1e-8, high=1e-1, log=True)
    batch_size: int = 16
    epochs: int = 300

    def __post_init__(self) -> None:
        check(self, epochs=1)

    def init(self, task: Task, rng: torch.Generator) -> Params:
        own = {OWN + name: value.clone().float() for name, value in task.tower.weights().items()}
        return own | {"projection": task.tower.projection.clone().float().contiguous()}

    def recipe(self, task: Task) -> Recipe:
        optimizer = Adam(self.learning_rate, epsilon=1e-4)
        return Recipe(optimizer, self.epochs, Batches(self.batch_size), Cosine(per="iteration"))

    def image(self, params: Params, batch: Batch, task: Task) -> Tensor:
        seen: Tensor = task.tower.features(batch, weights=own_weights(params))
        return seen @ params["projection"]
