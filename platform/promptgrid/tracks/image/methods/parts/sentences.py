"""Class sentences of a fixed template, for methods that run the text tower without learned prompts."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from promptgrid.contract import Backbone, Task
from promptgrid.contract.task import spoken


def sentences(task: Task, template: str) -> tuple[Tensor, Tensor]:
    """Embeddings (C, L, text width) of ``template`` with each class name, and the index of EOT (C,). Cached."""
    return _sentences(task.backbone, task.classes, template)


def raw_text(task: Task, templates: tuple[str, ...]) -> Tensor:
    """(C, width): the mean over ``templates`` of text features that are NOT normalised. Cached."""
    return _raw_text(task.backbone, task.classes, templates)


@lru_cache(maxsize=256)
def _raw_text(backbone: Backbone, classes: tuple[str, ...], templates: tuple[str, ...]) -> Tensor:
    names = spoken(classes)
    return torch.stack([backbone.encode_prompts([each.format(name) for name in names]) for each in templates]).mean(0)


@lru_cache(maxsize=256)
def _sentences(backbone: Backbone, classes: tuple[str, ...], template: str) -> tuple[Tensor, Tensor]:
    tokens = backbone.tokenize([template.format(name) for name in spoken(classes)])
    with torch.no_grad():
        return backbone.embed_tokens(tokens), tokens.argmax(-1)
