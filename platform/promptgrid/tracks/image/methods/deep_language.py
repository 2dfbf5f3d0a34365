"""Deep language prompting: learned prompts in the blocks of the text tower, the text half of IVLP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from promptgrid.contract.clip import Axes, Edits, Number, Params, Task, TokenPlan, Trained, knob
from promptgrid.contract.clip.method import Kind
from promptgrid.tracks.image.methods.parts.settings import check
from promptgrid.tracks.image.methods.parts.starts import context, gaussian


@dataclass(frozen=True)
class DeepLanguage(Trained):
    """Deep language prompting: learned text prompts in front of the class name and in the deeper text blocks.

    Source: the baseline of Khattak et al. in multimodal-prompt-learning 69bce21 (``independentVL.py``).
    P_0 (n, d_t) replaces the first ``context_length`` words of ``words``, what is left of them stays frozen text; P_l
    overwrites the same slots before text block l < ``depth``, and behind the last the tokens propagate. P_0 starts from
    the words (N(0, 0.02²) without), P_1.. from N(0, 0.02²). Images are frozen. 4 tokens, depth 12 (no more than the
    tower has), SGD .0025, batch 4, 5 epochs. Learns 12 x 4 x 512 = 24,576 numbers on ViT-B/16. Deviation: fp32.
    """

    name: ClassVar[str] = "deep_language"
    kind: ClassVar[Kind] = "text"
    paper: ClassVar[str] = "Khattak et al., CVPR 2023, arXiv:2210.03117 (baseline)"
    axes: ClassVar = Axes("context", "text", prompt="soft_prefix")
    needs: ClassVar[frozenset[str]] = frozenset({"text_tokens", "text_blocks"})

    context_length: int = 4
    depth: int = 12
    words: str = "a photo of a"
    learning_rate: Number = knob(0.0025, low=1e-5, high=1.0, log=True)
    batch_size: int = 4
    epochs: int = 5

    def __post_init__(self) -> None:
        check(self, context_length=1, depth=2)
        known = len(self.words.split())
        if self.words and self.context_length > known:
            raise ValueError(f"context_length: got {self.context_length}, expected at most {known}, as words has")

    def init(self, task: Task, rng: torch.Generator) -> Params:
        tower = task.backbone.text
        leading = " ".join(self.words.split()[: self.context_length])
        first = context(task, rng, self.context_length, leading)
        later = min(self.depth, tower.layers) - 1
        return {"context": first, "deeper": gaussian(rng, later, self.context_length, tower.width)}

    def text(self, params: Params, task: Task) -> Tensor:
        prompts = task.prompts(self.context_length, behind=" ".join(self.words.split()[self.context_length :]))
        plan = TokenPlan((params["context"], *params["deeper"].unbind(0)), "text")
        return task.backbone.encode_context(prompts, params["context"], Edits(tokens=plan))
