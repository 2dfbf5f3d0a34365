"""APT: prompts whose part in attention is approximated beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from promptgrid.contract import Axes, Batch, Edits, Params, SidePath, Task, Trained
from promptgrid.contract.backbone import TowerShape
from promptgrid.tracks.image.methods.parts.sentences import sentences
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.starts import gaussian


@dataclass(frozen=True)
class APT(Trained):
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
    kind: ClassVar = "weights"
    paper: ClassVar[str] = "Wu et al., 2023, arXiv:2306.15706"
    axes: ClassVar = Axes("side_path", "weights", prompt="soft_prefix")
    needs: ClassVar[frozenset[str]] = frozenset({"text_blocks", "vision_blocks"})

    tokens: int = 50
    rank: int = 4
    towers: Literal["vision", "both"] = "vision"
    epochs: int = 50

    def __post_init__(self) -> None:
        check(self, tokens=1, rank=1, towers=("vision", "both"))

    def init(self, task: Task, rng: torch.Generator) -> Params:
        params = self._start("vision", task.backbone.vision, rng)
        return params | self._start("text", task.backbone.text, rng) if self.towers == "both" else params

    def text(self, params: Params, task: Task) -> Tensor:
        if self.towers != "both":
            return task.text
        return task.backbone.encode_text(*sentences(task, task.template), _edits("text", params))

    def image(self, params: Params, batch: Batch, task: Task) -> Tensor:
        assert batch.patches is not None, "declared by needs"
        return task.backbone.encode_patches(batch.patches, _edits("vision", params))

    def _start(self, tower: str, shape: TowerShape, rng: torch.Generator) -> Params:
        return {
            f"{tower}_tokens": gaussian(rng, shape.layers, self.tokens, shape.width),
            f"{tower}_down": gaussian(rng, shape.layers, shape.width, self.rank, std=1.0),
            f"{tower}_up": torch.zeros(shape.layers, self.rank, shape.width),
            f"{tower}_gain": torch.zeros(shape.layers),
        }


def _edits(tower: str, params: Params) -> Edits:
    tokens = params[f"{tower}_tokens"]
    keys = tokens + tokens @ params[f"{tower}_down"] @ params[f"{tower}_up"]
    gains = params[f"{tower}_gain"].exp()
    own = zip(keys.unbind(0), tokens.unbind(0), gains.unbind(0), strict=True)
    return Edits(sides={layer: SidePath(*one) for layer, one in enumerate(own)})
