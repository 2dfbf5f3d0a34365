"""MaPLe: prompts in both towers, the visual ones computed from the textual ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Axes, Batch, Edits, Number, Params, Task, TokenPlan, Trained, knob
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.starts import context, gaussian, linear


@dataclass(frozen=True)
class MaPLe(Trained):
    """MaPLe: learned text prompts in the first blocks, and visual prompts computed from them.

    Source: Khattak et al., section 3.2; multimodal-prompt-learning 69bce21 (``maple.py``). P_l are the text prompts of
    block l < J, F_l(P_l) the visual ones, F_l linear.
    Text: P_0 replaces the first ``context_length`` words of "a photo of a", the rest ("of a") stays frozen; P_l
    overwrites the same slots before block l. Image: the last tokens, appended before ``ln_pre``, without positions,
    overwritten likewise. P_1.. start from N(0, 0.02²); the maps F_1.. start as clones of one. J = ``depth`` = 9,
    no more than the shallower tower has; SGD .0035, batch 4, 5 epochs (cross-dataset: J 3, .0026, 2 epochs).
    Learns 9 x (512 x 768 + 768) + 9 x 2 x 512 = 3,555,072 numbers on ViT-B/16. Deviation: fp32.
    """

    name: ClassVar[str] = "maple"
    kind: ClassVar = "multimodal"
    paper: ClassVar[str] = "Khattak et al., CVPR 2023, arXiv:2210.03117"
    axes: ClassVar = Axes("coupled_tokens", "both", prompt="soft_prefix")
    needs: ClassVar[frozenset[str]] = frozenset({"text_tokens", "text_blocks", "vision_blocks"})

    context_length: int = 2
    depth: int = 9
    words: str = "a photo of a"
    learning_rate: Number = knob(0.0035, low=1e-5, high=1.0, log=True)
    batch_size: int = 4
    epochs: int = 5

    def __post_init__(self) -> None:
        check(self, context_length=1, depth=1)
        known = len(self.words.split())
        if self.words and self.context_length > known:
            raise ValueError(f"context_length: got {self.context_length}, expected at most {known}, as words has")

    def init(self, task: Task, rng: torch.Generator) -> Params:
        text, vision = task.backbone.text, task.backbone.vision
        later = min(self.depth, text.layers, vision.layers) - 1
        leading = " ".join(self.words.split()[: self.context_length])
        params = {"context": context(task, rng, self.context_length, leading)}
        params["deeper"] = gaussian(rng, later, self.context_length, text.width)
        first, clone = linear(rng, text.width, vision.width), linear(rng, text.width, vision.width)
        params["map_weight"] = torch.cat([first[0][None], clone[0].expand(later, -1, -1)])
        params["map_bias"] = torch.cat([first[1][None], clone[1].expand(later, -1)])
        return params

    def text(self, params: Params, task: Task) -> Tensor:
        behind = " ".join(self.words.split()[self.context_length :])
        prompts = task.prompts(self.context_length, behind=behind)
        edits = Edits(tokens=TokenPlan(_layers(params), "text"))
        return task.backbone.encode_context(prompts, params["context"], edits)

    def image(self, params: Params, batch: Batch, task: Task) -> Tensor:
        maps = zip(_layers(params), params["map_weight"].unbind(0), params["map_bias"].unbind(0), strict=True)
        visual = tuple(F.linear(tokens, weight, bias) for tokens, weight, bias in maps)
        plan = TokenPlan(visual, "end", before_norm=True)
        return task.backbone.encode_patches(batch.patches, Edits(tokens=plan))


def _layers(params: Params) -> tuple[Tensor, ...]:
    """P_0 .. P_{J-1}, each (context length, text width)."""
    return (params["context"], *params["deeper"].unbind(0))
