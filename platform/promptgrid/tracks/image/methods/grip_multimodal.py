"""GRIP on text and visual tokens that know each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor

from promptgrid.contract.clip import Axes, Batch, Edits, Number, Params, Task, TokenPlan, knob
from promptgrid.tracks.image.methods.parts.mixing import mix, mixer
from promptgrid.tracks.image.methods.parts.rounds import Pseudolabelled
from promptgrid.tracks.image.methods.parts.starts import gaussian, uniform


@dataclass(frozen=True)
class GRIPMultimodal(Pseudolabelled):
    """GRIP on multimodal prompts: ten rounds of shallow UPT on a growing share of the pool.

    Source: as GRIP; BatsResearch/menghini-neurips23-code 2094fa5 (``multimodal_fpl.py``, ``UPTModel``).
    4 text and 4 visual tokens, N(0, 0.02²) and U(±√(6 / (3 p² + d))), pass UPT's block of width 128; the visual ones
    enter once, before ``ln_pre``. Strategy and losses as GRIP's, SGD .01. Learns 4 x (512 + 768) = 5,120 numbers and
    the block's 527,488 on ViT-B/16.
    Deviations: those of GRIP; attention runs over the length of both prompts (the original stacks them and attends
    across modality at each position).
    """

    name: ClassVar[str] = "grip_multimodal"
    kind: ClassVar = "multimodal"
    paper: ClassVar[str] = "Menghini et al., NeurIPS 2023, arXiv:2306.01669"
    axes: ClassVar = Axes("coupled_tokens", "both", supervision="semi_supervised", prompt="soft_prefix", design="data")
    needs: ClassVar[frozenset[str]] = frozenset({"text_tokens", "vision_blocks", "unlabelled"})

    learning_rate: Number = knob(0.01, low=1e-5, high=1.0, log=True)
    context_length: int = 4
    tokens: int = 4
    width: int = 128
    strategy: Literal["grip", "ifpl", "fpl"] = "grip"

    def init(self, task: Task, rng: torch.Generator) -> Params:
        text, vision = task.backbone.text.width, task.backbone.vision.width
        bound = (6.0 / (3 * task.backbone.patch_size**2 + vision)) ** 0.5
        context, tokens = gaussian(rng, self.context_length, text), uniform(rng, bound, self.tokens, vision)
        return {"context": context, "tokens": tokens} | mixer(rng, text, vision, self.width)

    def text(self, params: Params, task: Task) -> Tensor:
        context, _ = mix(params, params["context"], params["tokens"])
        return task.backbone.encode_context(task.prompts(self.context_length), context)

    def image(self, params: Params, batch: Batch, task: Task) -> Tensor:
        _, tokens = mix(params, params["context"], params["tokens"])
        plan = TokenPlan((tokens,), "after_class", before_norm=True)
        return task.backbone.encode_patches(batch.patches, Edits(tokens=plan))
