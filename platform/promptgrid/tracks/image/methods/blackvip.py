"""BlackVIP: a small network paints a prompt for each image, learned from a model's answers alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from promptgrid.contract.clip import Axes, Batch, Number, Params, Task, knob
from promptgrid.tracks.image.methods.parts.answers import SpsaGC
from promptgrid.tracks.image.methods.parts.decoder import GROWTH, RUNNING, decoder, painted
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.sizes import resized
from promptgrid.tracks.image.methods.tables.blackvip import SETTINGS


@dataclass(frozen=True)
class BlackVIP(SpsaGC):
    """BlackVIP: a coordinator turns what a second frozen backbone sees into a prompt as large as the image.

    Source: Oh et al., Coordinator and SPSA-GC; changdaeoh/BlackVIP 66606fb (``blackvip.py``, ``DecoderManual``,
    docs/configuration.md).
    z of the second backbone and a learned trigger p ~ U(0, 0.1) make a cube 32 x 7 x 7; a decoder of four stages
    (transposed convolution 2 x 2 in groups, 1 x 1, BatchNorm, GELU) and a last convolution paint D(z); x' = x + ε D(z),
    clipped to black and white. SPSA-GC with 5 two-sided estimates a step, a 0.01, α 0.4, o 1, c 0.01, γ 0.1, momentum
    0.9, ε 1, other values by dataset; cross-entropy of the answers; batch 128, 5000 epochs (Cars 2500, SUN 1000,
    ImageNet 500). Learns 9,920 numbers at 224 pixels where z has 768, with 10 queries of each image a step.
    BatchNorm takes the batch's statistics in training; running ones are frozen parameters that move by a tenth at every
    perturbed forward pass, as in the code, and are used when it is scored. Not zero-shot at the start.
    Deviations: the second backbone is ``second`` (the paper: ViT-MAE-base, CLS of the last hidden states), and sees the
    image without augmentation; fp32 (the original: autocast); at sizes other than 224 the cube is as wide as a patch of
    32 needs, with 32, 64, 128 ... channels until z and a trigger fit, and the painting is resized; the draws of a step
    come from the step's own seed.
    """

    name: ClassVar[str] = "blackvip"
    paper: ClassVar[str] = "Oh et al., CVPR 2023, arXiv:2303.14773"
    axes: ClassVar = Axes("pixels", "pixels", access="black_box")
    needs: ClassVar[frozenset[str]] = frozenset({"logits", "second_backbone"})
    frozen: ClassVar[frozenset[str]] = RUNNING

    strength: Number = knob(1.0, low=0.0, high=10.0)
    second: str = "bundled-conv"

    settings_of: ClassVar[Mapping[str, Mapping[str, float]]] = SETTINGS

    def __post_init__(self) -> None:
        check(self, estimates=1)

    def init(self, task: Task, rng: torch.Generator) -> Params:
        second = task.second
        features = None if second is None else second.unlabelled if second.support is None else second.support
        if features is None:
            raise ValueError("blackvip starts from how wide the second backbone's features of its own images are")
        seen, wide = features.shape[1], -(-task.backbone.image_size // GROWTH)
        channels = 32
        while channels * wide**2 <= seen:
            channels *= 2
        trigger = 0.1 * torch.rand(channels * wide**2 - seen, generator=rng)
        return {"trigger": trigger} | decoder(rng, channels)

    def changed(self, params: Params, batch: Batch, task: Task) -> Tensor:
        prompt = resized(self._painted(params, batch, task)[0], batch.pixels.shape[-1])
        black, white = task.backbone.pixel_range.to(batch.pixels).unbind(0)
        return torch.minimum(torch.maximum(batch.pixels + self.own("strength", task) * prompt, black), white)

    def track(self, params: Params, batch: Batch, task: Task) -> Params:
        return self._painted(params, batch, task)[1]

    def _painted(self, params: Params, batch: Batch, task: Task) -> tuple[Tensor, Params]:
        """The prompts (B, 3, ., .) of ``batch``, and the running statistics behind them."""
        wide = -(-task.backbone.image_size // GROWTH)
        trigger = params["trigger"].expand(len(batch.second), -1)
        cube = torch.cat([batch.second.to(trigger), trigger], dim=1).view(len(trigger), -1, wide, wide)
        return painted(params, cube, training=task.seed is not None)
