"""How likely words are at the mask before a text is read."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from promptgrid.contract.task import Batch
from promptgrid.tracks.text.methods.parts.verbalizers import word_chances, word_logits
from promptgrid.tracks.text.reading import at_mask, sequence, templated
from promptgrid.tracks.text.task import TextTask
from promptgrid.tracks.text.templates import FIELDS, fill

Calibration = Literal["none", "empty", "support", "pool"]
CALIBRATIONS = ("none", "empty", "support", "pool")
"""``empty`` reads the template around no text, ``support`` the few labelled texts, ``pool`` the unlabelled ones."""
AT_ONCE = 64


def prior_states(task: TextTask, source: Calibration) -> Tensor:
    """(N, d) frozen states at the mask of the texts that the prior is taken from.

    Raises:
        ValueError: the task was not given those texts.
    """
    if source == "empty":
        filled = fill(task.backbone, task.template, {name: [""] for name in FIELDS[:4]})
        text = templated(Batch(filled.columns))
        return at_mask(task.backbone, sequence(task.backbone, text), None)
    texts = task.examples if source == "support" else task.pool
    if texts is None:
        raise ValueError(f"calibration: {source!r} reads texts that this task was not given")
    return texts["mask_state"]


def word_prior(task: TextTask, states: Tensor, known: Tensor) -> Tensor:
    """(C, W) the mean chance of each word over ``states`` (N, d); ``known`` (C, W) says which words count."""
    parts = [word_chances(word_logits(task, part), known) for part in torch.split(states, AT_ONCE)]
    return torch.cat(parts).mean(0)


def likely_words(task: TextTask, states: Tensor, share: float) -> Tensor:
    """(C, W) whether every token of a word is among the likelier tokens of the vocabulary; a class's first always is.

    Args:
        task: with the label words.
        states: (N, d); a token's mean logit over them is what counts.
        share: of the vocabulary that is too unlikely, 0 .. 1.
    """
    total = torch.stack([task.backbone.fill(part).sum(0) for part in torch.split(states, AT_ONCE)]).sum(0)
    rank = total.argsort(stable=True).argsort()
    words = task.label_words.to(states.device)
    likely = rank[words.tokens] >= int(share * len(total))
    kept = (likely[words.spelled] | ~words.there).all(-1) & words.known
    first = torch.zeros_like(kept)
    first[:, 0] = True
    return kept | first
