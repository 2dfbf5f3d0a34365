"""WARP-style verbalizer: one learned decoder row a class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from promptgrid.contract.method import Params
from promptgrid.contract.taxonomy import Axes
from promptgrid.towers.methods.full_finetune import own_weights
from promptgrid.tracks.text.methods.parts.tuned import OUTPUT_LAYER, TUNES, AtMask
from promptgrid.tracks.text.methods.parts.verbalizers import scored_rows
from promptgrid.tracks.text.task import TextTask


@dataclass(frozen=True)
class WARP(AtMask):
    """WARP-style verbalizer: a row for each class in the place of the decoder, read at the mask.

    Source: Hambardzumyan et al., section 3.
    Rows start from the decoder's row of the word that names the class. By default the model is frozen, so that rows are
    learned on states that are known; ``tunes: all`` learns it too. AdamW 2e-5 x ``ratio`` 100 for the rows, batch 16,
    200 steps, cosine by step. Learns C x d numbers.
    Deviations: no learned tokens in the input, which the original inserts around a text; the dataset's template
    stands there; the recipe is ours.
    """

    name: ClassVar[str] = "warp"
    paper: ClassVar[str] = "Hambardzumyan et al., ACL 2021, arXiv:2101.00121"
    axes: ClassVar = Axes("classifier", "head", prompt="hard_instruction", family="single_tower")

    tunes: Literal["all", "answer"] = "answer"

    @property
    def rules(self) -> Mapping[str, Any]:
        return {"tunes": TUNES}

    @property
    def open_vocabulary(self) -> bool:
        return False

    @property
    def own_names(self) -> tuple[str, ...]:
        return ("rows",)

    @property
    def unread(self) -> frozenset[str]:
        return OUTPUT_LAYER

    def start(self, task: TextTask, rng: torch.Generator) -> Params:
        scores = torch.zeros(task.label_words.known.shape)
        scores[:, 0] = 1.0
        return {"rows": scored_rows(task, scores).float()}

    def answer(self, params: Params, state: Tensor, task: TextTask) -> Tensor:
        return task.backbone.decoder_input(state, own_weights(params)) @ params["rows"].mT
