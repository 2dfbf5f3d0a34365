"""DePT: a short prompt, and a low-rank change of the word embeddings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.method import Params
from promptgrid.contract.recipe import Recipe
from promptgrid.contract.taxonomy import Axes
from promptgrid.towers.methods.parts.headed import normal
from promptgrid.towers.methods.parts.recipes import adamw
from promptgrid.tracks.text.methods.parts.answers import ANSWERS, Answering
from promptgrid.tracks.text.reading import Sequence, Text, sequence
from promptgrid.tracks.text.task import TextTask

LOW_RANK = ("low_a", "low_b")


@dataclass(frozen=True)
class DePT(Answering):
    """DePT: s prompt tokens, and A B added to the embeddings of the first m tokens of the text.

    Source: Shi and Lipani, section 3; here also what EPT builds on.
    A prompt of ``budget_length`` l tokens is split: s = ``prompt_length``, A (m, r), B (r, d), with ``positions`` m and
    the largest r for which s d + r (m + d) <= l d. The prompt and A start from N(0, .02²), B from zero. AdamW .005 for
    the prompt, ``low_rank_ratio`` times that for A and B, batch 16, 200 steps, cosine by step. Learns at most l d
    numbers and a head of C x (d + 1).
    Deviations: tokens behind place m keep their embeddings; the rates are ours (the original's prompt rate .3 and
    low-rank rate 1e-4 are for T5, whose embeddings are some hundred times as large).
    """

    name: ClassVar[str] = "dept"
    paper: ClassVar[str] = "Shi and Lipani, ICLR 2024, arXiv:2309.05173"
    axes: ClassVar = Axes("tokens", "weights", prompt="soft_tuning", family="single_tower")

    budget_length: int = 20
    prompt_length: int = 8
    positions: int = 64
    low_rank_ratio: float = 0.1

    @property
    def rules(self) -> Mapping[str, Any]:
        return {"answers": ANSWERS, "budget_length": 2, "prompt_length": 1, "positions": 1}

    def rank(self, width: int) -> int:
        """r, for embeddings of ``width``.

        Raises:
            ValueError: the budget leaves nothing for A and B.
        """
        found = (self.budget_length - self.prompt_length) * width // (self.positions + width)
        if found < 1:
            raise ValueError(f"prompt_length: {self.prompt_length} of budget_length {self.budget_length} leaves rank 0")
        return found

    def start(self, task: TextTask, rng: torch.Generator) -> Params:
        width = task.backbone.width
        rank = self.rank(width)
        return {
            "prompt": normal(rng, self.prompt_length, width),
            "low_a": normal(rng, self.positions, rank),
            "low_b": torch.zeros(rank, width),
        }

    def recipe(self, task: TextTask) -> Recipe | None:
        rates = dict.fromkeys(LOW_RANK, self.low_rank_ratio)
        return adamw(
            self.learning_rate, self.weight_decay, self.steps, self.batch_size, rates=rates, undecayed=("head_bias",)
        )

    def prompt(self, params: Params, change: Tensor) -> Tensor:
        """(s, d) what enters in front; ``change`` is A B, (m, d)."""
        return params["prompt"]

    def enter(self, params: Params, text: Text, task: TextTask) -> Sequence:
        change = params["low_a"] @ params["low_b"]
        length = text.ids.shape[-1]
        own = F.pad(change[:length], (0, 0, 0, max(0, length - len(change))))
        words = task.backbone.embed(text.ids) + own
        return sequence(task.backbone, text, self.prompt(params, change), embeddings=words)
