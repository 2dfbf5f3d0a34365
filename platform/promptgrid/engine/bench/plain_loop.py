"""The loop that public code runs: one cell, torch.optim, plain autograd, every batch made when it is wanted."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from promptgrid.contract.recipe import SGD, AdamW
from promptgrid.contract.task import Batch, Task
from promptgrid.engine.bench.problem import Problem
from promptgrid.engine.training.optimizers import PLAIN


class PlainLoop:
    """Trains the first cell of ``problem``.

    Args:
        problem: what is trained.
        task: on the backbone that this loop runs.
        batch_of: the batch of the examples at (B,), without labels; called at every step.
    """

    def __init__(self, problem: Problem, task: Task, batch_of: Callable[[Tensor], Batch]) -> None:
        self.problem, self.task = problem, task
        self.recipe = problem.recipe()
        self.params = problem.start(0)
        self._batch_of = batch_of
        frozen = problem.method.frozen
        self._trained = {name: value.requires_grad_() for name, value in self.params.items() if name not in frozen}
        self._factors = [float(self.recipe.rules.get(name, PLAIN).rate) for name in self._trained]
        self._optimizer = self._made()

    def step(self, chosen: Tensor, rate: float, seed: Tensor) -> float:
        """One step at learning rate ``rate`` on the examples at ``chosen`` (B,); the loss before it."""
        for group, factor in zip(self._optimizer.param_groups, self._factors, strict=True):
            group["lr"] = float(torch.as_tensor(rate, dtype=self.problem.like.dtype)) * factor
        batch = Batch({**self._batch_of(chosen).columns, "labels": self.problem.labels[chosen]})
        with self.inside():
            losses = self.problem.method.objective(self.params, batch, replace(self.task, seed=seed))
        loss = torch.stack(list(losses.values())).sum()
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if self.recipe.clip is not None:
            torch.nn.utils.clip_grad_norm_(list(self._trained.values()), self.recipe.clip)
        self._optimizer.step()
        return float(loss.detach())

    def inside(self) -> AbstractContextManager[object]:
        """What losses are computed in."""
        return nullcontext()

    def _made(self) -> torch.optim.Optimizer:
        """The recipe's optimizer, a group for each parameter: rules give each its own rate and decay."""
        own, rules = self.recipe.optimizer, self.recipe.rules
        groups: list[dict[str, Any]] = [
            {"params": [value], "weight_decay": float(own.weight_decay) * rules.get(name, PLAIN).decay}
            for name, value in self._trained.items()
        ]
        if isinstance(own, SGD):
            return torch.optim.SGD(groups, lr=0.1, momentum=own.momentum)
        kind = torch.optim.AdamW if isinstance(own, AdamW) else torch.optim.Adam
        return kind(groups, lr=0.1, betas=own.betas, eps=own.epsilon)
