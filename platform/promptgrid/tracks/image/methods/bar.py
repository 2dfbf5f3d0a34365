"""BAR: black-box adversarial reprogramming, a learned frame around a smaller copy of every image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Axes, Batch, Number, Outputs, Params, Sphere, Task, knob
from promptgrid.contract.recipe import SGD, Batches, Polynomial, Recipe
from promptgrid.tracks.image.methods.parts.answers import Answered, epochs_of
from promptgrid.tracks.image.methods.parts.published import published
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.sizes import PUBLISHED, resized, scaled
from promptgrid.tracks.image.methods.tables.bar import FIRST, LAST


@dataclass(frozen=True)
class BAR(Answered):
    """BAR: the image shrinks into the middle of a learned program, whose gradient is estimated from answers.

    Source: Tsai et al., the one-sided averaged estimate; for CLIP changdaeoh/BlackVIP 66606fb (``reprogramming.py``,
    ``PROGRAM``, docs/configuration.md).
    X = the image at ``inner`` pixels amid zeros, in [0, 1]; x' = normalise(X + M sigmoid(W)), M = 1 around the image.
    ĝ = (d / q) Σ u (L(w + β u) - L(w)) / β over q = 5 directions of length 1, β 0.01, d all of W; w = w - rate ĝ, rate
    from 5 to 0.1 by (1 - k / 0.9 T)^0.9, other rates by dataset; focal loss, γ 2; W from N(0, 1); batch 128, epochs as
    ``vp_spsa``. Learns 150,528 numbers at 224 pixels (those under the image count, and never matter), with 6 queries
    of each image a step. Not zero-shot at the start.
    Deviations: labels map to themselves, as BlackVIP's code has it, since CLIP names the task's own classes (the paper
    maps several source labels to each, by frequency); the image is shrunk from its crop at the model's size, not from
    the file.
    """

    name: ClassVar[str] = "bar"
    paper: ClassVar[str] = "Tsai et al., ICML 2020, arXiv:2007.08714; Oh et al., CVPR 2023, arXiv:2303.14773"
    axes: ClassVar = Axes("pixels", "pixels", access="black_box", design="objective")

    inner: int = 194
    learning_rate: Number = knob(5.0, low=1e-3, high=1000.0, log=True)
    last_rate: Number = knob(0.1, low=0.0, high=10.0)
    radius: Number = knob(0.01, low=1e-5, high=10.0, log=True)
    focus: Number = knob(2.0, low=0.0, high=10.0)
    estimates: int = 5
    batch_size: int = 128
    epochs: int = 0
    as_published: bool = True

    def __post_init__(self) -> None:
        check(self, inner=2, estimates=1)
        if self.inner > PUBLISHED:
            raise ValueError(f"inner: got {self.inner!r}, expected at most {PUBLISHED}, of {PUBLISHED} pixels")

    def init(self, task: Task, rng: torch.Generator) -> Params:
        size = task.backbone.image_size
        return {"program": torch.randn(3, size, size, generator=rng)}

    def recipe(self, task: Task) -> Recipe:
        optimizer = SGD(published(self, "learning_rate", FIRST, task.dataset), momentum=0.0)
        schedule = Polynomial(0.9, 0.9, float(published(self, "last_rate", LAST, task.dataset)))
        return Recipe(optimizer, self.epochs or epochs_of(task), Batches(self.batch_size), schedule)

    def step(self, task: Task) -> Sphere:
        return Sphere(self.radius, self.estimates)

    def changed(self, params: Params, batch: Batch, task: Task) -> Tensor:
        black, white = task.backbone.pixel_range.to(batch.pixels).unbind(0)
        size = batch.pixels.shape[-1]
        inner = scaled(self.inner, size) // 2 * 2
        edge = (size - inner) // 2, size - inner - (size - inner) // 2
        image = resized((batch.pixels - black) / (white - black), inner).clamp(0.0, 1.0)
        around = F.pad(torch.zeros_like(image[:1]), (*edge, *edge), value=1.0)
        return black + (F.pad(image, (*edge, *edge)) + around * params["program"].sigmoid()) * (white - black)

    def losses(self, params: Params, out: Outputs, labels: Tensor, task: Task) -> dict[str, Tensor]:
        told = -F.cross_entropy(out.logits, labels, reduction="none")
        return {"focal": -((1.0 - told.exp()).clamp(min=0.0) ** self.focus * told).mean()}
