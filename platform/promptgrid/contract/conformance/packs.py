"""Many cells as one program: each is what it is alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from promptgrid.contract.conformance.closeness import assert_close
from promptgrid.contract.conformance.trial import Trial
from promptgrid.contract.method import Params
from promptgrid.contract.randomness import stream
from promptgrid.contract.task import Batch

PACK = 3


def check_pack(trial: Trial) -> None:
    """Three cells with their own numbers, batches and dropout score and descend under ``vmap`` as each does alone."""
    if not trial.method.packs or not trial.trained:
        return
    cells = [_cell(trial, i) for i in range(PACK)]
    alone = [_losses_and_gradients(_loss_of(trial), cell, trial.trained) for cell in cells]
    stacked = {key: _stacked([cell[key] for cell in cells]) for key in cells[0]}
    axes = {key: _axes(value) for key, value in stacked.items()}
    try:
        together = _losses_and_gradients(torch.func.vmap(_loss_of(trial), in_dims=(axes,)), stacked, trial.trained)
    except RuntimeError as error:
        advice = "write it without branching on values, or say `packs = False`"
        raise AssertionError(f"{trial.method.name} does not run under vmap ({error}); {advice}") from error
    for i in range(PACK):
        assert_close(together[0][i], alone[i][0], f"{trial.method.name}: the loss of a cell depends on its pack")
        for key in trial.trained:
            message = f"{trial.method.name}: the gradient of {key!r} depends on the cell's pack"
            assert_close(together[1][key][i], alone[i][1][key], message)


def _cell(trial: Trial, i: int) -> dict[str, Any]:
    """What differs between the cells of a pack: parameters, knobs, examples, labels, dropout."""
    rng = stream("conformance", "cell", i)
    method, order = trial.method, torch.randperm(len(trial.batch.labels), generator=rng)
    own = {name: value + 0.01 * torch.randn(value.shape, generator=rng) for name, value in trial.shaken().items()}
    start = trial.start | {name: own[name] for name in trial.trained}
    return {
        "trained": {name: start[name] for name in trial.trained},
        "held": {name: value for name, value in start.items() if name not in trial.trained},
        "knobs": {name: torch.tensor(float(getattr(method, name)) * (1.0 + 0.1 * i)) for name in method.knobs()},
        "seen": trial.batch.rows(order).columns,
        "seed": torch.tensor(100 + i),
    }


def _loss_of(trial: Trial) -> Callable[[dict[str, Any]], Tensor]:
    def loss(cell: dict[str, Any]) -> Tensor:
        method = replace(trial.method, **cell["knobs"])
        own = replace(trial, method=method, batch=Batch(cell["seen"]))
        return own.loss(cell["trained"] | cell["held"], cell["seed"])

    return loss


def _losses_and_gradients(
    loss: Callable[[dict[str, Any]], Tensor], cell: dict[str, Any], trained: list[str]
) -> tuple[Tensor, Params]:
    leaves = {name: cell["trained"][name].clone().requires_grad_() for name in trained}
    losses = loss(cell | {"trained": leaves})
    if not losses.requires_grad:  # a black box gives none
        return losses, {name: torch.zeros_like(leaf) for name, leaf in leaves.items()}
    grads = torch.autograd.grad(losses.sum(), list(leaves.values()))
    return losses.detach(), dict(zip(leaves, grads, strict=True))


def _axes(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _axes(own) for name, own in value.items()}
    return None if value is None else 0


def _stacked(values: list[Any]) -> Any:
    if isinstance(values[0], dict):
        return {name: _stacked([value[name] for value in values]) for name in values[0]}
    return None if values[0] is None else torch.stack(values)
