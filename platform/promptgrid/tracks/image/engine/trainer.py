"""Fits the parameters of all cells of a pack as one tensor program."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from promptgrid.contract import Batch, Method, Params, Project, Recipe, Task
from promptgrid.spec import Cell
from promptgrid.tracks.image.engine.optimizers import Optimizer, project, rate_at
from promptgrid.tracks.image.engine.support import Support, epoch_batches, steps_per_epoch, streams

CHECKPOINTS = 20
"""How often a fit is scored on validation images when the best of them is kept."""


@dataclass
class Fit:
    """What training gave: parameters (K, ...), the mean loss of every epoch (epochs, K), validation curve if any."""

    params: Params
    losses: Tensor
    validation: Tensor | None = None


@dataclass(frozen=True)
class PackedMethod:
    """A method over K cells: parameters and knobs carry a leading cell axis, everything else is shared."""

    method: Method
    knobs: Params
    task: Task

    @property
    def stacked(self) -> Method:
        """The method with (K,) tensors for knobs: what a recipe is read from."""
        return replace(self.method, **self.knobs)

    def losses(self, params: Params, batch: Batch, labels: Tensor, seeds: Tensor) -> dict[str, Tensor]:
        """Named losses, each (K,)."""

        def one(
            own: Params, knobs: Params, features: Tensor, patches: Tensor | None, own_labels: Tensor, seed: Tensor
        ) -> dict[str, Tensor]:
            method, task = replace(self.method, **knobs), replace(self.task, seed=seed)
            out = method.forward(own, Batch(features, patches), task)
            return method.losses(own, out, own_labels, task)

        axes = (0, 0, 0, None if batch.patches is None else 0, 0, 0)
        packed = torch.func.vmap(one, in_dims=axes)
        return packed(params, self.knobs, batch.features, batch.patches, labels, seeds)


def fit(
    packed: PackedMethod,
    params: Params,
    support: Support,
    cells: tuple[Cell, ...],
    validate: Callable[[Params], Tensor] | None = None,
    progress: Callable[[float], None] = lambda done: None,
) -> Fit:
    """Train every cell; cells share no parameter, so the gradient of the summed loss is the gradient of each.

    Args:
        packed: the method with its (K,) knobs.
        params: initial parameters, each (K, ...).
        support: training images of the K cells.
        cells: the cells, in slot order: they name the random streams.
        validate: parameters to (K,) validation accuracies; the best checkpoint is kept, the later on ties.
        progress: told the share done after each epoch.
    """
    recipe = packed.stacked.recipe(packed.task)
    if recipe is None:
        return Fit(params, torch.zeros(0, support.cells))
    held = {name: value for name, value in params.items() if name in packed.method.frozen}
    trained = {name: value for name, value in params.items() if name not in held}
    each = steps_per_epoch(support.images, recipe.batch_size)
    total = recipe.iterations or recipe.epochs * each
    epochs = -(-total // each)
    keeper = _Keeper(validate, epochs) if validate is not None else None
    loop = _Loop(packed, recipe, support, Optimizer(recipe), packed.stacked.step(packed.task), total, epochs)
    orders, drops = streams(cells, "batches"), streams(cells, "dropout")
    losses = []
    for epoch in range(epochs):
        batches = list(epoch_batches(orders, support.images, recipe.batch_size))[: total - epoch * each]
        trained, loss = loop.epoch(trained, held, epoch, epoch * each, batches, drops)
        losses.append(loss)
        if keeper is not None:
            keeper.see(epoch, trained | held)
        progress((epoch + 1) / epochs)
    final = keeper.best if keeper is not None else trained | held
    return Fit(final, torch.stack(losses), keeper.curve if keeper is not None else None)


@dataclass
class _Loop:
    """One pass after another over the batches of every cell."""

    packed: PackedMethod
    recipe: Recipe
    support: Support
    optimizer: Optimizer
    policy: Project | None
    total: int
    epochs: int

    def epoch(
        self,
        trained: Params,
        held: Params,
        epoch: int,
        first: int,
        batches: list[Tensor],
        drops: list[torch.Generator],
    ) -> tuple[Params, Tensor]:
        """Parameters after the epoch, and its mean loss (K,)."""
        device = self.support.features.device
        losses = torch.zeros(self.support.cells, device=device)
        for step, chosen in enumerate(batches, start=first):
            seeds = torch.stack([torch.randint(2**62, (), generator=drop) for drop in drops]).to(device)
            batch, labels = self.support.batch(chosen.to(device), self.packed.task.backbone)
            loss, grads = self.gradients(trained, held, batch, labels, seeds)
            rate = torch.as_tensor(rate_at(self.recipe, epoch, self.epochs, step, self.total), device=device)
            with torch.no_grad():
                trained = self.optimizer.update(trained, grads, rate.expand(self.support.cells).float())
                losses += loss.detach() / len(batches)
        return trained, losses.cpu()

    def gradients(
        self, trained: Params, held: Params, batch: Batch, labels: Tensor, seeds: Tensor
    ) -> tuple[Tensor, Params]:
        """Losses (K,) and the gradient of each cell's own loss, after the step policy."""
        leaves = {name: value.detach().requires_grad_() for name, value in trained.items()}
        losses = self.packed.losses(leaves | held, batch, labels, seeds)
        if self.policy is None:
            total = torch.stack(list(losses.values())).sum(0)
            return total, _gradient(total, leaves)
        main, guide = losses[self.policy.main], losses[self.policy.guide]
        first, second = _gradient(main, leaves, keep=True), _gradient(guide, leaves)
        return main, {name: project(first[name], second[name], self.policy.strength) for name in leaves}


def _gradient(loss: Tensor, leaves: Params, keep: bool = False) -> Params:
    values = list(leaves.values())
    grads = torch.autograd.grad(loss.sum(), values, retain_graph=keep, allow_unused=True, materialize_grads=True)
    return dict(zip(leaves, grads, strict=True))


class _Keeper:
    """Keeps, for every cell, the parameters of its best validation score (the later on ties)."""

    def __init__(self, validate: Callable[[Params], Tensor], epochs: int) -> None:
        self.validate = validate
        self.epochs = epochs
        self.every = max(1, epochs // CHECKPOINTS)
        self.best: Params = {}
        self.top = torch.zeros(0)
        self.scores: list[Tensor] = []

    @property
    def curve(self) -> Tensor:
        """(checkpoints, K) validation scores."""
        return torch.stack(self.scores)

    def see(self, epoch: int, params: Params) -> None:
        """Score the checkpoint if it is time."""
        if (epoch + 1) % self.every and epoch + 1 != self.epochs:
            return
        scores = self.validate(params)
        self.scores.append(scores)
        if not self.best:
            self.best, self.top = dict(params), scores
            return
        better = scores >= self.top
        self.top = torch.where(better, scores, self.top)
        for name, value in params.items():
            chosen = better.view(-1, *[1] * (value.dim() - 1)).to(value.device)
            self.best[name] = torch.where(chosen, value, self.best[name])
