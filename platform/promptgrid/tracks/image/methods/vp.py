"""VP: a learned frame added to every image, by gradients (white box) or by a model's answers alone (SPSA-GC)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from promptgrid.contract import Axes, Batch, Method, Number, Params, Recipe, Task, knob
from promptgrid.tracks.image.methods.parts.answers import SpsaGC
from promptgrid.tracks.image.methods.parts.published import paper_name, published
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.sizes import scaled

RATES = {"StanfordCars": 5.0, "ImageNet": 1.0}
EPOCHS = {"SUN397": 500, "ImageNet": 400}
"""Of white-box learning, where not 40 and 1000 (docs/configuration.md of changdaeoh/BlackVIP)."""
BLACK_BOX = {
    "Caltech101": (0.3, 20.0, 0.01),
    "OxfordPets": (0.3, 10.0, 0.005),
    "StanfordCars": (0.5, 10.0, 0.01),
    "OxfordFlowers": (0.3, 10.0, 0.005),
    "SUN397": (0.3, 20.0, 0.01),
    "DTD": (0.9, 10.0, 0.01),
    "SVHN": (0.9, 10.0, 0.01),
    "EuroSAT": (0.3, 10.0, 0.005),
    "CLEVR": (0.9, 20.0, 0.01),
    "UCF101": (0.3, 20.0, 0.01),
    "ImageNet": (0.3, 20.0, 0.01),
}
"""Momentum, a and c of SPSA-GC where not 0.3, 10, 0.01 (the same table)."""


@dataclass(frozen=True)
class VP(Method):
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

    def recipe(self, task: Task) -> Recipe | None:
        epochs = self.epochs or EPOCHS.get(paper_name(task.dataset), 1000)
        return Recipe(
            learning_rate=published(self, "learning_rate", RATES, task.dataset),
            weight_decay=0.0,
            batch_size=self.batch_size,
            epochs=epochs,
            warmup="climb",
            warmup_epochs=epochs // 10,
            warmup_rate=0.1,
        )

    def image(self, params: Params, batch: Batch, task: Task) -> Tensor:
        return task.backbone.encode_image(framed(params, batch))


@dataclass(frozen=True)
class VPSpsa(SpsaGC):
    """VP with SPSA-GC: the frame of VP, learned from a model's answers without a gradient.

    Source: Oh et al., baseline "VP w/ SPSA-GC"; changdaeoh/BlackVIP 66606fb (``vpour.py``,
    docs/configuration.md).
    The frame of ``vp``; SPSA-GC with 5 two-sided estimates a step, a 10, α 0.4, o 1, c 0.01, γ 0.1, momentum 0.3, other
    values by dataset; cross-entropy of the answers; batch 128, 5000 epochs (Cars 2500, SUN 1000, ImageNet 500).
    Learns 69,840 numbers at 224 pixels, with 10 queries of each image a step. Not zero-shot at the start.
    Deviations: the draws of a step come from the step's own seed.
    """

    name: ClassVar[str] = "vp_spsa"
    paper: ClassVar[str] = "Oh et al., CVPR 2023, arXiv:2303.14773; Bahng et al., 2022, arXiv:2203.17274"
    axes: ClassVar = Axes("pixels", "pixels", access="black_box", design="objective")

    border: int = 30
    learning_rate: Number = knob(10.0, low=1e-3, high=1000.0, log=True)
    momentum: Number = knob(0.3, low=0.0, high=0.99)

    settings_of: ClassVar[Mapping[str, Mapping[str, float]]] = {
        setting: {dataset: row[place] for dataset, row in BLACK_BOX.items()}
        for place, setting in enumerate(("momentum", "learning_rate", "size"))
    }

    def __post_init__(self) -> None:
        check(self, border=1, estimates=1)

    def init(self, task: Task, rng: torch.Generator) -> Params:
        return frame(task, rng, self.border)

    def changed(self, params: Params, batch: Batch, task: Task) -> Tensor:
        return framed(params, batch)


def frame(task: Task, rng: torch.Generator, border: int) -> Params:
    """Four strips (3, high, wide) from N(0, 1) around an image, ``border`` wide where it is 224 pixels wide."""
    size = task.backbone.image_size
    wide = min(scaled(border, size), size // 2)
    inner = size - 2 * wide
    shapes = {"up": (wide, size), "down": (wide, size), "left": (inner, wide), "right": (inner, wide)}
    return {name: torch.randn(3, *shape, generator=rng) for name, shape in shapes.items()}


def framed(params: Params, batch: Batch) -> Tensor:
    """The images of ``batch`` (B, 3, size, size) with the frame added."""
    assert batch.pixels is not None, "declared by needs"
    hole = params["left"].new_zeros(3, params["left"].shape[1], params["up"].shape[2] - 2 * params["left"].shape[2])
    middle = torch.cat([params["left"], hole, params["right"]], dim=2)
    return batch.pixels + torch.cat([params["up"], middle, params["down"]], dim=1)
