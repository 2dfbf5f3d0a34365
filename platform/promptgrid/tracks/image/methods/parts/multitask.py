"""MVLPT's learning of several tasks at once, whatever is learned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from promptgrid.contract.clip import Outputs, Params, Recipe, Task, Trained
from promptgrid.tracks.image.methods.parts.settings import check

PAPER = "Shen et al., WACV 2024, arXiv:2211.11720"


@dataclass(frozen=True)
class Multitask(Trained):
    """What the modes share, on a dataset of several tasks (``a+b``): their label spaces stand side by side.

    ``softmax: all_tasks``: a label competes with the classes of every task, and ``batches: mixed``: batches hold images
    of any, as MVLPT's scripts run (they leave ``label_pertask`` off). ``own_task``: the logits of other tasks' classes
    are -inf (the code, where that is on, multiplies them by 0, which leaves them in the softmax). ``by_task``: every
    batch is of one task, and the tasks take turns. On a dataset that is one task nothing differs from the method that
    the mode is made of: that is the adaptation to a target. Each task is scored among its own classes in any case.
    """

    softmax: Literal["all_tasks", "own_task"] = "all_tasks"
    batches: Literal["mixed", "by_task"] = "mixed"

    def __post_init__(self) -> None:
        of_the_mode = getattr(super(), "__post_init__", None)
        if of_the_mode is not None:
            of_the_mode()
        check(self, softmax=("all_tasks", "own_task"), batches=("mixed", "by_task"))

    def recipe(self, task: Task) -> Recipe | None:
        recipe, turns = super().recipe(task), self.batches == "by_task" and bool(task.task_of_class)
        return recipe and replace(recipe, batches=replace(recipe.batches, by_task=turns))

    def losses(self, params: Params, out: Outputs, labels: Tensor, task: Task) -> dict[str, Tensor]:
        if self.softmax == "own_task":
            out = out._replace(logits=among_own(out.logits, labels, task))
        return super().losses(params, out, labels, task)


def among_own(logits: Tensor, labels: Tensor, task: Task) -> Tensor:
    """(B, C) logits with -inf for the classes of other tasks than each image's own."""
    if not task.task_of_class:
        return logits
    owner = torch.tensor(task.task_of_class, device=logits.device)
    return logits.masked_fill(owner[labels].unsqueeze(1) != owner, -torch.inf)
