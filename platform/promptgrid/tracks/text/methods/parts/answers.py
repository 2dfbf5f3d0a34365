"""A frozen tower with something learned in front or inside, answering by a head or by label words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.edits import Edits
from promptgrid.contract.method import Params, knob
from promptgrid.contract.recipe import Number
from promptgrid.contract.task import Batch
from promptgrid.towers.methods.parts.headed import Headed, head
from promptgrid.tracks.text.methods.parts.verbalizers import class_logits
from promptgrid.tracks.text.reading import Sequence, Text, at_mask, bare, pooled, sequence, templated
from promptgrid.tracks.text.task import TextTask

ANSWERS = ("head", "words")


@dataclass(frozen=True)
class Answering(Headed):
    """Something learned in a frozen tower.

    ``answers: head``: a linear head reads the pooled features of the bare text. ``words``: the text stands in the
    task's template, and the tower's own logits of each class's first label word at the mask are the answer; nothing is
    learned beside the prompt, and the tower must fill masks.
    """

    kind: ClassVar[str] = "tokens"
    needs: ClassVar[frozenset[str]] = frozenset({"tokens"})

    learning_rate: Number = knob(0.005, low=1e-6, high=1.0, log=True)
    answers: Literal["head", "words"] = "head"

    @property
    def rules(self) -> Mapping[str, Any]:
        return {"answers": ANSWERS}

    @property
    def open_vocabulary(self) -> bool:
        return self.answers == "words"

    @property
    def columns(self) -> frozenset[str]:
        """The columns that it reads at these settings."""
        return frozenset({"templated" if self.answers == "words" else "tokens"})

    def enter(self, params: Params, text: Text, task: TextTask) -> Sequence:
        """What enters the first block."""
        return sequence(task.backbone, text)

    def inside(self, params: Params, task: TextTask) -> Edits | None:
        """What is changed in the blocks."""
        return None

    def init(self, task: TextTask, rng: torch.Generator) -> Params:
        return self.start(task, rng) | (head(task, rng) if self.answers == "head" else {})

    def predict(self, params: Params, batch: Batch, task: TextTask, once: Any = None) -> Tensor:
        words = self.answers == "words"
        given = self.enter(params, templated(batch) if words else bare(batch), task)
        inside = self.inside(params, task)
        if words:
            return class_logits(task, at_mask(task.backbone, given, inside))
        return F.linear(pooled(task.backbone, given, inside), params["head_weight"], params["head_bias"])
