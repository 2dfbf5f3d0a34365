"""IVLP: independent prompts in both towers, the baseline of MaPLe and PromptSRC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from promptgrid.contract.clip import Axes, Batch, Edits, Params, Task, TokenPlan
from promptgrid.contract.clip.method import Kind
from promptgrid.tracks.image.methods.deep_language import DeepLanguage
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.starts import gaussian


@dataclass(frozen=True)
class IVLP(DeepLanguage):
    """IVLP: learned prompts in the first blocks of both towers, each tower its own.

    Source: the baseline of Khattak et al. in PromptSRC bb95c77 (``independentVL.py``).
    Text: as deep language prompting. Image: V_0 (m, d_v) is appended behind the patches, before ``ln_pre`` and without
    positions, and V_l overwrites it before block l < ``depth``; V starts from N(0, 0.02²). Defaults are PromptSRC's
    baseline: 4 + 4 tokens, depth 9, SGD .0025, batch 4, 20 epochs; MaPLe's is ``context_length: 2, tokens: 2,
    depth: 12, learning_rate: 0.0035, epochs: 5``. Learns 9 x 4 x (512 + 768) = 46,080 numbers on ViT-B/16.
    Deviation: fp32.
    """

    name: ClassVar[str] = "ivlp"
    kind: ClassVar[Kind] = "multimodal"
    paper: ClassVar[str] = "Khattak et al., ICCV 2023, arXiv:2307.06948 (baseline)"
    axes: ClassVar = Axes("tokens", "both", prompt="soft_prefix")
    needs: ClassVar[frozenset[str]] = frozenset({"text_tokens", "text_blocks", "vision_blocks"})

    tokens: int = 4
    depth: int = 9
    epochs: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self, tokens=1)

    def init(self, task: Task, rng: torch.Generator) -> Params:
        tower = task.backbone.vision
        visual = gaussian(rng, min(self.depth, tower.layers), self.tokens, tower.width)
        return super().init(task, rng) | {"tokens": visual}

    def image(self, params: Params, batch: Batch, task: Task) -> Tensor:
        plan = TokenPlan(params["tokens"].unbind(0), "end", before_norm=True)
        return task.backbone.encode_patches(batch.patches, Edits(tokens=plan))
