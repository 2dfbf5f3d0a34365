"""MVLPT in UPT's mode: one set of tokens of both towers for several tasks at once, then the start for each of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from promptgrid.contract.clip import Axes
from promptgrid.tracks.image.methods.parts.multitask import PAPER, Multitask
from promptgrid.tracks.image.methods.upt import UPT


@dataclass(frozen=True)
class MultitaskUPT(Multitask, UPT):
    """MVLPT in UPT's mode: text and visual tokens for several tasks.

    Source: Shen et al., section 3; sIncerass/MVLPT 6fa518b.
    UPT on the images of all tasks at once, a label among the classes of all (:class:`Multitask` has other forms).
    4 + 4 tokens, class name amid the context, SGD .002, batch 32, 200 epochs. Learns 566,400 numbers on ViT-B/16.
    Deviations: with ``softmax: own_task`` -inf masks; fp32.
    """

    name: ClassVar[str] = "mvlpt_upt"
    paper: ClassVar[str] = PAPER
    axes: ClassVar = Axes("coupled_tokens", "both", "multi_task", prompt="soft_prefix", design="data")

    position: Literal["end", "middle", "front"] = "middle"
    epochs: int = 200
