"""A linear probe of the image tower alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from promptgrid.contract.clip import Params
from promptgrid.towers.methods.linear_probe import LinearProbe


@dataclass(frozen=True)
class TowerProbe(LinearProbe):
    """Linear probe of an image tower alone: logistic regression on its features, which no text enters.

    Source: Radford et al., section 3.2.
    As ``linear_probe``, which is written for dual encoders and chooses C as CoOp's code does; this one tries
    ``STRENGTHS`` in turn and reads the features of any backbone: of an image tower alone its class tokens. Learns
    C x (d + 1) numbers.
    Deviations: fifteen values of C instead of 96; fits in float64. A class without an image is never predicted.
    """

    name: ClassVar[str] = "tower_probe"

    def init(self, task: Any, rng: torch.Generator) -> Params:
        return {"weight": torch.zeros(len(task.classes), task.backbone.width), "bias": torch.zeros(len(task.classes))}
