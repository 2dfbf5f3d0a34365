"""What is done with the losses of a step: from a step policy to the gradient of every cell's parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from promptgrid.contract.method import Params
from promptgrid.contract.policies import Agree, Alternate, Estimate, Policy, Sphere, Spsa
from promptgrid.contract.randomness import draws, normals
from promptgrid.engine.training.optimizers import across, agree, project

SALT = 1 << 32
"""Keeps what a step policy draws beside gradients apart from the dropout masks of the same step."""
Losses = Callable[[Params], dict[str, Tensor]]
"""Trained parameters, each (A, ...), to named losses, each (A,)."""


@dataclass(frozen=True)
class Moment:
    """Where training stands: ``step``, counted from 1, and ``seeds`` (A,), of each cell its own for this step.

    What draws from seeds takes them by ``int``, which cannot be compiled; what ``tolist`` gives would be compiled in.

    ``scales`` (A,) are what losses are multiplied by on their way back, and gradients divided by; None: they are not.
    ``turn`` counts the turns that adversaries take in a step.
    """

    step: int
    seeds: Tensor
    scales: Tensor | None = None
    turn: int = 0


def together(policies: Sequence[Policy | None], like: Tensor) -> Policy | None:
    """One policy for all cells: its numbers become (A,) tensors of the kind of ``like``."""
    first = policies[0]
    if first is None:
        return None
    numbers = [item.name for item in fields(first) if isinstance(getattr(first, item.name), float | Tensor)]
    own: dict[str, Any] = {
        name: like.new_tensor([float(getattr(policy, name)) for policy in policies]) for name in numbers
    }
    return replace(first, **own)


def gradients(policy: Policy | None, losses: Losses, params: Params, moment: Moment) -> tuple[Tensor, Params]:
    """Losses (A,) and the gradient of each cell's own loss, each (A, ...): of the parameters whose turn it is."""
    if isinstance(policy, Spsa | Sphere):
        with torch.no_grad():
            return _estimated(policy, losses, params, moment)
    leaves = {name: value.detach().requires_grad_() for name, value in params.items()}
    if isinstance(policy, Alternate):
        loss_name, prefix = policy.turns[moment.turn]
        own = {name: value for name, value in leaves.items() if name.startswith(prefix)}
        loss = losses(params | own)[loss_name]
        return loss, gradient(loss, own, moment.scales)
    found = losses(leaves)
    if policy is None:
        total = _total(found)
        return total, gradient(total, leaves, moment.scales)
    main, guide = found[policy.main], found[policy.guide]
    first, second = gradient(main, leaves, moment.scales, keep=True), gradient(guide, leaves, moment.scales)
    if isinstance(policy, Agree):
        if moment.scales is not None:  # what overflowed in the guide is seen in main, or its numbers would be dropped
            first = {name: value + 0.0 * second[name] for name, value in first.items()}
        drawn = _drawn(leaves, moment.seeds)
        return main, {name: agree(first[name], second[name], policy.level, drawn[name]) for name in leaves}
    return main, {name: project(first[name], second[name], policy.strength) for name in leaves}


def _drawn(leaves: Params, seeds: Tensor) -> Params:
    """U(0, 1) like each parameter, of every cell from its own seed of this step; parameters in order of name."""
    drawn = {}
    for place, name in enumerate(sorted(leaves)):
        shape = leaves[name].shape[1:]
        each = [draws(shape, seed, SALT + place) for seed in map(int, seeds)]
        drawn[name] = torch.stack(each).to(leaves[name])
    return drawn


def gradient(loss: Tensor, leaves: Params, scales: Tensor | None = None, *, keep: bool = False) -> Params:
    """Of the cells' own losses (A,), by ``leaves``, each (A, ...); zeros where a loss does not depend on one."""
    values, scaled = list(leaves.values()), loss if scales is None else loss * scales
    grads = torch.autograd.grad(scaled.sum(), values, retain_graph=keep, allow_unused=True, materialize_grads=True)
    found = dict(zip(leaves, grads, strict=True))
    return found if scales is None else {name: grad / across(scales, grad) for name, grad in found.items()}


def _total(losses: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(losses.values())).sum(0)


def _estimated(policy: Estimate, losses: Losses, params: Params, moment: Moment) -> tuple[Tensor, Params]:
    """The loss at the parameters, or the mean of the losses around them, and the gradient that losses tell.

    All learned numbers of a cell are one vector, in the order of their names.
    """
    vector = _Vector.of(params)
    start = vector.joined(params)

    def loss(w: Tensor) -> Tensor:
        return _total(losses(vector.parts(w)))

    found = _spsa(policy, loss, start, moment) if isinstance(policy, Spsa) else _sphere(policy, loss, start, moment)
    return found[0], vector.parts(found[1])


def _spsa(policy: Spsa, loss: Callable[[Tensor], Tensor], w: Tensor, moment: Moment) -> tuple[Tensor, Tensor]:
    size = torch.as_tensor(policy.size / moment.step**policy.decay, dtype=w.dtype, device=w.device).view(-1, 1)
    seen, slopes = [], []
    for estimate in range(policy.estimates):
        drawn = torch.stack([draws((2, w.shape[1]), seed, estimate) for seed in map(int, moment.seeds)]).to(w)
        step = size * (0.5 + 0.5 * drawn[:, 0]) * torch.where(drawn[:, 1] < 0.5, -1.0, 1.0).to(w)
        above, below = loss(w + step), loss(w - step)
        slopes.append((above - below).unsqueeze(1) / (2.0 * step))
        seen += [above, below]
    return torch.stack(seen).mean(0), torch.stack(slopes).mean(0)


def _sphere(policy: Sphere, loss: Callable[[Tensor], Tensor], w: Tensor, moment: Moment) -> tuple[Tensor, Tensor]:
    radius = torch.as_tensor(policy.radius, dtype=w.dtype, device=w.device).view(-1, 1)
    here = loss(w)
    slopes = []
    for estimate in range(policy.estimates):
        drawn = torch.stack([normals(w.shape[1:], seed, estimate) for seed in map(int, moment.seeds)]).to(w)
        direction = drawn / drawn.norm(dim=1, keepdim=True)
        rise = (loss(w + radius * direction) - here).unsqueeze(1) / radius
        slopes.append(w.shape[1] * rise * direction)
    return here, torch.stack(slopes).mean(0)


@dataclass(frozen=True)
class _Vector:
    """Parameters of A cells as vectors (A, n) and back."""

    shapes: dict[str, torch.Size]

    @classmethod
    def of(cls, params: Params) -> _Vector:
        return cls({name: params[name].shape for name in sorted(params)})

    def joined(self, params: Params) -> Tensor:
        return torch.cat([params[name].flatten(1) for name in self.shapes], dim=1)

    def parts(self, vectors: Tensor) -> Params:
        cut = torch.split(vectors, [shape[1:].numel() for shape in self.shapes.values()], dim=1)
        return {name: part.view(shape) for (name, shape), part in zip(self.shapes.items(), cut, strict=True)}
