"""A method over the cells of a program: written for one, run for all of them at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from promptgrid.contract.method import Method, Params
from promptgrid.contract.task import Batch, Task


@dataclass(frozen=True)
class PackedMethod:
    """A method over K cells: parameters and knobs carry a leading cell axis, everything else is shared.

    Attributes:
        method: any of the cells' methods; they differ in knobs only.
        knobs: by name, (K,).
        task: the cells' task without support examples.
        shots: (K,) where the cells differ in shots, else None. Inside a step ``task.shots`` is then a scalar tensor,
            so that a method that branches on it fails here (and its cells run alone) instead of being wrong.
        alone: one cell, run without ``torch.func.vmap``: what it runs may then ask for shapes that data decides.
    """

    method: Method
    knobs: Params
    task: Task
    shots: Tensor | None = None
    alone: bool = False

    def first(self, cells: int) -> PackedMethod:
        """The first ``cells`` of them."""
        shots = None if self.shots is None else self.shots[:cells]
        return replace(self, knobs={name: value[:cells] for name, value in self.knobs.items()}, shots=shots)

    def losses(self, params: Params, batch: Batch, seeds: Tensor) -> dict[str, Tensor]:
        """Named losses, each (K,)."""

        def one(own: Params, knobs: Params, columns: Params, seed: Tensor, shots: Any) -> dict[str, Tensor]:
            task = replace(self.task, seed=seed)
            if shots is not None:
                task = replace(task, shots=shots)
            return replace(self.method, **knobs).objective(own, Batch(columns), task)

        given = (params, self.knobs, batch.columns, seeds, self.shots)
        if self.alone:
            return {name: loss.unsqueeze(0) for name, loss in one(*(_only(value) for value in given)).items()}
        packed = torch.func.vmap(one, in_dims=tuple(None if value is None else 0 for value in given))
        return packed(*given)

    def regulated(self, params: Params, grads: Params) -> Params:
        """What is descended in the place of ``grads``, each (K, ...)."""
        if type(self.method).regulate is Method.regulate:
            return grads

        def one(own: Params, given: Params, knobs: Params) -> Params:
            return replace(self.method, **knobs).regulate(own, given, self.task)

        found: Params = torch.func.vmap(one)(params, grads, self.knobs)
        return found

    @property
    def tracks(self) -> bool:
        """Whether something follows the batches beside what is learned."""
        return type(self.method).track is not Method.track

    def tracked(self, params: Params, batch: Batch, seeds: Tensor) -> Params:
        """What follows the batches, each (K, ...)."""

        def one(own: Params, knobs: Params, columns: Params, seed: Tensor) -> Params:
            return replace(self.method, **knobs).track(own, Batch(columns), replace(self.task, seed=seed))

        found: Params = torch.func.vmap(one)(params, self.knobs, batch.columns, seeds)
        return found


def _only(value: Any) -> Any:
    """The one cell's of what carries a cell axis."""
    if isinstance(value, dict):
        return {name: own.squeeze(0) for name, own in value.items()}
    return None if value is None else value.squeeze(0)
