"""Tip-Adapter's cache of few shots: how it votes, and the search for how sharply and how much."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Labelled, Params

STEPS = (200, 20)
"""Values of beta and of alpha in the grid."""


def votes(params: Params, unit: Tensor, beta: Tensor) -> Tensor:
    """(B, D) unit features to the cache's (B, C) votes: exp(-beta (1 - f̂ Kᵀ)) V."""
    return torch.exp(-beta * (1.0 - unit @ params["keys"].mT)) @ params["values"]


def best_on(held: Labelled, zero_shot: Tensor, params: Params, reach: tuple[float, float]) -> Params:
    """The ``alpha`` and ``beta`` of the grid that score best on ``held``, beta slowest; the first of equals.

    Args:
        held: N images to choose by.
        zero_shot: (N, C) logits of them without the cache.
        params: with ``keys`` and ``values``.
        reach: how far beta goes, and how far alpha.
    """
    betas, alphas = (_ladder(*pair).to(params["keys"]) for pair in zip(reach, STEPS, strict=True))
    unit, best, right = F.normalize(held.features, dim=-1), params, -1
    for beta in betas:
        logits = zero_shot + alphas[:, None, None] * votes(params, unit, beta)  # (alphas, N, C)
        scores = (logits.argmax(-1) == held.labels).sum(-1).tolist()
        if max(scores) > right:
            right = max(scores)
            best = {"alpha": alphas[scores.index(right)].clone(), "beta": beta.clone()}
    return best


def _ladder(reach: float, steps: int) -> Tensor:
    """The original's grid: ``steps`` values from 0.1 up to, not including, ``reach``."""
    return torch.tensor([0.1 + i * (reach - 0.1) / steps for i in range(steps)])
