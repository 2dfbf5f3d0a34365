"""Texts of each image's own: a context for every image, and the logits against them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Task


def unit_texts(task: Task, contexts: Tensor) -> Tensor:
    """(b, C, D) unit text features of the classes behind each of ``contexts`` (b, n, text width)."""
    prompts = task.prompts(contexts.shape[1])
    texts: Tensor = torch.func.vmap(partial(task.backbone.encode_context, prompts))(contexts)
    return F.normalize(texts, dim=-1)


def scores(task: Task, unit: Tensor, texts: Tensor) -> Tensor:
    """(b, C) logits of unit features (b, D) against unit texts of their own (b, C, D)."""
    return task.scale * (texts @ unit.unsqueeze(-1)).squeeze(-1)


def in_parts(x: Tensor, at_once: int, function: Callable[[Tensor], Tensor]) -> Tensor:
    """``function`` of ``at_once`` rows of ``x`` at a time: bounds memory and changes no number."""
    return torch.cat([function(some) for some in torch.split(x, at_once)])
