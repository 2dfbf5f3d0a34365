"""CLIP-Adapter: a bottleneck rewrites the image feature."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Axes, Batch, Number, Params, Task, Trained, knob
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.starts import linear


@dataclass(frozen=True)
class ClipAdapter(Trained):
    """CLIP-Adapter: a bottleneck rewrites the image feature, blended with the original.

    Source: Gao et al., method section; gaopengcuhk/CLIP-Adapter 08d07f8.
    f' = ratio * relu(relu(f W1) W2) + (1 - ratio) * f, no biases, on the feature before it is normalised; texts are
    frozen. reduction 4, ratio .2; recipe as CoOp (the official trainer runs on CoOp's configurations; the paper
    prints lr 1e-5). Learns D²/2 numbers: 524,288 on RN50.
    Deviations: the image side only, as the official code; one ratio for all datasets, where the paper tunes it.
    """

    name: ClassVar[str] = "clip_adapter"
    kind: ClassVar = "head"
    paper: ClassVar[str] = "Gao et al., IJCV 2024, arXiv:2110.04544"
    axes: ClassVar = Axes("adapter", "head", access="features")

    reduction: int = 4
    ratio: Number = knob(0.2, low=0.0, high=1.0)

    def __post_init__(self) -> None:
        check(self, reduction=1, ratio=1.0)

    def init(self, task: Task, rng: torch.Generator) -> Params:
        width = task.backbone.width
        hidden = max(1, width // self.reduction)
        return {"down": linear(rng, width, hidden)[0], "up": linear(rng, hidden, width)[0]}

    def image(self, params: Params, batch: Batch, task: Task) -> Tensor:
        adapted = F.relu(F.linear(F.relu(F.linear(batch.features, params["down"])), params["up"]))
        return self.ratio * adapted + (1.0 - self.ratio) * batch.features
