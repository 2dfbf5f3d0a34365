"""How many steps a cell takes, of how many examples, at which rates: a matter of that cell alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from promptgrid.contract.method import Method
from promptgrid.contract.policies import Policy
from promptgrid.contract.recipe import Recipe, Rule
from promptgrid.contract.task import Task

CHECKPOINTS = 20
"""How often a fit is scored on validation examples when the best of them is kept."""


@dataclass(frozen=True)
class Schedule:
    """The training of one cell.

    Attributes:
        recipe: with plain numbers.
        policy: the step policy, None where the losses are summed.
        batch: examples a step; fewer than the recipe's where there are fewer training examples.
        each: steps an epoch.
        total: steps in all.
        short: examples of an epoch's last step where those are fewer than ``batch``, else 0.
    """

    recipe: Recipe
    policy: Policy | None
    batch: int
    each: int
    total: int
    short: int = 0

    @classmethod
    def of(cls, method: Method, task: Task, examples: int, by_task: Sequence[int] = ()) -> Schedule | None:
        """The schedule of ``method`` on ``examples`` training examples; None when there is nothing to fit by descent.

        Only the names, classes and shots of ``task`` are looked at. ``by_task`` are the examples of each task of a
        joined dataset: batches of one task each hold no more than the smallest has.
        """
        recipe = method.recipe(task)
        if recipe is None:
            return None
        if not examples:
            raise ValueError(f"method {method.name!r} trains by descent and has no labelled example to train on")
        batches = recipe.batches
        by_task = by_task if batches.by_task else ()
        batch = min(batches.size, examples, *by_task)
        each = steps_per_epoch(examples, batches.size, batches.keep_last)
        if by_task:
            each = sum(count // batch for count in by_task)
        total = recipe.iterations or recipe.epochs * each
        short = examples % batch if batches.keep_last and not by_task else 0
        return cls(recipe, method.step(task), batch, each, total, short)

    def size(self, step: int) -> int:
        """Examples of step ``step``, counted from 0."""
        return self.short if self.short and (step + 1) % self.each == 0 else self.batch

    @property
    def sizes(self) -> tuple[int, int, int]:
        """What fixes the size of every step: the batch, and where epochs end in a smaller one, how small and when."""
        return self.batch, self.short, self.each if self.short else 0

    @property
    def epochs(self) -> int:
        """Epochs begun."""
        return -(-self.total // self.each)

    @property
    def rule(self) -> tuple[object, ...]:
        """How the optimizer works beside its rates and decays: the cells of one program have it in common."""
        recipe = self.recipe
        optimizer = replace(recipe.optimizer, learning_rate=0.0, weight_decay=0.0)
        rules = [(name, replace(rule, rate=_named(rule))) for name, rule in recipe.rules.items()]
        return optimizer, tuple(rules), recipe.clip, recipe.average is None

    def rates(self) -> list[float]:
        """The learning rate of every step."""
        return self.recipe.rates(self.total, self.each)

    def weights(self) -> list[float]:
        """How much the parameters behind every step count in what is kept: the last, or epochs as the recipe says."""
        counts = [0.0] * self.total
        own = self.recipe.average
        for epoch, weight in enumerate([1.0] if own is None else own.weights(self.epochs), start=1):
            counts[-1 if own is None else min(self.total, epoch * self.each) - 1] = weight
        return counts

    def checkpoints(self) -> set[int]:
        """After how many steps the parameters are scored when the best are kept: at the end of an epoch, and last."""
        every = max(1, self.epochs // CHECKPOINTS)
        ends = {min(self.total, epoch * self.each) for epoch in range(every, self.epochs + 1, every)}
        return ends | {self.total}


def steps_per_epoch(examples: int, batch_size: int, keep_last: bool = False) -> int:
    """Whole batches only, or one short batch where there is less than one (Dassl's drop_last rule).

    With ``keep_last`` what a batch leaves over is a batch too.
    """
    return max(1, -(-examples // batch_size) if keep_last else examples // batch_size)


def _named(rule: Rule) -> float | str:
    """The parameter that holds the rate, 1 where it is a number."""
    return rule.rate if isinstance(rule.rate, str) else 1.0
