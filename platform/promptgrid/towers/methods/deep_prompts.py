"""Deep prompts: learned tokens in front of every block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from promptgrid.contract.method import Params
from promptgrid.contract.taxonomy import Axes
from promptgrid.towers.methods.parts.headed import normal
from promptgrid.towers.methods.prompt_tuning import PromptTuning


@dataclass(frozen=True)
class DeepPrompts(PromptTuning):
    """Deep prompts: tokens that are written anew before every block of the frozen tower.

    Source: Jia et al., section 3.2, VPT-deep, which is about image towers.
    Recipe and start as prompt tuning. Learns layers x l x d numbers and a head of C x (d + 1).
    Deviations: a start from N(0, .02²); the recipe is ours.
    """

    name: ClassVar[str] = "deep_prompts"
    paper: ClassVar[str] = "Jia et al., ECCV 2022, arXiv:2203.12119"
    axes: ClassVar = Axes("tokens", "weights", prompt="soft_prefix", family="single_tower")
    needs: ClassVar[frozenset[str]] = frozenset({"tokens", "blocks"})

    def start(self, task: Any, rng: torch.Generator) -> Params:
        return {"prompt": normal(rng, task.tower.layers, self.prompt_length, task.tower.width)}

    def by_layer(self, params: Params) -> tuple[Tensor, ...]:
        return params["prompt"].unbind(0)
