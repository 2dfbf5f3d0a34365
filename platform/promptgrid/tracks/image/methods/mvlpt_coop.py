"""MVLPT in CoOp's mode: one context for several tasks at once, then the start for each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from promptgrid.contract.clip import Axes
from promptgrid.tracks.image.methods.coop import CoOp
from promptgrid.tracks.image.methods.parts.multitask import PAPER, Multitask


@dataclass(frozen=True)
class MultitaskCoOp(Multitask, CoOp):
    """MVLPT in CoOp's mode: one context for several tasks.

    Source: Shen et al., section 3; sIncerass/MVLPT 6fa518b.
    CoOp on the images of all tasks at once, a label among the classes of all (:class:`Multitask` has other forms).
    M = 16, class name amid the context, SGD .002, batch 32, 200 epochs. Learns 8,192 numbers on ViT-B/16.
    Deviations: with ``softmax: own_task`` -inf masks; fp32.
    """

    name: ClassVar[str] = "mvlpt_coop"
    paper: ClassVar[str] = PAPER
    axes: ClassVar = Axes("context", "text", "multi_task", prompt="soft_tuning", design="data")

    position: Literal["end", "middle", "front"] = "middle"
    epochs: int = 200
