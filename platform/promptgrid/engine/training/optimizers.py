"""SGD, Adam and AdamW over parameters stacked along a cell axis, each cell with its own rate.

torch.optim takes one learning rate per parameter group; here every cell of a pack has its own, and cells share
nothing: each gradient is clipped by its own cell's norm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from promptgrid.contract.method import Params
from promptgrid.contract.recipe import SGD, Adam, AdamW, Recipe, Rule

PLAIN = Rule()
"""For parameters that the recipe has no rule for."""


@dataclass
class Optimizer:
    """The optimizer of ``recipe`` with its running averages; all cells have taken equally many steps.

    ``decay`` is (cells,) weight decays, ``factors`` (cells,) multiples of the learning rate by parameter; everything
    else in ``recipe`` holds for all.
    """

    recipe: Recipe
    decay: Tensor
    factors: Params = field(default_factory=dict)
    steps: int = 0
    first: Params = field(default_factory=dict)
    second: Params = field(default_factory=dict)

    def update(self, params: Params, grads: Params, rate: Tensor, *, same_step: bool = False) -> None:
        """Change ``params`` in place.

        Args:
            params: each (cells, ...).
            grads: like ``params``; left as they are.
            rate: (cells,) learning rates of this step; a cell at rate 0 stays as it is, to the bit.
            same_step: whether other parameters have been changed in this step before.
        """
        self.steps += not same_step
        kind, rules = self.recipe.optimizer, self.recipe.rules
        if self.recipe.clip is not None:
            grads = clipped(grads, self.recipe.clip)
        for name, value in params.items():
            rule, grad = rules.get(name, PLAIN), grads[name]
            if rule.clip is not None:
                grad = clipped({name: grad}, rule.clip)[name]
            own = rate * self.factors[name] if name in self.factors else rate
            own = across(torch.zeros_like(own) if self.steps % rule.every else own, value)
            decay = across(self.decay if rule.decay == 1.0 else self.decay * rule.decay, value)
            if isinstance(kind, AdamW):
                value.mul_(1.0 - own * decay)
            else:
                grad = torch.addcmul(grad, decay, value)
            if isinstance(kind, SGD):
                momentum = kind.momentum if rule.momentum is None else rule.momentum
                value.addcmul_(own, self._gathered(name, grad, momentum, kind.nesterov), value=-1.0)
            else:
                first, spread = self._moments(name, value, grad, kind)
                value.addcmul_(own / (kind.betas[0] ** self.steps - 1.0), first / spread)

    def keep(self, cells: int) -> None:
        """Forget all but the first ``cells`` cells."""
        self.decay = self.decay[:cells]
        self.factors = {name: factor[:cells] for name, factor in self.factors.items()}
        for averages in (self.first, self.second):
            averages |= {name: value[:cells].clone() for name, value in averages.items()}

    def _gathered(self, name: str, grad: Tensor, momentum: float, nesterov: bool) -> Tensor:
        """SGD's direction."""
        held = self.first.get(name)
        self.first[name] = grad if held is None else held.mul_(momentum).add_(grad)
        return torch.add(grad, self.first[name], alpha=momentum) if nesterov else self.first[name]

    def _moments(self, name: str, like: Tensor, grad: Tensor, kind: Adam) -> tuple[Tensor, Tensor]:
        """Adam's running mean, not yet corrected, and the corrected root of that of the squares."""
        one, two = kind.betas
        if name not in self.first:
            self.first[name], self.second[name] = torch.zeros_like(like), torch.zeros_like(like)
        first = self.first[name].mul_(one).add_(grad, alpha=1.0 - one)
        second = self.second[name].mul_(two).addcmul_(grad, grad, value=1.0 - two)
        return first, second.sqrt().div_(math.sqrt(1.0 - two**self.steps)).add_(kind.epsilon)


def clipped(grads: Params, most: float) -> Params:
    """Each cell's gradients (cells, ...), scaled down where their norm over all parameters is above ``most``.

    The norm is taken as ``torch.nn.utils.clip_grad_norm_`` does, with 1e-6 beside it.
    """
    norm = torch.stack([_flat(grad).norm(dim=1) for grad in grads.values()]).norm(dim=0)
    share = (most / (norm + 1e-6)).clamp(max=1.0)
    return {name: grad * across(share, grad) for name, grad in grads.items()}


def project(main: Tensor, guide: Tensor, strength: Tensor | float) -> Tensor:
    """ProGrad's rule per cell: drop from ``main`` (cells, ...) what opposes ``guide``, ``strength`` times."""
    flat, against = _flat(main), _flat(guide)
    dot = (flat * against).sum(1)
    size = (against * against).sum(1).clamp_min(1e-30)
    share = torch.where(dot < 0, strength * dot / size, torch.zeros_like(dot))
    return main - across(share, main) * guide


def agree(main: Tensor, guide: Tensor, level: Tensor | float, drawn: Tensor) -> Tensor:
    """R-AMT's gradient dropout: numbers of ``main`` (cells, ...) that ``guide`` opposes are dropped by chance.

    Args:
        main: gradients of what is descended.
        guide: gradients of what they are to agree with.
        level: (cells,) 0: nothing is dropped; 1: what is dropped is 0.
        drawn: U(0, 1), like ``main``.
    """
    purity = (1.0 + main.sign() * (main + guide) / (main.abs() + guide.abs() + 1e-8)) / 2.0
    share = across(level, main) if isinstance(level, Tensor) else level
    return main * ((1.0 - share) + share * (purity > drawn).to(main))


def across(per_cell: Tensor, like: Tensor) -> Tensor:
    """(cells,) as (cells, 1, ...) beside ``like``."""
    return per_cell.view(-1, *[1] * (like.dim() - 1))


def _flat(per_cell: Tensor) -> Tensor:
    """(cells, ...) as (cells, numbers): one where a parameter is a single number."""
    return per_cell.reshape(len(per_cell), -1)
