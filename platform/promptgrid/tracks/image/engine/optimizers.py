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
    """The update rule of ``recipe`` with its running averages; all cells have taken equally many steps.

    ``decay`` is (cells,) weight decays; everything else in ``recipe`` holds for all.
    """

    recipe: Recipe
    decay: Tensor
    steps: int = 0
    first: Params = field(default_factory=dict)
    second: Params = field(default_factory=dict)

    def update(self, params: Params, grads: Params, rate: Tensor) -> None:
        """Change ``params`` in place.

        Args:
            params: each (cells, ...).
            grads: like ``params``; left as they are.
            rate: (cells,) learning rates of this step; a cell at rate 0 stays as it is, to the bit.
        """
        self.steps += 1
        rule = self._sgd if self.recipe.optimizer == "sgd" else self._adam
        for name, value in params.items():
            rule(name, value, grads[name], _across(rate, value))

    def keep(self, cells: int) -> None:
        """Forget all but the first ``cells`` cells."""
        self.decay = self.decay[:cells]
        for averages in (self.first, self.second):
            averages |= {name: value[:cells].clone() for name, value in averages.items()}

    def _sgd(self, name: str, value: Tensor, grad: Tensor, rate: Tensor) -> None:
        grad = torch.addcmul(grad, _across(self.decay, value), value)
        held = self.first.get(name)
        self.first[name] = grad if held is None else held.mul_(self.recipe.momentum).add_(grad)
        value.addcmul_(rate, self.first[name], value=-1.0)

    def _adam(self, name: str, value: Tensor, grad: Tensor, rate: Tensor) -> None:
        one, two = self.recipe.betas
        decay = _across(self.decay, value)
        if self.recipe.optimizer == "adamw":
            value.mul_(1.0 - rate * decay)
        else:
            grad = torch.addcmul(grad, decay, value)
        if name not in self.first:
            self.first[name], self.second[name] = torch.zeros_like(value), torch.zeros_like(value)
        first = self.first[name].mul_(one).add_(grad, alpha=1.0 - one)
        second = self.second[name].mul_(two).addcmul_(grad, grad, value=1.0 - two)
        spread = second.sqrt().div_(math.sqrt(1.0 - two**self.steps)).add_(self.recipe.epsilon)
        value.addcmul_(rate / (one**self.steps - 1.0), first / spread)


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
