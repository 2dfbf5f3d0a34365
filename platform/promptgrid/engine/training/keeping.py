"""What is kept of the parameters that training goes through: an average over epochs, or the best checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from promptgrid.contract.method import Params
from promptgrid.engine.training.schedule import Schedule

Validate = Callable[[int, Params], float]
"""A slot and its parameters to how good they are on its validation examples: the higher, the better."""


class Average:
    """The weighted sum of the parameters behind the epochs."""

    def __init__(self, weights: Tensor, params: Params) -> None:
        self.weights = weights
        self.ends = weights.ne(0).any(1).tolist()
        self.sums = {name: torch.zeros_like(value) for name, value in params.items()}

    def add(self, step: int, params: Params) -> None:
        """Take in ``params`` (A, ...) of the first A slots, as step ``step`` leaves them."""
        if not self.ends[step]:
            return
        for name, value in params.items():
            cells = len(value)
            weight = self.weights[step, :cells].view(-1, *[1] * (value.dim() - 1))
            self.sums[name][:cells].addcmul_(weight, value)


class Keeper:
    """Keeps, for every cell, the parameters of its best validation score (the later on ties)."""

    def __init__(self, validate: Validate, schedules: Sequence[Schedule]) -> None:
        self.validate = validate
        self.marks = [schedule.checkpoints() for schedule in schedules]
        self.best: list[Params] = [{} for _ in schedules]
        self.scores: list[list[float]] = [[] for _ in schedules]

    def see(self, steps: int, active: int, params: Params) -> None:
        """Score those of the first ``active`` slots for which it is time after ``steps`` steps."""
        for slot in range(active):
            if steps not in self.marks[slot]:
                continue
            own = {name: value[slot] for name, value in params.items()}
            score = self.validate(slot, own)
            if score >= max(self.scores[slot], default=score):
                self.best[slot] = {name: value.clone() for name, value in own.items()}
            self.scores[slot].append(score)

    def stacked(self) -> Params:
        """The best parameters, each (K, ...)."""
        return {name: torch.stack([best[name] for best in self.best]) for name in self.best[0]}
