"""Learning from predictions on views of one image, without its label: which views are trusted, and to what end."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F


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
