"""SGD, Adam and AdamW over parameters stacked along a cell axis, each cell with its own rate.

torch.optim takes one learning rate per parameter group; here every cell of a pack has its own, and cells share
nothing: no clipping by a global norm, no gradient scaler.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from promptgrid.contract import Params, Recipe


@dataclass
class Optimizer:
    """The update rule of ``recipe`` with its running averages."""

    recipe: Recipe
    steps: int = 0
    first: Params = field(default_factory=dict)
    second: Params = field(default_factory=dict)

    def update(self, params: Params, grads: Params, rate: Tensor) -> Params:
        """New parameters.

        Args:
            params: each (cells, ...).
            grads: like ``params``.
            rate: (cells,) learning rates of this step; a cell at rate 0 stays as it is, to the bit.
        """
        self.steps += 1
        rule = self._sgd if self.recipe.optimizer == "sgd" else self._adam
        return {name: rule(name, value, grads[name], _across(rate, value)) for name, value in params.items()}

    def _decay(self, value: Tensor) -> Tensor | float:
        decay = self.recipe.weight_decay
        return _across(decay, value) if isinstance(decay, Tensor) else decay

    def _sgd(self, name: str, value: Tensor, grad: Tensor, rate: Tensor) -> Tensor:
        grad = grad + self._decay(value) * value
        held = self.first.get(name)
        self.first[name] = grad if held is None else self.recipe.momentum * held + grad
        return value - rate * self.first[name]

    def _adam(self, name: str, value: Tensor, grad: Tensor, rate: Tensor) -> Tensor:
        one, two = self.recipe.betas
        if self.recipe.optimizer == "adamw":
            value = value * (1.0 - rate * self._decay(value))
        else:
            grad = grad + self._decay(value) * value
        self.first[name] = self.first.get(name, torch.zeros_like(value)) * one + (1.0 - one) * grad
        self.second[name] = self.second.get(name, torch.zeros_like(value)) * two + (1.0 - two) * grad * grad
        spread = self.second[name].sqrt() / math.sqrt(1.0 - two**self.steps) + self.recipe.epsilon
        return value - rate / (1.0 - one**self.steps) * self.first[name] / spread


def rate_at(recipe: Recipe, epoch: int, epochs: int, step: int, steps: int) -> Tensor | float:
    """The learning rate of step ``step`` of ``steps``, in epoch ``epoch`` of ``epochs`` (all counted from 0).

    Warm-up epochs run at ``warmup_rate``; behind them the cosine starts from its own beginning over all epochs
    (Dassl's WARMUP_RECOUNT), so it does not quite reach its end.
    """
    if recipe.per == "epoch" and epoch < recipe.warmup_epochs:
        return recipe.learning_rate * 0.0 + recipe.warmup_rate
    passed = step / steps if recipe.per == "iteration" else (epoch - recipe.warmup_epochs) / epochs
    share = 0.5 * (1.0 + math.cos(math.pi * passed))
    return recipe.final_rate + (recipe.learning_rate - recipe.final_rate) * share


def project(main: Tensor, guide: Tensor, strength: Tensor | float) -> Tensor:
    """ProGrad's rule per cell: drop from ``main`` (cells, ...) what opposes ``guide``, ``strength`` times."""
    flat, against = main.flatten(1), guide.flatten(1)
    dot = (flat * against).sum(1)
    size = (against * against).sum(1).clamp_min(1e-30)
    share = torch.where(dot < 0, strength * dot / size, torch.zeros_like(dot))
    return main - _across(share, main) * guide


def _across(per_cell: Tensor, like: Tensor) -> Tensor:
    """(cells,) as (cells, 1, ...) beside ``like``."""
    return per_cell.view(-1, *[1] * (like.dim() - 1))
