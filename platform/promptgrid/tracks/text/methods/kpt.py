"""KPT-style verbalizer: the uniform average of many words a class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from promptgrid.contract.method import Params
from promptgrid.contract.taxonomy import Axes
from promptgrid.towers.methods.full_finetune import own_weights
from promptgrid.tracks.text.methods.parts.priors import (
    CALIBRATIONS,
    Calibration,
    likely_words,
    prior_states,
    word_prior,
)
from promptgrid.tracks.text.methods.parts.tuned import AtMask
from promptgrid.tracks.text.methods.parts.verbalizers import NEVER, calibrated, word_chances, word_logits
from promptgrid.tracks.text.task import TextTask


@dataclass(frozen=True)
class KPT(AtMask):
    """KPT-style verbalizer: a class's score is the mean log chance of all its label words, calibrated.

    Source: Hu et al., section 3.
    A word's logit is the mean over its tokens; softmax over all words of all classes; divided by the mean chance over
    texts without an answer (``calibration``: few labelled texts, the ``pool``, which needs ``unlabelled``, an ``empty``
    template, or ``none``), normalised again, log. Words of which a token lies in the lower ``unlikely`` share of the
    vocabulary, by the same texts, are left out. Priors are those of the frozen model. The whole model is tuned.
    Deviations: words count alike (the original learns their weights, which here is ``sci_prompt``); by default the few
    labelled texts take the place of the original's unlabelled training texts; the word that names a class always stays;
    the recipe is prompt fine-tuning's.
    """

    name: ClassVar[str] = "kpt"
    paper: ClassVar[str] = "Hu et al., ACL 2022, arXiv:2108.02035"
    axes: ClassVar = Axes("weight_deltas", "weights", prompt="hard_retrieved", family="single_tower")
    needs: ClassVar[frozenset[str]] = frozenset({"mask", "weights", "unlabelled"})
    frozen: ClassVar[frozenset[str]] = frozenset({"prior", "kept"})

    calibration: Calibration = "support"
    unlikely: float = 0.5

    @property
    def rules(self) -> Mapping[str, Any]:
        return {"tunes": ("all",), "calibration": CALIBRATIONS, "unlikely": 1.0}

    @property
    def open_vocabulary(self) -> bool:
        return False

    @property
    def assets(self) -> frozenset[str]:
        return frozenset({"unlabelled"}) if self.calibration == "pool" else frozenset()

    @property
    def columns(self) -> frozenset[str]:
        return super().columns | (frozenset({"mask_state"}) if self.calibration in ("support", "pool") else frozenset())

    def start(self, task: TextTask, rng: torch.Generator) -> Params:
        known = task.label_words.known
        if self.calibration == "none":
            return {"prior": torch.ones(known.shape), "kept": known.float()}
        states = prior_states(task, self.calibration)
        kept = likely_words(task, states, self.unlikely)
        return {"prior": word_prior(task, states, kept).float(), "kept": kept.float()}

    def shares(self, params: Params) -> Tensor:
        """(C, W) how much each word counts in its class, summing to 1 over those that are kept."""
        return params["kept"] / params["kept"].sum(1, keepdim=True)

    def answer(self, params: Params, state: Tensor, task: TextTask) -> Tensor:
        kept = params["kept"] > 0
        chances = word_chances(word_logits(task, state, own_weights(params)), kept)
        said = calibrated(chances, params["prior"], kept).masked_fill(~kept, 0.0)
        return (self.shares(params) * said).sum(-1)


def weighted(weights: Tensor, kept: Tensor) -> Tensor:
    """(C, W) softmax of ``weights`` over each class's kept words."""
    return weights.masked_fill(kept == 0, NEVER).softmax(-1) * kept
