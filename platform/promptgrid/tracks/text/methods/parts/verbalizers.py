"""From hidden states at the mask to classes, by words."""

from __future__ import annotations

import torch
from torch import Tensor

from promptgrid.tracks.text.reading import Weights
from promptgrid.tracks.text.task import TextTask

NEVER = -1e4
"""Stands for a word that is not there, in the place of minus infinity, whose gradient would be no number."""


def word_logits(task: TextTask, state: Tensor, weights: Weights | None = None) -> Tensor:
    """(..., d) states at the mask to (..., C, W) logits of label words: the mean over a word's tokens."""
    words = task.label_words.to(state.device)
    by_token = task.backbone.fill_words(state, words.tokens, weights)
    return words.of_words(by_token.movedim(-1, 0)).movedim((0, 1), (-2, -1))


def class_logits(task: TextTask, state: Tensor, weights: Weights | None = None) -> Tensor:
    """(..., d) states at the mask to (..., C) logits of the first label word of each class."""
    return word_logits(task, state, weights)[..., 0]


def word_chances(logits: Tensor, known: Tensor) -> Tensor:
    """(..., C, W) logits to chances: softmax over all words of all classes, 0 where there is no word."""
    flat = logits.masked_fill(~known, NEVER).flatten(-2)
    return flat.softmax(-1).reshape(logits.shape) * known


def calibrated(chances: Tensor, prior: Tensor, known: Tensor) -> Tensor:
    """(..., C, W) log chances of words over how likely each is before a text is read, summing to 1 again.

    Source: Zhao et al., ICML 2021 (contextual calibration); SciPrompt cc6db91. ``prior`` is (C, W).
    """
    ratio = chances / prior.clamp(min=1e-15)
    ratio = ratio.masked_fill(~known, 0.0)
    return (ratio / ratio.sum((-2, -1), keepdim=True)).clamp(min=1e-15).log()


def scored_rows(task: TextTask, scores: Tensor) -> Tensor:
    """(C, d) decoder rows of classes: the sum of score times row over the number of a class's words.

    Words are those with a score above 0 in ``scores`` (C, W); a word's row is the mean over its tokens.
    """
    rows, _ = task.backbone.decoder_rows(task.label_words.tokens)
    own = task.label_words.of_words(rows)
    return torch.einsum("cw,cwd->cd", scores.to(own), own) / (scores > 0).sum(1, keepdim=True)


def first_rows(task: TextTask) -> tuple[Tensor, Tensor]:
    """Decoder rows (C, d) and biases (C,) of each class's first word, the mean over its tokens."""
    rows, biases = task.backbone.decoder_rows(task.label_words.tokens)
    return task.label_words.of_words(rows)[:, 0], task.label_words.of_words(biases)[:, 0]
