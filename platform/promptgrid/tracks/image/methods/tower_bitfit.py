"""BitFit of the image tower alone, with a linear head."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from promptgrid.towers.methods.bitfit import BitFit


@dataclass(frozen=True)
class TowerBitFit(BitFit):
    """BitFit of an image tower alone: the biases of all projections and LayerNorms, and a linear head.

    Source: Ben Zaken et al., section 3; of image towers Jia et al., ECCV 2022, section 4.1 ("Bias").
    As ``bitfit``, which compares with the texts of a dual encoder; here a linear head reads the class token. Learns
    layers x (4 d + h) + norms x d numbers, h the MLP's width, and a head of C x (d + 1).
    Deviations: biases of keys stay (softmax is blind to them, so they would follow rounding); the recipe is ours.
    """

    name: ClassVar[str] = "tower_bitfit"
