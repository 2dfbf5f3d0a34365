"""Training as the papers' code does it: torch.optim, torch's schedulers, one cell."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from tests.reference.task import Params, Plain
from torch import Tensor
from torch.optim.lr_scheduler import ConstantLR, CosineAnnealingLR, LRScheduler, SequentialLR

Loss = Callable[[Params, Tensor, int], Tensor]  # parameters, positions of the batch, dropout seed
Backward = Callable[[list[Tensor], Params, Tensor, int], None]  # fills .grad


def coop_schedule(optimizer: torch.optim.Optimizer, epochs: int) -> LRScheduler:
    """Dassl with WARMUP_RECOUNT: one epoch at 1e-5, then the cosine over all epochs from its own step 0."""
    rate = optimizer.param_groups[0]["lr"]
    warm = ConstantLR(optimizer, factor=1e-5 / rate, total_iters=1)
    cosine = CosineAnnealingLR(optimizer, T_max=epochs, eta_min=0.0)
    return SequentialLR(optimizer, [warm, cosine], milestones=[1])


def sgd(plain: Plain, start: Params, names: Iterable[str], loss: Loss, rate: float, decay: float = 5e-4) -> Params:
    """CoOp's recipe."""
    params, leaves = leaves_of(start, names)
    optimizer = torch.optim.SGD(leaves, lr=rate, momentum=0.9, weight_decay=decay)
    scheduler = coop_schedule(optimizer, len(plain.batches))
    return by_epoch(plain, params, leaves, optimizer, scheduler, _plain_backward(loss))


def by_epoch(
    plain: Plain,
    params: Params,
    leaves: list[Tensor],
    optimizer: torch.optim.Optimizer,
    scheduler: LRScheduler,
    backward: Backward,
) -> Params:
    """All epochs, the schedule moving at the end of each."""
    for steps in plain.batches:
        for chosen, seed in steps:
            optimizer.zero_grad()
            backward(leaves, params, chosen, seed)
            optimizer.step()
        scheduler.step()
    return detached(params)


def by_iteration(
    plain: Plain, params: Params, leaves: list[Tensor], optimizer: torch.optim.Optimizer, loss: Loss, last: float
) -> Params:
    """All epochs, the cosine to ``last`` moving at every step."""
    total = sum(len(steps) for steps in plain.batches)
    scheduler = CosineAnnealingLR(optimizer, T_max=total, eta_min=last)
    backward = _plain_backward(loss)
    for steps in plain.batches:
        for chosen, seed in steps:
            optimizer.zero_grad()
            backward(leaves, params, chosen, seed)
            optimizer.step()
            scheduler.step()
    return detached(params)


def leaves_of(start: Params, names: Iterable[str]) -> tuple[Params, list[Tensor]]:
    """Copies of ``start``, those of ``names`` open to gradients and listed."""
    params = {name: value.detach().clone() for name, value in start.items()}
    leaves = [params[name].requires_grad_() for name in names]
    return params, leaves


def detached(params: Params) -> Params:
    return {name: value.detach() for name, value in params.items()}


def _plain_backward(loss: Loss) -> Backward:
    def backward(leaves: list[Tensor], params: Params, chosen: Tensor, seed: int) -> None:
        loss(params, chosen, seed).backward()

    return backward
