"""APT: prompts whose part in attention is approximated beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from promptgrid.contract.clip import Axes, Edits, Params, SidePath, Task
from promptgrid.contract.clip.backbone import TowerShape
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.starts import gaussian
from promptgrid.tracks.image.methods.parts.towers import TowerEdits


@dataclass(frozen=True)
class APT(TowerEdits):
    """APT, reading 1 for CLIP: in every block, tokens beside attention that never enter the sequence.

    Source: Wu et al., section 3; DoubtedSteam/APT d66bbc4 (``vision_transformer_apt.py``), for ViLT and METER.
    K = Z + (Z A) B; of attention's normed input h: a = ReLU(h Kᵀ), w = max_j a_j held fixed; attention's answer
    becomes (Attn(h) + w a Z) exp(s). Z (``tokens``, d) from N(0, 0.02²), A (d, ``rank``) from N(0, 1), B and s from
    0, per block of the image tower (``towers: both``: and of the text tower, whose texts are then encoded at each
    step). 50 tokens and rank 4, as in the code for ViLT; recipe as CoOp, 50 epochs. Does not begin as zero-shot CLIP:
    Z is small, not zero. Learns 12 x (50 x 768 + 2 x 4 x 768 + 1) = 534,540 numbers on ViT-B/16.
    Deviations: for CLIP no code is public, towers and recipe are our reading; fp32.
    """

    name: ClassVar[str] = "apt"
    paper: ClassVar[str] = "Wu et al., 2023, arXiv:2306.15706"
    axes: ClassVar = Axes("side_path", "weights", prompt="soft_prefix")

    tokens: int = 50
    rank: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, tokens=1, rank=1)

    def of_tower(self, tower: str, shape: TowerShape, task: Task, rng: torch.Generator) -> Params:
        return {
            f"{tower}_tokens": gaussian(rng, shape.layers, self.tokens, shape.width),
            f"{tower}_down": gaussian(rng, shape.layers, shape.width, self.rank, std=1.0),
            f"{tower}_up": torch.zeros(shape.layers, self.rank, shape.width),
            f"{tower}_gain": torch.zeros(shape.layers),
        }

    def edits(self, tower: str, params: Params, task: Task) -> Edits:
        tokens = params[f"{tower}_tokens"]
        keys = tokens + tokens @ params[f"{tower}_down"] @ params[f"{tower}_up"]
        gains = params[f"{tower}_gain"].exp()
        own = zip(keys.unbind(0), tokens.unbind(0), gains.unbind(0), strict=True)
        return Edits(sides={layer: SidePath(*one) for layer, one in enumerate(own)})
