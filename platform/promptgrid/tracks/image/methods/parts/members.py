"""Several contexts that learn side by side, each its own loss, and vote."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Task


def texts_of(task: Task, contexts: Tensor) -> Tensor:
    """(members, C, width) text features by ``contexts`` (members, n, text width)."""
    prompts = task.prompts(contexts.shape[1])
    encode = torch.func.vmap(lambda context: task.backbone.encode_context(prompts, context))
    features: Tensor = encode(contexts)
    return features


def mean_vote(logits: Tensor) -> Tensor:
    """(B, C): the logarithm of the members' mean probabilities, from their logits (members, B, C)."""
    return logits.log_softmax(-1).logsumexp(0) - math.log(len(logits))


def each_own(logits: Tensor, labels: Tensor) -> Tensor:
    """The sum over members of the mean cross-entropy of their logits (members, B, C)."""
    members = len(logits)
    losses = F.cross_entropy(logits.flatten(0, 1), labels.repeat(members), reduction="none")
    return losses.view(members, -1).mean(1).sum()
