"""KnowPrompt: relations as virtual words, with learned marks around the two entities."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from promptgrid.contract.method import Params, knob
from promptgrid.contract.recipe import Number
from promptgrid.contract.task import Batch
from promptgrid.contract.taxonomy import Axes
from promptgrid.towers.methods.full_finetune import own_weights
from promptgrid.tracks.text.methods.parts.tuned import OUTPUT_LAYER, AtMask
from promptgrid.tracks.text.methods.parts.verbalizers import first_rows
from promptgrid.tracks.text.reading import written
from promptgrid.tracks.text.task import TextTask

ENTITY_KINDS = ("person", "organization", "location", "date", "country")


@dataclass(frozen=True)
class KnowPrompt(AtMask):
    """KnowPrompt: one virtual answer word for each relation, one learned mark for each of the two entities.

    Source: Chen et al., section 3; FF2127/bayesprompt 493645c, which builds on it.
    Virtual words start from the mean of the embeddings of a relation's label words and take the decoder's place at the
    mask; marks start from the mean embedding of five kinds of entities. The whole model is tuned. AdamW 3e-5, batch 16,
    200 steps, cosine by step. Learns C x d + 2 d numbers, and the model. Its template has ``{sub}`` and ``{obj}``.
    Deviations: the paper's second loss on entities and relations is left out, as BayesPrompt's base has it; marks
    start from the mean over all five kinds, since no dataset here tells an entity's kind; steps instead of 50
    epochs; no warm-up; ``ratio`` 1, one rate for all.
    """

    name: ClassVar[str] = "know_prompt"
    paper: ClassVar[str] = "Chen et al., WWW 2022, arXiv:2104.07650"
    axes: ClassVar = Axes("context", "weights", prompt="soft_tuning", family="single_tower")
    needs: ClassVar[frozenset[str]] = frozenset({"mask", "weights", "relations"})

    learning_rate: Number = knob(3e-5, low=1e-7, high=1e-1, log=True)
    ratio: float = 1.0

    @property
    def rules(self) -> Mapping[str, Any]:
        return {"tunes": ("all",)}

    @property
    def open_vocabulary(self) -> bool:
        return False

    @property
    def own_names(self) -> tuple[str, ...]:
        return ("rows", "marks")

    @property
    def unread(self) -> frozenset[str]:
        return OUTPUT_LAYER

    def start(self, task: TextTask, rng: torch.Generator) -> Params:
        kinds = [list(word) for word in task.backbone.words(ENTITY_KINDS)]
        each = [task.backbone.embed(torch.tensor(ids)).mean(0) for ids in kinds]
        return {"rows": first_rows(task)[0].float(), "marks": torch.stack(each).mean(0).repeat(2, 1).float()}

    def marks(self, params: Params, task: TextTask) -> Tensor:
        """(2, d) what is written around the first and around the second entity."""
        return params["marks"]

    def written(self, params: Params, words: Tensor, batch: Batch, task: TextTask) -> Tensor:
        marks = self.marks(params, task)
        return written(written(words, batch["subject_at"], marks[:1]), batch["object_at"], marks[1:])

    def answer(self, params: Params, state: Tensor, task: TextTask) -> Tensor:
        return task.backbone.decoder_input(state, own_weights(params)) @ params["rows"].mT
