"""SGD, Adam and AdamW over parameters stacked along a cell axis, each cell with its own rate.

torch.optim takes one learning rate per parameter group; here every cell of a pack has its own, and cells share
nothing: each gradient is clipped by its own cell's norm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from promptgrid.contract.method import Params, Recipe


@dataclass
class Optimizer:
    """The update rule of ``recipe`` with its running averages; all cells have taken equally many steps.

    ``decay`` is (cells,) weight decays, ``factors`` (cells,) multiples of the learning rate by parameter; everything
    else in ``recipe`` holds for all.
    """

    recipe: Recipe
    decay: Tensor
    factors: Params = field(default_factory=dict)
    steps: int = 0
    first: Params = field(default_factory=dict)
    second: Params = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._momenta, self._every = dict(self.recipe.momenta), dict(self.recipe.every)
        self._clips = dict(self.recipe.clips)

    def update(self, params: Params, grads: Params, rate: Tensor, *, same_step: bool = False) -> None:
        """Change ``params`` in place.

        Args:
            params: each (cells, ...).
            grads: like ``params``; left as they are.
            rate: (cells,) learning rates of this step; a cell at rate 0 stays as it is, to the bit.
            same_step: whether other parameters have been changed in this step before.
        """
        self.steps += not same_step
        rule = self._sgd if self.recipe.optimizer == "sgd" else self._adam
        if self.recipe.clip is not None:
            grads = clipped(grads, self.recipe.clip)
        for name in self._clips.keys() & grads.keys():
            grads = grads | clipped({name: grads[name]}, self._clips[name])
        for name, value in params.items():
            own = rate * self.factors[name] if name in self.factors else rate
            rests = self.steps % self._every.get(name, 1) != 0
            rule(name, value, grads[name], across(torch.zeros_like(own) if rests else own, value))

    def keep(self, cells: int) -> None:
        """Forget all but the first ``cells`` cells."""
        self.decay = self.decay[:cells]
        self.factors = {name: factor[:cells] for name, factor in self.factors.items()}
        for averages in (self.first, self.second):
            averages |= {name: value[:cells].clone() for name, value in averages.items()}

    def _sgd(self, name: str, value: Tensor, grad: Tensor, rate: Tensor) -> None:
        grad = torch.addcmul(grad, self._decay_of(name, value), value)
        held, momentum = self.first.get(name), self._momenta.get(name, self.recipe.momentum)
        self.first[name] = grad if held is None else held.mul_(momentum).add_(grad)
        ahead = torch.add(grad, self.first[name], alpha=momentum) if self.recipe.nesterov else self.first[name]
        value.addcmul_(rate, ahead, value=-1.0)

    def _adam(self, name: str, value: Tensor, grad: Tensor, rate: Tensor) -> None:
        one, two = self.recipe.betas
        decay = self._decay_of(name, value)
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

    def _decay_of(self, name: str, like: Tensor) -> Tensor:
        decay = torch.zeros_like(self.decay) if name in self.recipe.undecayed else self.decay
        return across(decay, like)


def rate_at(recipe: Recipe, epoch: int, epochs: int, step: int, steps: int) -> Tensor | float:
    """The learning rate of step ``step`` of ``steps``, in epoch ``epoch`` of ``epochs`` (all counted from 0).

    Warm-up epochs run at ``warmup_rate``; behind them the cosine starts from its own beginning over all epochs
    (Dassl's WARMUP_RECOUNT), so it does not quite reach its end. A linear warm-up climbs from 0, and its cosine runs
    over the epochs behind it.
    """
    if recipe.polynomial is not None:
        span, power = recipe.polynomial
        walked = min(1.0, (step + 1) / (span * steps))
        return recipe.final_rate + (recipe.learning_rate - recipe.final_rate) * math.pow(1.0 - walked, power)
    if recipe.inverse is not None:
        slope, power = recipe.inverse
        return recipe.learning_rate * math.pow(1.0 + slope * step, -power)
    climbs = recipe.warmup == "linear"
    if recipe.per == "epoch" and epoch < recipe.warmup_epochs:
        if climbs:
            return recipe.learning_rate * (epoch / recipe.warmup_epochs)
        if recipe.warmup == "climb" and epoch:
            return recipe.learning_rate * (epoch / recipe.warmup_epochs)
        return recipe.learning_rate * 0.0 + recipe.warmup_rate
    behind = max(1, epochs - recipe.warmup_epochs) if climbs else epochs
    passed = step / steps if recipe.per == "iteration" else (epoch - recipe.warmup_epochs) / behind
    first, last = recipe.span
    share = 0.5 * (1.0 + math.cos(math.pi * (first + (last - first) * passed)))
    return recipe.final_rate + (recipe.learning_rate - recipe.final_rate) * share


def clipped(grads: Params, most: float) -> Params:
    """Each cell's gradients (cells, ...), scaled down where their norm over all parameters is above ``most``.

    The norm is taken as ``torch.nn.utils.clip_grad_norm_`` does, with 1e-6 beside it.
    """
    norm = torch.stack([_flat(grad).norm(dim=1) for grad in grads.values()]).norm(dim=0)
    share = (most / (norm + 1e-6)).clamp(max=1.0)
    return {name: grad * across(share, grad) for name, grad in grads.items()}


def epoch_weights(mean: float, deviation: float, epochs: int) -> list[float]:
    """How much each epoch counts in the average: N(e; mean, deviation²) of e = 1 .. ``epochs``, over its sum.

    Source: Khattak et al., ICCV 2023 (PromptSRC), Gaussian weighted prompt aggregation.
    """
    distances = [((epoch - mean) / deviation) ** 2 / 2 for epoch in range(1, epochs + 1)]
    heights = [math.exp(min(distances) - distance) for distance in distances]
    return [height / sum(heights) for height in heights]


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
