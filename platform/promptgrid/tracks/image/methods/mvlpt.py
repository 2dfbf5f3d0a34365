"""MVLPT: one prompt for several tasks at once, then the start for each of them. Three modes: CoOp, VPT, UPT."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import torch
from torch import Tensor

from promptgrid.contract import Axes, Outputs, Params, Recipe, Task, Trained
from promptgrid.tracks.image.methods.coop import CoOp
from promptgrid.tracks.image.methods.upt import UPT
from promptgrid.tracks.image.methods.vpt import VPT

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


@dataclass(frozen=True)
class MultitaskCoOp(Multitask, CoOp):
    """MVLPT in CoOp's mode: one context for several tasks.

    Source: Shen et al., section 3; sIncerass/MVLPT 6fa518b. M = 16, class name amid the context, SGD .002, batch 32,
    200 epochs. Deviations: -inf masks (see :class:`Multitask`); fp32.
    """

    name: ClassVar[str] = "mvlpt_coop"
    paper: ClassVar[str] = PAPER
    axes: ClassVar = Axes("context", "text", "multi_task", prompt="soft_tuning", design="data")

    position: Literal["end", "middle", "front"] = "middle"
    epochs: int = 200


@dataclass(frozen=True)
class MultitaskVPT(Multitask, VPT):
    """MVLPT in VPT's mode: one set of deep visual tokens for several tasks.

    Source: Shen et al., section 3; sIncerass/MVLPT 6fa518b. 16 tokens, SGD .002, batch 32, 200 epochs. Each class is
    spoken of in its own dataset's template. Deviations: -inf masks (see :class:`Multitask`); fp32.
    """

    name: ClassVar[str] = "mvlpt_vpt"
    paper: ClassVar[str] = PAPER
    axes: ClassVar = Axes("tokens", "vision", "multi_task", prompt="soft_prefix", design="data")

    epochs: int = 200


@dataclass(frozen=True)
class MultitaskUPT(Multitask, UPT):
    """MVLPT in UPT's mode: mixed text and visual tokens for several tasks.

    Source: Shen et al., section 3; sIncerass/MVLPT 6fa518b. 4 + 4 tokens, class name amid the context, SGD .002,
    batch 32, 200 epochs. Deviations: -inf masks (see :class:`Multitask`); fp32.
    """

    name: ClassVar[str] = "mvlpt_upt"
    paper: ClassVar[str] = PAPER
    axes: ClassVar = Axes("coupled_tokens", "both", "multi_task", prompt="soft_prefix", design="data")

    position: Literal["end", "middle", "front"] = "middle"
    epochs: int = 200
