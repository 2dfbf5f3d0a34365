"""MVLPT in VPT's mode: one set of visual tokens for several tasks at once, then the start for each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from promptgrid.contract.clip import Axes
from promptgrid.tracks.image.methods.parts.multitask import PAPER, Multitask
from promptgrid.tracks.image.methods.vpt import VPT


@dataclass(frozen=True)
class MultitaskVPT(Multitask, VPT):
    """MVLPT in VPT's mode: one set of deep visual tokens for several tasks.

    Source: Shen et al., section 3; sIncerass/MVLPT 6fa518b.
    VPT on the images of all tasks at once, a label among the classes of all (:class:`Multitask` has other forms).
    16 tokens, SGD .002, batch 32, 200 epochs. ``texts: dataset`` speaks of each class in its own dataset's template.
    Learns 147,456 numbers on ViT-B/16.
    Deviations: with ``softmax: own_task`` -inf masks; fp32.
    """

    name: ClassVar[str] = "mvlpt_vpt"
    paper: ClassVar[str] = PAPER
    axes: ClassVar = Axes("tokens", "vision", "multi_task", prompt="soft_prefix", design="data")

    epochs: int = 200
