"""MVLPT's learning of several tasks at once, whatever is learned."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from promptgrid.contract import Outputs, Params, Recipe, Task, Trained

PAPER = "Shen et al., WACV 2024, arXiv:2211.11720"


@dataclass(frozen=True)
class Multitask(Trained):
    """What the modes share: batches of one task each, taking turns; a label competes with its own task's only.

    On a dataset of several tasks (``a+b``) the label spaces stand side by side, and the logits of the other tasks'
    classes are -inf. MVLPT's code multiplies them by 0 instead, which leaves them in the softmax. On a dataset that
    is one task nothing differs from the method that the mode is made of: that is the adaptation to a target.
    """

    def recipe(self, task: Task) -> Recipe | None:
        recipe = super().recipe(task)
        return replace(recipe, batches="by_task") if recipe is not None and task.task_of_class else recipe

    def losses(self, params: Params, out: Outputs, labels: Tensor, task: Task) -> dict[str, Tensor]:
        return super().losses(params, out._replace(logits=among_own(out.logits, labels, task)), labels, task)


def among_own(logits: Tensor, labels: Tensor, task: Task) -> Tensor:
    """(B, C) logits with -inf for the classes of other tasks than each image's own."""
    if not task.task_of_class:
        return logits
    owner = torch.tensor(task.task_of_class, device=logits.device)
    return logits.masked_fill(owner[labels].unsqueeze(1) != owner, -torch.inf)
