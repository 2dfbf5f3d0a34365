"""MVLPT in VPT's mode: one set of visual tokens for several tasks at once, then the start for each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from promptgrid.contract import Axes
from promptgrid.tracks.image.methods.parts.multitask import PAPER, Multitask
from promptgrid.tracks.image.methods.vpt import VPT


@dataclass(frozen=True)
class MultitaskVPT(Multitask, VPT):
    """MVLPT in VPT's mode: one set of deep visual tokens for several tasks.

    Source: Shen et al., section 3; sIncerass/MVLPT 6fa518b.
    VPT, where every batch is of one task and a label competes with the classes of its own task only. 16 tokens, SGD
    .002, batch 32, 200 epochs. Each class is spoken of in its own dataset's template. Learns 147,456 numbers on
    ViT-B/16.
    Deviations: -inf masks (see :class:`Multitask`); fp32.
    """

    name: ClassVar[str] = "mvlpt_vpt"
    paper: ClassVar[str] = PAPER
    axes: ClassVar = Axes("tokens", "vision", "multi_task", prompt="soft_prefix", design="data")

    epochs: int = 200
