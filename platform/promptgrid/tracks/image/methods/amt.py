"""AMT: which attention weights of the image tower are kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from promptgrid.contract.clip import Axes
from promptgrid.tracks.image.methods.r_amt import RAMT


@dataclass(frozen=True)
class AMT(RAMT):
    """AMT: learned masks on the attention weights of the image tower, by plain descent.

    Source: Zheng et al., section 3; R-AMT 07f8d2c.
    R-AMT without gradient dropout: W' = W ⊙ 1[m > .005], m real and like W, from .01, its gradient passed through; CE +
    1e-4 sum over weights ‖m‖₂, by R-AMT's recipe (Adam 8e-5, 30 epochs). Learns 28,311,552 numbers on ViT-B/16.
    Deviations: as R-AMT, the case of class names too.
    """

    name: ClassVar[str] = "amt"
    axes: ClassVar = Axes("weight_mask", "weights")

    regularised: bool = False
