"""Prompt tuning: learned tokens in front of the first block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from promptgrid.contract.edits import Edits, TokenPlan
from promptgrid.contract.method import Params, knob
from promptgrid.contract.recipe import Number
from promptgrid.contract.taxonomy import Axes
from promptgrid.towers.methods.parts.headed import Headed, normal


@dataclass(frozen=True)
class PromptTuning(Headed):
    """Prompt tuning: learned tokens enter the frozen tower beside its own, and a linear head reads its features.

    Source: Lester et al., section 2.
    ``prompt_length`` l tokens start from N(0, .02²), the spread of a transformer's own embeddings. AdamW .005, batch
    16, 200 steps, cosine by step. Learns l x d numbers and a head of C x (d + 1).
    Deviations: a linear head in the place of the words that the original's T5 writes; random starts instead of words of
    the vocabulary, which not every tower has; the recipe is ours.
    """

    name: ClassVar[str] = "prompt_tuning"
    paper: ClassVar[str] = "Lester et al., EMNLP 2021, arXiv:2104.08691"
    axes: ClassVar = Axes("tokens", "weights", prompt="soft_tuning", family="single_tower")
    needs: ClassVar[frozenset[str]] = frozenset({"tokens"})

    prompt_length: int = 20
    learning_rate: Number = knob(0.005, low=1e-6, high=1.0, log=True)

    @property
    def rules(self) -> Mapping[str, Any]:
        return {"prompt_length": 1}

    def start(self, task: Any, rng: torch.Generator) -> Params:
        return {"prompt": normal(rng, self.prompt_length, task.tower.width)}

    def edits(self, params: Params, task: Any) -> Edits | None:
        return Edits(tokens=TokenPlan(self.by_layer(params), task.tower.prompt_place), seed=task.seed)

    def by_layer(self, params: Params) -> tuple[Tensor, ...]:
        """The tokens of each layer that has its own."""
        return (params["prompt"],)
