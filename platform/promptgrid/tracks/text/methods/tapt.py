"""TAPT: masked-word pretraining goes on over the pool's texts, then prompt fine-tuning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from promptgrid.contract.method import Params, knob
from promptgrid.contract.recipe import Number, Recipe
from promptgrid.contract.task import Batch, Chosen
from promptgrid.contract.taxonomy import Axes
from promptgrid.towers.methods.full_finetune import own_weights
from promptgrid.towers.methods.parts.recipes import adamw
from promptgrid.tracks.text.methods.parts.masking import masked_word_loss
from promptgrid.tracks.text.methods.parts.rounds import NOTHING
from promptgrid.tracks.text.methods.prompt_finetune import PromptFinetune
from promptgrid.tracks.text.reading import bare
from promptgrid.tracks.text.task import TextTask


@dataclass(frozen=True)
class TAPT(PromptFinetune):
    """TAPT: masked words of the pool's bare texts, then prompt fine-tuning from there.

    Source: Gururangan et al., section 4.
    15 % of tokens are asked for. Pool AdamW 1e-4 (.9, .98, 1e-6), 200 steps; then as ``prompt_finetune``. Learns the
    model. It asks of the engine what PCP does, with one round on the pool and one without.
    Deviations: 200 steps of 16 (the paper: 100 epochs of 256); the few labelled texts stand among the pool's;
    exactly 15 % of a text; prompt fine-tuning in the place of a classifier, so that it differs from PCP by nothing but
    what is read.
    """

    name: ClassVar[str] = "tapt"
    paper: ClassVar[str] = "Gururangan et al., ACL 2020, arXiv:2004.10964"
    axes: ClassVar = Axes(
        "weight_deltas", "weights", supervision="semi_supervised", design="data", prompt="hard_instruction",
        family="single_tower",
    )  # fmt: skip
    needs: ClassVar[frozenset[str]] = frozenset({"mask", "weights", "unlabelled"})
    with_labelled: ClassVar[bool] = True

    pool_rate: Number = knob(1e-4, low=1e-7, high=1e-2, log=True)
    pool_steps: int = 200

    @property
    def rules(self) -> Mapping[str, Any]:
        return {"tunes": ("all",), "pool_steps": 1}

    @property
    def columns(self) -> frozenset[str]:
        return super().columns | {"tokens"}

    def draws(self, task: TextTask, pool: int) -> tuple[int, ...]:
        return (pool, 0)

    def relabel(self, task: TextTask, logits: Tensor | None) -> Chosen:
        if task.turn or task.pool is None:
            return NOTHING
        return Chosen(torch.arange(len(task.pool)), torch.full((len(task.pool),), -1))

    def recipe(self, task: TextTask) -> Recipe | None:
        if task.turn:
            return super().recipe(task)
        return adamw(
            self.pool_rate, self.weight_decay, self.pool_steps, self.batch_size, betas=(0.9, 0.98), epsilon=1e-6
        )

    def objective(self, params: Params, batch: Batch, task: TextTask) -> dict[str, Tensor]:
        if task.turn:
            return super().objective(params, batch, task)
        text = bare(batch)
        return {"masked_words": masked_word_loss(task, text.ids, text.mask, own_weights(params))}
