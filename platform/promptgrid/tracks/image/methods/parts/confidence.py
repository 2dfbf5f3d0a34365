"""Learning from predictions on views of one image, without its label: which views are trusted, and to what end."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Adaptation, Batch, Classifier, Number, Task, knob


@dataclass(frozen=True)
class ConfidentViews(Classifier):
    """Fitted to each test image by AdamW on those of its ``views`` of whose answer it is surest: the share ``kept``."""

    views: int = 64
    kept: float = 0.1
    tuning_rate: Number = knob(0.005, low=1e-6, high=1.0, log=True)
    tuning_decay: Number = knob(0.01, low=0.0, high=1.0)
    tuning_steps: int = 1

    @property
    def adaptation(self) -> Adaptation:
        return Adaptation(float(self.tuning_rate), float(self.tuning_decay), self.tuning_steps, self.views)

    def select_views(self, logits: Tensor, views: Batch, task: Task) -> Tensor:
        return most_confident(logits, self.kept)


def entropy(logits: Tensor) -> Tensor:
    """(...,) entropies of softmax predictions (..., C)."""
    return -(logits.softmax(-1) * logits.log_softmax(-1)).sum(-1)


def most_confident(logits: Tensor, share: float) -> Tensor:
    """Positions of the share of views (V, C) whose predictions have the least entropy; at least one view."""
    return entropy(logits).argsort(stable=True)[: at_least_one(len(logits) * share)]


def most_like(features: Tensor, share: float) -> Tensor:
    """Positions of the first view (V, width) and of the share of the others that are closest to it by cosine."""
    likeness = F.cosine_similarity(features[:1], features[1:], dim=-1)
    near = likeness.argsort(descending=True, stable=True)[: int(len(likeness) * share)]
    return torch.cat([torch.zeros_like(near[:1]), near + 1])


def entropy_of_mean(logits: Tensor) -> Tensor:
    """The entropy of the mean over views of softmax predictions (V, C): a scalar."""
    mean = logits.log_softmax(-1).logsumexp(0) - math.log(len(logits))
    mean = mean.clamp_min(torch.finfo(mean.dtype).min)
    return -(mean * mean.exp()).sum()


def at_least_one(count: float) -> int:
    """``count`` rounded down, and not below one."""
    return max(1, int(count))
