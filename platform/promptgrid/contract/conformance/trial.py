"""A method on a small task, and how a wing makes one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from promptgrid.contract.method import Method, Params
from promptgrid.contract.randomness import stream
from promptgrid.contract.task import Batch, Task


@dataclass(frozen=True)
class Trial:
    """A method on a small task: its start, one batch, and everything needed to score.

    Attributes:
        practice: who made it.
        method: with its settings.
        task: with all that the wing gives before training: examples, a pool, assets.
        start: what ``init`` gave.
        batch: the examples of one training step, with every column that the method gets, and ``labels``.
        pool: how many unlabelled examples the task has.
    """

    practice: Practice
    method: Method
    task: Task
    start: Params
    batch: Batch
    pool: int = 0

    @property
    def rounds(self) -> tuple[int, ...]:
        """On how many examples of the pool each round trains; empty for a method that trains on labelled ones alone."""
        return self.method.draws(self.task, self.pool)

    @property
    def turns(self) -> range:
        """The values that ``task.turn`` takes in training, one for each stage or round."""
        return range(max(self.method.stages, len(self.rounds)))

    @property
    def trained(self) -> list[str]:
        """Names of the parameters that descent changes."""
        fitted = any(self.method.recipe(replace(self.task, turn=turn)) is not None for turn in self.turns)
        return sorted(self.start.keys() - self.method.frozen) if fitted else []

    @property
    def examples(self) -> Batch:
        """All examples of the batch as they are scored."""
        return self.practice.shown(self.batch, range(len(self.batch.labels)))

    def shaken(self) -> Params:
        """The start with a little noise in every trained parameter: no gradient vanishes by symmetry there."""
        rng = stream("conformance", "noise")
        noise = {name: 0.02 * torch.randn(self.start[name].shape, generator=rng) for name in self.trained}
        return self.start | {name: self.start[name] + noise[name] for name in noise}

    def answers(self, params: Params, task: Task | None = None) -> Tensor:
        """(B, classes) of the batch, without training."""
        asked = task or self.task.without_examples()
        with torch.no_grad():
            return self.method.predict(params, self.examples, asked, self.method.once(params, asked))

    def losses(self, params: Params, seed: Tensor, turn: int) -> dict[str, Tensor]:
        """The method's losses on the batch at one training step of stage or round ``turn``."""
        task = replace(self.task.without_examples(), seed=seed, turn=turn)
        return self.method.objective(params, self.batch, task)

    def loss(self, params: Params, seed: Tensor) -> Tensor:
        """The sum of the method's losses on the batch, at one training step of each of its stages or rounds."""
        return torch.stack([one for turn in self.turns for one in self.losses(params, seed, turn).values()]).sum()


class Practice(ABC):
    """How a wing tries a method: on a small task of its own, with nothing downloaded.

    Attributes:
        kinds: the wing's words for a method's ``kind``.
        offers: what its backbone and examples have, by the words of ``needs``, without assets.
        new_classes: names of classes that its task does not have.
        checks: what only this wing's methods promise.
    """

    kinds: ClassVar[frozenset[str]]
    new_classes: ClassVar[tuple[str, ...]]
    checks: ClassVar[tuple[Callable[[Trial], None], ...]] = ()
    offers: frozenset[str]

    @abstractmethod
    def trial(self, method: Method, seed: int = 1) -> Trial:
        """``method`` on a task with examples drawn from ``seed``; the same arguments give the same bits."""

    @abstractmethod
    def fingerprint(self) -> bytes:
        """What changes when the frozen backbone does."""

    def shown(self, batch: Batch, rows: Sequence[int]) -> Batch:
        """Examples ``rows`` of a training batch as they are scored: without what only training knows of them."""
        own = batch.but(labels=None, pseudo=None)
        return own.rows(torch.tensor(list(rows)))

    def begun(self, method: Method, task: Task, batch: Batch, *, pool: int = 0, seed: int = 1) -> Trial:
        """The trial of ``method`` from what it draws from ``seed``."""
        return Trial(self, method, task, method.init(task, stream("conformance", seed)), batch, pool)
