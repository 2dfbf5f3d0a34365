"""Prompt fine-tuning: the whole model learns to fill the mask of a hand-written template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from promptgrid.contract.taxonomy import Axes
from promptgrid.tracks.text.methods.parts.tuned import AtMask


@dataclass(frozen=True)
class PromptFinetune(AtMask):
    """Prompt fine-tuning: cross-entropy of the logits of one label word a class at the mask of the dataset's template.

    Source: Gao et al., section 3, with the manual template and label words.
    A copy of every weight is learned. AdamW 2e-5 (the paper chooses among 1e-5, 2e-5, 5e-5), weight decay .01 but on
    biases and norms, batch 16, 200 steps, cosine by step.
    Deviations: no demonstrations in the input; a label word of several tokens has the mean of their logits (the
    original takes words of one token); a cosine without warm-up; no dropout.
    """

    name: ClassVar[str] = "prompt_finetune"
    paper: ClassVar[str] = "Gao et al., ACL 2021, arXiv:2012.15723"
    axes: ClassVar = Axes("weight_deltas", "weights", prompt="hard_instruction", family="single_tower")

    @property
    def rules(self) -> Mapping[str, Any]:
        return {"tunes": ("all",)}
