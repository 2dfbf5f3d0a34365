"""Class texts from descriptions."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from promptgrid.contract.clip import Backbone, Task
from promptgrid.contract.clip.task import spoken


def raw_mean(task: Task) -> Tensor:
    """(C, width): the mean of the features of each class's descriptions, none of them normalised. Cached."""
    return _raw_mean(task.backbone, task.described())


def every_sentence(task: Task) -> tuple[Tensor, Tensor]:
    """(S, width) unit features of every description and of the dataset's template, and their classes (S,). Cached."""
    own = task.templates or (task.template,) * len(task.classes)
    named = zip(task.described(), own, spoken(task.classes), strict=True)
    return _units(task.backbone, tuple((*said, template.format(name)) for said, template, name in named))


def unit_mean(task: Task) -> Tensor:
    """(C, width) unit features: the normalised mean of the unit features of each class's sentences."""
    units, labels = every_sentence(task)
    return F.normalize(torch.stack([units[labels == label].mean(0) for label in range(len(task.classes))]), dim=-1)


@lru_cache(maxsize=64)
def _raw_mean(backbone: Backbone, said: tuple[tuple[str, ...], ...]) -> Tensor:
    with torch.no_grad():
        return torch.stack([backbone.encode_prompts(own).mean(0) for own in said])


@lru_cache(maxsize=64)
def _units(backbone: Backbone, said: tuple[tuple[str, ...], ...]) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        units = torch.cat([F.normalize(backbone.encode_prompts(own), dim=-1) for own in said])
    labels = [label for label, own in enumerate(said) for _ in own]
    return units, torch.tensor(labels, device=units.device)
