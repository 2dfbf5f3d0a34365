"""A masked language model in a template, tuned whole or read frozen, that answers at its mask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from promptgrid.contract.method import Method, Params, knob
from promptgrid.contract.recipe import Number, Recipe
from promptgrid.contract.settings import check
from promptgrid.contract.task import Batch
from promptgrid.towers.methods.full_finetune import OWN, own_weights
from promptgrid.towers.methods.parts.recipes import adamw
from promptgrid.tracks.text.methods.parts.verbalizers import class_logits
from promptgrid.tracks.text.reading import at_mask, sequence, templated
from promptgrid.tracks.text.task import TextTask

TUNES = ("all", "answer")
OUTPUT_LAYER = frozenset({"mask.bias", "mask.decoder"})
"""Weights that nothing but the scores of the decoder's own words depends on."""


@dataclass(frozen=True)
class AtMask(Method):
    """What is read at the mask of a template, and how it becomes classes.

    ``tunes: all``: a copy of every weight that is read is learned beside what :meth:`start` draws; ``answer``: only the
    latter, from frozen states. AdamW, weight decay but on biases and norms, gradients clipped to norm 1, cosine by step
    without warm-up; ``ratio`` multiplies the rate of what :meth:`start` draws.
    """

    kind: ClassVar[str] = "words"
    needs: ClassVar[frozenset[str]] = frozenset({"mask", "weights"})

    tunes: Literal["all", "answer"] = "all"
    learning_rate: Number = knob(2e-5, low=1e-7, high=1e-1, log=True)
    weight_decay: Number = knob(0.01, low=0.0, high=0.1)
    ratio: float = 100.0
    steps: int = 200
    batch_size: int = 16

    def __post_init__(self) -> None:
        check(self, **{"steps": 1, "tunes": TUNES, **self.rules})

    @property
    def rules(self) -> Mapping[str, Any]:
        """What :func:`promptgrid.contract.settings.check` should know of further settings."""
        return {}

    @property
    def columns(self) -> frozenset[str]:
        """The columns that it reads at these settings."""
        return frozenset({"templated" if self.tunes == "all" else "mask_state"})

    @property
    def unread(self) -> frozenset[str]:
        """Names of weights that neither answers nor losses read: they are not learned."""
        return frozenset()

    def start(self, task: TextTask, rng: torch.Generator) -> Params:
        """What is learned, or kept, beside the model's weights."""
        return {}

    def init(self, task: TextTask, rng: torch.Generator) -> Params:
        read = {name: value for name, value in task.backbone.weights().items() if name not in self.unread}
        own = copied(read) if self.tunes == "all" else {}
        return own | self.start(task, rng)

    def recipe(self, task: TextTask) -> Recipe | None:
        rates = dict.fromkeys(self.own_names, self.ratio)
        return adamw(self.learning_rate, self.weight_decay, self.steps, self.batch_size, rates=rates, clip=1.0)

    @property
    def own_names(self) -> tuple[str, ...]:
        """Names of what :meth:`start` draws and training moves."""
        return ()

    def state(self, params: Params, batch: Batch, task: TextTask) -> Tensor:
        """(B, d) the last hidden state at the mask."""
        if self.tunes == "answer":
            return batch["mask_state"]
        weights, text = own_weights(params), templated(batch)
        words = self.written(params, task.backbone.embed(text.ids, weights), batch, task)
        return at_mask(task.backbone, sequence(task.backbone, text, embeddings=words), None, weights)

    def written(self, params: Params, words: Tensor, batch: Batch, task: TextTask) -> Tensor:
        """(B, L, d) word embeddings of the templated texts with what the method writes in their place."""
        return words

    def answer(self, params: Params, state: Tensor, task: TextTask) -> Tensor:
        """(B, d) states at the mask to (B, C) logits."""
        return class_logits(task, state, own_weights(params))

    def predict(self, params: Params, batch: Batch, task: TextTask, once: Any = None) -> Tensor:
        return self.answer(params, self.state(params, batch, task), task)


def copied(weights: Mapping[str, Tensor]) -> Params:
    """Copies of the weights of a model, float32, as parameters."""
    return {OWN + name: value.clone().float() for name, value in weights.items()}
