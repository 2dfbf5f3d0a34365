"""VP: a learned frame added to every image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from promptgrid.contract.clip import SGD, Axes, Batch, Batches, Classifier, Number, Params, Recipe, Task, Warmup, knob
from promptgrid.tracks.image.methods.parts.frame import frame, framed
from promptgrid.tracks.image.methods.parts.published import paper_name, published
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.tables.vp import EPOCHS, RATES


@dataclass(frozen=True)
class VP(Classifier):
    """VP: a learned frame of 30 pixels, added to every image behind its normalisation.

    Source: Bahng et al., the padding prompt; hjbahng/visual_prompting e25c46c (``PadPrompter``); for few shots
    changdaeoh/BlackVIP 66606fb (``vpwb.py``, docs/configuration.md).
    x' = x + frame, in normalised space and not clipped; four strips (up, down, left, right) from N(0, 1); texts are
    frozen, from the dataset's template. SGD 40, momentum 0.9, no weight decay, batch 64, 1000 epochs, 100 of warm-up
    from 0.1; other rates for Cars and ImageNet, other epochs for SUN and ImageNet. Learns 69,840 numbers at 224 pixels;
    at other sizes the frame is 30/224 of the image. Not zero-shot at the start: the frame is random.
    Deviations: fp32 (the original: amp); the warm-up is a tenth of the epochs, also where these are not 1000.
    """

    name: ClassVar[str] = "vp"
    kind: ClassVar = "vision"
    paper: ClassVar[str] = "Bahng et al., 2022, arXiv:2203.17274"
    axes: ClassVar = Axes("pixels", "pixels")
    needs: ClassVar[frozenset[str]] = frozenset({"pixels"})

    border: int = 30
    learning_rate: Number = knob(40.0, low=1e-3, high=1000.0, log=True)
    batch_size: int = 64
    epochs: int = 0
    as_published: bool = True

    def __post_init__(self) -> None:
        check(self, border=1)

    def init(self, task: Task, rng: torch.Generator) -> Params:
        return frame(task, rng, self.border)

    def recipe(self, task: Task) -> Recipe:
        rate = published(self, "learning_rate", RATES, task.dataset)
        epochs = self.epochs or EPOCHS.get(paper_name(task.dataset), 1000)
        return Recipe(SGD(rate), epochs, Batches(self.batch_size), Warmup(epochs // 10, 0.1, "linear"))

    def image(self, params: Params, batch: Batch, task: Task) -> Tensor:
        return task.backbone.encode_image(framed(params, batch))
