"""SciPrompt: retrieved words for fine-grained topics, with learned weights or as one soft row a class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from promptgrid.contract.method import Params, knob
from promptgrid.contract.recipe import Number
from promptgrid.contract.taxonomy import Axes
from promptgrid.towers.methods.full_finetune import own_weights
from promptgrid.tracks.text.methods.kpt import KPT, weighted
from promptgrid.tracks.text.methods.parts.tuned import OUTPUT_LAYER, TUNES
from promptgrid.tracks.text.methods.parts.verbalizers import scored_rows
from promptgrid.tracks.text.task import TextTask


@dataclass(frozen=True)
class SciPrompt(KPT):
    """SciPrompt: a class's retrieved words, weighted by how near they are to it, answer at the mask.

    Source: You et al., sections on filtering and on the two verbalizers; zhiwenyou103/SciPrompt cc6db91.
    ``verbalizer: weighted``: as ``kpt``, but a class's logit is Σ_w softmax_w(s_c) log p_cw with learned s, started at
    the scores of the dataset (1 where it gives none). ``soft``: the decoder is replaced by one learned row a class,
    started at (1 / |W_c|) Σ_w s_cw times the mean of the decoder's rows of w's tokens, without bias or calibration.
    ``tunes: answer`` leaves the model frozen. AdamW 3e-5, weight decay .01, batch 5, 200 steps, clip 1.
    Learns C x W numbers, or C x d, and with ``tunes: all`` the model.
    Deviations: the original's calibration pool is the unlabelled training texts (``calibration: pool``); retrieval and
    filtering by two other encoders are the dataset's part; what the verbalizer learns has ``ratio`` times the rate;
    steps instead of 5 epochs; a cosine without warm-up.
    """

    name: ClassVar[str] = "sci_prompt"
    paper: ClassVar[str] = "You et al., EMNLP 2024, arXiv:2410.01946"
    axes: ClassVar = Axes("classifier", "weights", prompt="hard_retrieved", family="single_tower")

    learning_rate: Number = knob(3e-5, low=1e-7, high=1e-1, log=True)
    batch_size: int = 5
    verbalizer: Literal["weighted", "soft"] = "weighted"

    @property
    def rules(self) -> Mapping[str, Any]:
        return {**super().rules, "tunes": TUNES, "verbalizer": ("weighted", "soft")}

    @property
    def own_names(self) -> tuple[str, ...]:
        return ("word_weights",) if self.verbalizer == "weighted" else ("rows",)

    @property
    def unread(self) -> frozenset[str]:
        return OUTPUT_LAYER if self.verbalizer == "soft" else frozenset()

    def start(self, task: TextTask, rng: torch.Generator) -> Params:
        own = super().start(task, rng)
        scores = torch.zeros(own["kept"].shape)
        for row, given in zip(scores, task.word_scores.values(), strict=True):
            row[: len(given)] = torch.tensor(given)
        if self.verbalizer == "weighted":
            return own | {"word_weights": scores}
        return own | {"rows": scored_rows(task, scores * own["kept"]).float()}

    def shares(self, params: Params) -> Tensor:
        return weighted(params["word_weights"], params["kept"])

    def answer(self, params: Params, state: Tensor, task: TextTask) -> Tensor:
        if self.verbalizer == "weighted":
            return super().answer(params, state, task)
        return task.backbone.decoder_input(state, own_weights(params)) @ params["rows"].mT
