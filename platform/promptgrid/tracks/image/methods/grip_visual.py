"""GRIP on visual tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from promptgrid.contract.clip import Axes, Batch, Edits, Params, Task, TokenPlan
from promptgrid.tracks.image.methods.parts.rounds import Pseudolabelled
from promptgrid.tracks.image.methods.parts.starts import gaussian


@dataclass(frozen=True)
class GRIPVisual(Pseudolabelled):
    """GRIP on visual prompts: ten rounds of shallow VPT on a growing share of the pool.

    Source: as GRIP; BatsResearch/menghini-neurips23-code 2094fa5 (``visual_fpl.py``, ``prompts_models.py``).
    16 tokens, d_v^-0.5 N(0, 1), behind CLS and the positions and before ``ln_pre``, propagate through all blocks; texts
    are frozen, from the dataset's template. Strategy, losses and recipe as GRIP's; ``strategy: fpl`` and ``ifpl`` give
    the paper's other two. Learns 16 x 768 = 12,288 numbers on ViT-B/16.
    Deviations: those of GRIP; the dataset's own template.
    """

    name: ClassVar[str] = "grip_visual"
    kind: ClassVar = "vision"
    paper: ClassVar[str] = "Menghini et al., NeurIPS 2023, arXiv:2306.01669"
    axes: ClassVar = Axes("tokens", "vision", supervision="semi_supervised", prompt="soft_prefix", design="data")
    needs: ClassVar[frozenset[str]] = frozenset({"vision_blocks", "unlabelled"})

    tokens: int = 16
    strategy: Literal["grip", "ifpl", "fpl"] = "grip"

    def init(self, task: Task, rng: torch.Generator) -> Params:
        width = task.backbone.vision.width
        return {"tokens": gaussian(rng, self.tokens, width, std=width**-0.5)}

    def image(self, params: Params, batch: Batch, task: Task) -> Tensor:
        plan = TokenPlan((params["tokens"],), "after_class", before_norm=True)
        return task.backbone.encode_patches(batch.patches, Edits(tokens=plan))
