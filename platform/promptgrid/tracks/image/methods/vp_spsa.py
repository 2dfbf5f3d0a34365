"""VP with SPSA-GC: VP's frame, learned from a model's answers alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from promptgrid.contract.clip import Axes, Batch, Number, Params, Task, knob
from promptgrid.tracks.image.methods.parts.answers import SpsaGC
from promptgrid.tracks.image.methods.parts.frame import frame, framed
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.tables.vp_spsa import SETTINGS


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

    settings_of: ClassVar[Mapping[str, Mapping[str, float]]] = SETTINGS

    def __post_init__(self) -> None:
        check(self, border=1, estimates=1)

    def init(self, task: Task, rng: torch.Generator) -> Params:
        return frame(task, rng, self.border)

    def changed(self, params: Params, batch: Batch, task: Task) -> Tensor:
        return framed(params, batch)
